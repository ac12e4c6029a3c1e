//! What a source says: objects come, go, change or cannot be read.

use std::sync::Arc;

use wattle_api::{Diagnostic, Object, ObjectKey, Place};

/// Events that belong together, such as those of one save; to be taken in as a whole.
pub type Batch = Vec<Event>;

/// One thing a source says.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// This is all there is; what was said before is void.
    Reset(Snapshot),
    /// The object is there, new or with another meaning than before.
    Apply(Arc<Object>),
    /// The object means what it meant, but is written elsewhere or with other remarks; only what shows places cares.
    Rewritten(Arc<Object>),
    /// The object is there but cannot be read, and no good version of it is known.
    Unreadable(Unreadable),
    /// The object, readable or not, is gone.
    Delete(ObjectKey),
    /// All that is to be said about a file now; an empty list takes back what was said before.
    Diagnosed {
        /// The file, as in the diagnostics.
        file: Arc<str>,
        /// What is to be said about it.
        diagnostics: Vec<Diagnostic>,
    },
}

/// Everything a source holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// The objects in force, by key.
    pub objects: Vec<Arc<Object>>,
    /// The objects that cannot be read, by key.
    pub unreadable: Vec<Unreadable>,
    /// What is to be said, by file.
    pub diagnostics: Vec<Diagnostic>,
}

/// An object that somebody wrote but nobody can read; what it was to forbid is not known, so its reader fails closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Its key.
    pub key: ObjectKey,
    /// The file it is in.
    pub file: Arc<str>,
    /// Where it starts.
    pub at: Place,
}

impl Event {
    /// The key of the object the event is about, if it is about one.
    #[must_use]
    pub fn key(&self) -> Option<ObjectKey> {
        match self {
            Self::Apply(object) | Self::Rewritten(object) => Some(object.key()),
            Self::Unreadable(unreadable) => Some(unreadable.key.clone()),
            Self::Delete(key) => Some(key.clone()),
            Self::Reset(_) | Self::Diagnosed { .. } => None,
        }
    }
}

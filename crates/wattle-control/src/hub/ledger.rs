//! What one proxy has acknowledged and refused: the truth behind statuses.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// Longest reason of a nack that is kept, characters.
const MAX_REASON: usize = 1024;

/// A version of a resource; `None` is "there is no such thing".
pub(super) type Version = Option<Arc<str>>;

#[derive(Debug)]
pub(super) struct Ledger<Name> {
    entries: BTreeMap<Name, Entry>,
}

impl<Name> Default for Ledger<Name> {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
        }
    }
}

/// How the proxy stands with one resource.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Version in force there; the outer `None` is "never answered".
    pub(super) acked: Option<Version>,
    /// The version it refused last, and why; until it takes a newer one.
    pub(super) refused: Option<(Version, String)>,
    pub(super) at: Instant,
}

impl<Name: Ord + Clone> Ledger<Name> {
    pub(super) fn acked(&mut self, name: &Name, version: Version, now: Instant) {
        self.entries.insert(
            name.clone(),
            Entry {
                acked: Some(version),
                refused: None,
                at: now,
            },
        );
    }

    pub(super) fn refused(&mut self, name: &Name, version: Version, reason: &str, now: Instant) {
        let acked = self.entries.get(name).and_then(|entry| entry.acked.clone());
        let reason = reason.chars().take(MAX_REASON).collect();
        self.entries.insert(
            name.clone(),
            Entry {
                acked,
                refused: Some((version, reason)),
                at: now,
            },
        );
    }

    pub(super) fn forget(&mut self, name: &Name) {
        self.entries.remove(name);
    }

    pub(super) fn entry(&self, name: &Name) -> Option<&Entry> {
        self.entries.get(name)
    }
}

//! Where a compiled value came from: the object and rule that somebody wrote.

use std::fmt;
use std::sync::Arc;

/// The object that a compiled value came from, as its author would look for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectRef {
    /// Kind as written, e.g. `HTTPRoute`.
    pub kind: Arc<str>,
    /// Namespace of the object.
    pub namespace: Arc<str>,
    /// Name of the object.
    pub name: Arc<str>,
    /// File it was read from; empty when it came from an API server.
    pub file: Arc<str>,
    /// Line of the file on which the object starts; 0 when unknown.
    pub line: u32,
}

/// One rule within an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleRef {
    /// The object that holds the rule.
    pub object: ObjectRef,
    /// Index of the rule in the object, from 0.
    pub rule: u32,
    /// Index of the match within the rule, from 0.
    pub matched: u32,
    /// Name of the rule, empty when it has none.
    pub name: Arc<str>,
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)?;
        if !self.file.is_empty() {
            write!(f, " ({}:{})", self.file, self.line)?;
        }
        Ok(())
    }
}

impl fmt::Display for RuleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} rule {}", self.object, self.rule)?;
        if !self.name.is_empty() {
            write!(f, " \"{}\"", self.name)?;
        }
        Ok(())
    }
}

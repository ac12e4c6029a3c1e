//! Which fields the decoders know, learnt by watching them: what documentation and tests compare with.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::key::Kind;

/// A field that a decoder knows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KnownField {
    /// The kind it is of.
    pub kind: Kind,
    /// Its path, with `[]` for any item of a list and `*` for a key that the writer chooses, as in
    /// `spec.rules[].backendRefs[].port`.
    pub path: String,
    /// Whether the text has it, or only a mapping where it could be.
    pub written: bool,
}

/// The fields that one object's decoder asked for, and whether they were there.
#[derive(Debug, Default)]
pub(crate) struct Record(RefCell<BTreeMap<String, bool>>);

impl Record {
    /// Notes the keys that the mapping at `path` may have.
    pub(crate) fn add(&self, path: &str, known: &[&str], written: impl Fn(&str) -> bool) {
        let dot = if path.is_empty() { "" } else { "." };
        let mut fields = self.0.borrow_mut();
        for key in known {
            *fields.entry(format!("{path}{dot}{key}")).or_default() |= written(key);
        }
    }

    /// Adds what was recorded to `known`.
    pub(crate) fn merge_into(self, kind: Kind, known: &mut BTreeMap<(Kind, String), bool>) {
        for (path, written) in self.0.into_inner() {
            *known.entry((kind, path)).or_default() |= written;
        }
    }
}

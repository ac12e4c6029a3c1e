//! What one proxy has acknowledged and refused: the truth behind statuses.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use wattle_wire::ResourceName;

/// Longest reason of a nack that is kept, characters.
const MAX_REASON: usize = 1024;

/// A version of a resource; `None` is "there is no such thing".
pub(super) type Version = Option<Arc<str>>;

#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: BTreeMap<ResourceName, Entry>,
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

impl Ledger {
    pub(super) fn acked(&mut self, name: &ResourceName, version: Version, now: Instant) {
        self.entries.insert(
            name.clone(),
            Entry {
                acked: Some(version),
                refused: None,
                at: now,
            },
        );
    }

    pub(super) fn refused(&mut self, name: &ResourceName, version: Version, reason: &str, now: Instant) {
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

    pub(super) fn forget(&mut self, name: &ResourceName) {
        self.entries.remove(name);
    }

    pub(super) fn entry(&self, name: &ResourceName) -> Option<&Entry> {
        self.entries.get(name)
    }
}

//! Keys of token issuers, as they are fetched.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;
use wattle_api::Diagnostic;

use super::Hub;
use crate::keys::{Told, Wanted};

/// Where keys are wanted from, and why there are none.
pub(super) struct Keys {
    wanted: watch::Sender<Wanted>,
    problems: BTreeMap<Arc<str>, String>,
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            wanted: watch::Sender::new(Wanted::new()),
            problems: BTreeMap::new(),
        }
    }
}

impl Hub {
    /// Every address that keys are wanted from, and when that changes.
    pub(crate) fn key_addresses(&self) -> watch::Receiver<Wanted> {
        self.keys.wanted.subscribe()
    }

    /// Takes in what an earlier run fetched, before anybody asks.
    pub(crate) fn restore_keys(&mut self, address: &Arc<str>, keys: &Arc<str>) {
        self.mesh.set_key_set(address, Some(keys.clone()));
    }

    /// Takes in what was fetched, and tells the proxies.
    pub(crate) fn learn_keys(&mut self, told: Told) {
        let Told {
            address,
            keys,
            problem,
        } = told;
        self.mesh.set_key_set(&address, keys);
        self.diagnosed = None;
        match problem {
            Some(problem) => self.keys.problems.insert(address, problem),
            None => self.keys.problems.remove(&address),
        };
        self.flush(Instant::now());
        self.measure();
    }

    /// Says where keys are wanted from now.
    pub(super) fn want_keys(&mut self) {
        let wanted = self.mesh.key_addresses();
        self.keys
            .problems
            .retain(|address, _| wanted.contains_key(address));
        self.keys.wanted.send_if_modified(|before| {
            let changed = *before != wanted;
            *before = wanted;
            changed
        });
    }

    /// Objects whose keys could not be fetched.
    pub(super) fn key_diagnostics(&self) -> Vec<Diagnostic> {
        self.mesh.missing_keys(&self.keys.problems)
    }
}

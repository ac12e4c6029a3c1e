//! Several holders of objects, one object in force per key: the first holder's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wattle_api::{Object, ObjectKey};

use crate::event::{Event, Unreadable};

/// What a holder has under a key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Version {
    /// A good object.
    Good(Arc<Object>),
    /// An object that cannot be read.
    Bad(Unreadable),
}

/// Which holder has which objects. Holders are files or sources; the least one wins, so that the outcome
/// does not depend on who came first.
#[derive(Debug)]
pub(crate) struct Layers<L> {
    held: BTreeMap<ObjectKey, BTreeMap<L, Version>>,
    in_force: BTreeMap<ObjectKey, Version>,
    touched: BTreeSet<ObjectKey>,
}

impl<L: Ord + Clone> Layers<L> {
    pub(crate) fn new() -> Self {
        Self {
            held: BTreeMap::new(),
            in_force: BTreeMap::new(),
            touched: BTreeSet::new(),
        }
    }

    /// Sets what `holder` has under `key`.
    pub(crate) fn hold(&mut self, holder: L, key: ObjectKey, version: Version) {
        self.touched.insert(key.clone());
        self.held.entry(key).or_default().insert(holder, version);
    }

    /// Takes what `holder` has under `key` away.
    pub(crate) fn release(&mut self, holder: &L, key: &ObjectKey) {
        let Some(holders) = self.held.get_mut(key) else {
            return;
        };
        holders.remove(holder);
        if holders.is_empty() {
            self.held.remove(key);
        }
        self.touched.insert(key.clone());
    }

    /// The holders of `key`, the one that wins first.
    pub(crate) fn holders(&self, key: &ObjectKey) -> impl Iterator<Item = (&L, &Version)> {
        self.held.get(key).into_iter().flatten()
    }

    /// What is in force under every key.
    pub(crate) fn in_force(&self) -> impl Iterator<Item = &Version> {
        self.in_force.values()
    }

    /// The keys touched since the last call of [`Self::changes`].
    pub(crate) fn touched(&self) -> &BTreeSet<ObjectKey> {
        &self.touched
    }

    /// What has come into force since the last call; what comes is told before what goes.
    pub(crate) fn changes(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        let mut gone = Vec::new();
        for key in std::mem::take(&mut self.touched) {
            let winner = self
                .held
                .get(&key)
                .and_then(|holders| holders.values().next())
                .cloned();
            match winner {
                Some(version) => {
                    let before = self.in_force.insert(key, version.clone());
                    events.extend(difference(before.as_ref(), version));
                }
                None if self.in_force.remove(&key).is_some() => gone.push(Event::Delete(key)),
                None => {}
            }
        }
        events.append(&mut gone);
        events
    }
}

fn difference(before: Option<&Version>, now: Version) -> Option<Event> {
    match (before, now) {
        (Some(Version::Good(before)), Version::Good(now)) if before.means_the_same(&now) => {
            let same = before == &now && before.origin() == now.origin();
            (!same).then_some(Event::Rewritten(now))
        }
        (_, Version::Good(now)) => Some(Event::Apply(now)),
        (Some(Version::Bad(before)), Version::Bad(now)) if *before == now => None,
        (_, Version::Bad(now)) => Some(Event::Unreadable(now)),
    }
}

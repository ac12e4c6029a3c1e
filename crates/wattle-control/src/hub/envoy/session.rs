//! One stream of an xDS client: what it wants of each kind, what it was told, what is on its way.
//!
//! The same for both protocols; [`delta`](super::delta) and [`world`](super::world) translate. What is sent comes in an
//! order in which nothing refers to what is not there yet: clusters, their endpoints, listeners, routes, and a kind waits
//! until those before it are answered; endpoints alone do not wait for clusters. Clusters that nothing refers to any more go last.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use wattle_envoy::{Kind, Resource, Resources};
use wattle_wire::ResourceName;
use wattle_wire::delta::{Publisher, StreamError};

use super::batch::{Batch, Carried, Told};

/// How responses of a stream are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// A response is what changed.
    Delta,
    /// A response of clusters or listeners is all of them, whoever is missing is gone.
    World,
}

/// The stream's state; see the module.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) protocol: Protocol,
    kinds: BTreeMap<Kind, Subscription>,
    next_nonce: u64,
}

/// One kind on one stream.
#[derive(Debug, Default)]
pub(super) struct Subscription {
    pub(super) wildcard: bool,
    pub(super) names: BTreeSet<Arc<str>>,
    /// What the client was last sent, or says it holds.
    pub(super) told: BTreeMap<Arc<str>, Told>,
    /// To be sent again although it was told.
    pub(super) again: BTreeSet<Arc<str>>,
    /// The client waits for an answer, though it may be that there is nothing.
    pub(super) owed: bool,
    in_flight: Option<InFlight>,
    last_nonce: String,
}

#[derive(Debug)]
struct InFlight {
    carried: Carried,
    sent: Instant,
}

/// An answer of the client to one response.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) kind: Kind,
    pub(super) carried: Carried,
    pub(super) sent: Instant,
}

impl Session {
    pub(super) fn new(protocol: Protocol) -> Self {
        Self {
            protocol,
            kinds: BTreeMap::new(),
            next_nonce: 0,
        }
    }

    /// The kind's state; begins it when the client never spoke of it.
    pub(super) fn of(&mut self, kind: Kind) -> &mut Subscription {
        self.kinds.entry(kind).or_default()
    }

    /// Did the client ever speak of this kind?
    pub(super) fn knows(&self, kind: Kind) -> bool {
        self.kinds.contains_key(&kind)
    }

    /// Names that the client asked for by themselves.
    pub(super) fn names(&self, kind: Kind) -> impl Iterator<Item = &Arc<str>> {
        self.kinds
            .get(&kind)
            .into_iter()
            .flat_map(|subscription| &subscription.names)
    }

    /// Everything it wants and that exists, or that it asked for by name, with the newest version.
    pub(super) fn wanted<'a>(
        &'a self,
        newest: &'a Resources,
    ) -> impl Iterator<Item = (Kind, &'a Arc<str>, Option<&'a Arc<str>>)> {
        self.kinds.iter().flat_map(move |(kind, subscription)| {
            let there = newest.resources.get(kind);
            let version = move |name: &Arc<str>| Some(&there?.get(name)?.version);
            let all = there
                .filter(|_| subscription.wildcard)
                .into_iter()
                .flatten()
                .map(|(name, _)| name);
            let named = subscription.names.iter().filter(move |name| {
                !(subscription.wildcard && there.is_some_and(|there| there.contains_key(*name)))
            });
            all.chain(named).map(move |name| (*kind, name, version(name)))
        })
    }

    /// The next response to send; call until it gives `None`, after each request and each change.
    pub(super) fn next(&mut self, newest: &Resources, now: Instant) -> Option<Batch> {
        let protocol = self.protocol;
        let mut unanswered = false;
        for kind in Kind::ALL {
            let Some(subscription) = self.kinds.get_mut(&kind) else {
                continue;
            };
            unanswered |= subscription.in_flight.is_some();
            // Envoy answers clusters when they are warm, for which they need endpoints.
            if unanswered && (kind != Kind::Endpoints || subscription.in_flight.is_some()) {
                if kind == Kind::Cluster {
                    continue;
                }
                return None;
            }
            if let Some(batch) = subscription.additions(kind, protocol, newest) {
                return Some(self.send(kind, batch, now));
            }
        }
        if unanswered {
            return None;
        }
        for kind in [Kind::Cluster, Kind::Endpoints] {
            let Some(subscription) = self.kinds.get_mut(&kind) else {
                continue;
            };
            if let Some(batch) = subscription.removals(kind, protocol, newest) {
                return Some(self.send(kind, batch, now));
            }
        }
        None
    }

    fn send(&mut self, kind: Kind, mut batch: Batch, now: Instant) -> Batch {
        self.next_nonce += 1;
        batch.nonce = self.next_nonce.to_string();
        for endpoints in batch.awaited_endpoints() {
            // A cluster waits for its endpoints, in silence where it, or another cluster, asked for them before.
            let subscription = self.of(Kind::Endpoints);
            if subscription.told.contains_key(&endpoints) {
                subscription.again.insert(endpoints);
            }
        }
        let subscription = self.of(kind);
        subscription.last_nonce.clone_from(&batch.nonce);
        let carried = subscription.tell(&batch);
        subscription.in_flight = Some(InFlight { carried, sent: now });
        batch
    }
}

impl Subscription {
    /// Asks for a name; what was asked for before is sent again, for the client may have lost it.
    pub(super) fn subscribe(&mut self, name: &str) -> Result<(), StreamError> {
        if name.len() > ResourceName::MAX_LEN {
            return Err(StreamError::NameTooLong(name.len()));
        }
        if self.names.len() >= Publisher::MAX_SUBSCRIPTIONS {
            return Err(StreamError::TooMany);
        }
        self.names.insert(name.into());
        self.told.remove(name);
        Ok(())
    }

    /// Gives a name up; the client forgets what it was told.
    pub(super) fn unsubscribe(&mut self, name: &str) {
        self.names.remove(name);
        self.told.remove(name);
        self.again.remove(name);
    }

    /// The client holds this version from an earlier stream.
    pub(super) fn holds(&mut self, name: &str, version: &str) -> Result<(), StreamError> {
        if self.told.len() >= Publisher::MAX_SUBSCRIPTIONS {
            return Err(StreamError::TooMany);
        }
        if self.wants(name) {
            self.told.insert(name.into(), Told::held(version));
        }
        Ok(())
    }

    pub(super) fn wants(&self, name: &str) -> bool {
        self.wildcard || self.names.contains(name)
    }

    /// Takes in an answer; of another nonce than the one in flight it is nothing.
    pub(super) fn answered(&mut self, kind: Kind, nonce: &str) -> Option<Answered> {
        let in_flight = self.in_flight.take_if(|_| self.last_nonce == nonce)?;
        Some(Answered {
            kind,
            carried: in_flight.carried,
            sent: in_flight.sent,
        })
    }

    /// Was this nonce overtaken by a newer response?
    pub(super) fn is_stale(&self, nonce: &str) -> bool {
        !nonce.is_empty() && nonce != self.last_nonce
    }

    /// The newest state of what is wanted.
    pub(super) fn visible<'a>(
        &'a self,
        kind: Kind,
        newest: &'a Resources,
    ) -> impl Iterator<Item = (&'a Arc<str>, &'a Resource)> {
        let there = newest.resources.get(&kind);
        there.into_iter().flatten().filter(|(name, _)| self.wants(name))
    }

    /// Notes what a response says.
    fn tell(&mut self, batch: &Batch) -> Carried {
        self.owed = false;
        for (name, resource) in &batch.set {
            self.again.remove(name);
            self.told.insert(name.clone(), Told::sent(resource));
        }
        for name in &batch.removed {
            if self.names.contains(name) {
                self.told.insert(name.clone(), Told::absent());
            } else {
                self.told.remove(name);
            }
        }
        let set = batch
            .set
            .iter()
            .map(|(name, resource)| (name.clone(), Some(resource.version.clone())));
        let removed = batch.removed.iter().map(|name| (name.clone(), None));
        set.chain(removed).collect()
    }
}

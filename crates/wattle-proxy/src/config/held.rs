//! What is held of the mesh, and what of it each worker is told.
//!
//! Pure bookkeeping: no sockets. A destination is told only when all endpoints it refers to are known, so that no
//! worker ever routes to a backend of which it knows nothing.

mod destinations;
mod named;
mod names;
mod services;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use wattle_model::{BackendId, Destination, Endpoints, Inbound, Trust, Workload};
use wattle_wire::delta::{Subscriber, Update};
use wattle_wire::proto::discovery::DeltaDiscoveryRequest;
use wattle_wire::{Encoded, Kind, Resource, ResourceName};

use named::Named;
use names::Resolvable;

use super::interest::Interest;
use super::{Ask, Dialled, Feed, News};
use crate::worker::{RateLimits, TokenRules};

/// Most peers subscribed to at once; a further one stays unknown.
const MAX_PEERS: usize = 20_000;

/// Resources held and who wants them.
pub(crate) struct Held {
    pub(crate) subscriber: Subscriber,
    feed: Feed,
    encoded: BTreeMap<ResourceName, Encoded>,
    inbound_name: Box<str>,
    inbound: Option<Arc<Inbound>>,
    rate_limits: Option<Arc<RateLimits>>,
    destinations: HashMap<Dialled, Arc<Destination>>,
    /// As addresses, as workers are told.
    endpoints: HashMap<BackendId, Arc<Endpoints>>,
    /// Those with names among them, as the control plane told them.
    unresolved: HashMap<BackendId, Arc<Endpoints>>,
    named: Named,
    resolvable: Resolvable,
    peers: HashMap<IpAddr, Arc<Workload>>,
    trust: Option<Arc<Trust>>,
    wanted: Interest<Dialled>,
    wanted_peers: Interest<IpAddr>,
    /// Destinations that wait for endpoints.
    incomplete: HashSet<Dialled>,
    /// How many destinations refer to a backend.
    backend_uses: HashMap<BackendId, usize>,
}

impl Held {
    /// Nothing but the wish for the workload's own inbound side.
    pub(crate) fn new(feed: Feed, inbound_name: &str) -> Self {
        let mut held = Self::nothing(feed, inbound_name);
        held.subscriber
            .subscribe(&ResourceName::new(Kind::Inbound, inbound_name), None);
        held
    }

    /// Nothing but the wish to be told whom to believe.
    pub(crate) fn hearing_trust() -> Self {
        let mut held = Self::nothing(Feed::new(Vec::new()), "");
        held.want_trust();
        held
    }

    fn nothing(feed: Feed, inbound_name: &str) -> Self {
        Self {
            subscriber: Subscriber::new(),
            feed,
            encoded: BTreeMap::new(),
            inbound_name: inbound_name.into(),
            inbound: None,
            rate_limits: None,
            destinations: HashMap::new(),
            endpoints: HashMap::new(),
            unresolved: HashMap::new(),
            named: Named::default(),
            resolvable: Resolvable::default(),
            peers: HashMap::new(),
            trust: None,
            wanted: Interest::default(),
            wanted_peers: Interest::default(),
            incomplete: HashSet::new(),
            backend_uses: HashMap::new(),
        }
    }

    /// Wishes to be told whom to believe.
    pub(crate) fn want_trust(&mut self) {
        let name = ResourceName::new(Kind::Trust, Trust::NAME);
        self.subscriber.subscribe(&name, None);
    }

    /// Whom to believe, as last told.
    pub(crate) fn trust(&self) -> Option<&Arc<Trust>> {
        self.trust.as_ref()
    }

    /// Takes in what an earlier run saved; it stays subscribed to all of it.
    pub(crate) fn restore(&mut self, saved: Vec<super::saved::Entry>) {
        for (name, resource, encoded) in saved {
            // The state directory of another workload must not lend this one its policy.
            let foreign = match name.kind {
                Kind::Inbound => *name.name != *self.inbound_name,
                Kind::Names => !self.resolvable.wants(&name.name),
                Kind::Destination | Kind::Endpoints | Kind::Peer | Kind::Trust => false,
            };
            if foreign {
                continue;
            }
            self.subscriber.unsubscribe(&name);
            self.subscriber.subscribe(&name, Some(encoded.version.clone()));
            self.apply(Update::Changed(name, Box::new(resource), encoded));
        }
    }

    /// Everything held, as bytes.
    pub(crate) fn encoded(&self) -> &BTreeMap<ResourceName, Encoded> {
        &self.encoded
    }

    /// A worker's question; gives requests to send.
    pub(crate) fn asked(&mut self, worker: usize, ask: Ask) -> Vec<DeltaDiscoveryRequest> {
        match ask {
            Ask::Destination(address) => self.want_destination(worker, Dialled::Address(address)),
            Ask::Forget(address) => self.forget(worker, &Dialled::Address(address)),
            Ask::Peer(ip) => self.want_peer(worker, ip),
        }
    }

    fn want_peer(&mut self, worker: usize, ip: IpAddr) -> Vec<DeltaDiscoveryRequest> {
        if self.wanted_peers.len() >= MAX_PEERS {
            return Vec::new();
        }
        self.wanted_peers.add(&ip, worker);
        if let Some(workload) = self.peers.get(&ip) {
            self.feed.tell(worker, News::Peer(ip, Some(workload.clone())));
        }
        self.subscriber
            .subscribe(&ResourceName::new(Kind::Peer, ip.to_string()), None)
            .into_iter()
            .collect()
    }

    /// Takes in a change; gives requests to send.
    pub(crate) fn apply(&mut self, update: Update) -> Vec<DeltaDiscoveryRequest> {
        match update {
            Update::Changed(name, resource, encoded) => {
                self.encoded.insert(name.clone(), encoded);
                match *resource {
                    Resource::Destination(destination) => {
                        self.replace_destination(Dialled::read(&name.name), Some(Arc::new(destination)))
                    }
                    Resource::Endpoints(endpoints) => self.replace_endpoints(Arc::new(endpoints)),
                    Resource::Inbound(inbound) => self.replace_inbound(Arc::new(inbound)),
                    Resource::Peer(peer) => self.replace_peer(peer.ip, Some(Arc::new(peer.workload))),
                    Resource::Names(names) => {
                        self.resolvable.set(names);
                        Vec::new()
                    }
                    Resource::Trust(trust) => {
                        self.trust = Some(Arc::new(trust));
                        Vec::new()
                    }
                }
            }
            Update::Removed(name) => self.removed(&name),
        }
    }

    fn removed(&mut self, name: &ResourceName) -> Vec<DeltaDiscoveryRequest> {
        self.encoded.remove(name);
        match name.kind {
            Kind::Destination => {
                let dialled = Dialled::read(&name.name);
                let requests = self.replace_destination(dialled.clone(), None);
                for worker in self.wanted.workers(&dialled) {
                    self.feed.tell(worker, News::Destination(dialled.clone(), None));
                }
                requests
            }
            // A backend that is gone has no endpoints; whoever still routes there is told so.
            Kind::Endpoints => self.replace_endpoints(Arc::new(Endpoints {
                id: name.name.clone(),
                ..Endpoints::default()
            })),
            // Without an Inbound nothing could be authorised, without names nothing resolved, without trust nobody met: the
            // last good ones stay.
            Kind::Inbound | Kind::Names | Kind::Trust => Vec::new(),
            Kind::Peer => match name.name.parse() {
                Ok(ip) => self.replace_peer(ip, None),
                Err(_) => Vec::new(),
            },
        }
    }

    fn replace_inbound(&mut self, inbound: Arc<Inbound>) -> Vec<DeltaDiscoveryRequest> {
        self.replace_rate_limits(&inbound);
        let requests = self.replace_services(&inbound);
        let old = self.inbound.as_ref().map_or(&[][..], |old| &old.tokens);
        if *old != inbound.tokens {
            self.feed.tell_all(&News::Tokens(TokenRules::of(&inbound.tokens)));
        }
        self.feed.tell_all(&News::Inbound(inbound.clone()));
        let old = self.inbound.replace(inbound.clone());
        if old.is_none_or(|old| old.labels != inbound.labels) {
            self.relabelled();
        }
        requests
    }

    fn replace_peer(&mut self, ip: IpAddr, workload: Option<Arc<Workload>>) -> Vec<DeltaDiscoveryRequest> {
        for worker in self.wanted_peers.workers(&ip) {
            self.feed.tell(worker, News::Peer(ip, workload.clone()));
        }
        match workload {
            Some(workload) => self.peers.insert(ip, workload),
            None => self.peers.remove(&ip),
        };
        Vec::new()
    }

    fn replace_endpoints(&mut self, endpoints: Arc<Endpoints>) -> Vec<DeltaDiscoveryRequest> {
        let id = endpoints.id.clone();
        match endpoints.names.is_empty() {
            true => self.unresolved.remove(&id),
            false => self.unresolved.insert(id.clone(), endpoints.clone()),
        };
        let Some(endpoints) = self.named.resolve(&endpoints) else {
            return Vec::new();
        };
        self.feed
            .tell_all(&News::Endpoints(id.clone(), endpoints.clone()));
        self.endpoints.insert(id, endpoints);
        let waiting: Vec<_> = self.incomplete.iter().cloned().collect();
        for dialled in waiting {
            self.publish(&dialled);
        }
        Vec::new()
    }

    fn release(&mut self, id: &BackendId) -> Option<DeltaDiscoveryRequest> {
        let uses = self.backend_uses.get_mut(id)?;
        *uses -= 1;
        if *uses > 0 {
            return None;
        }
        self.backend_uses.remove(id);
        self.endpoints.remove(id);
        self.unresolved.remove(id);
        let name = ResourceName::new(Kind::Endpoints, id.clone());
        self.encoded.remove(&name);
        self.subscriber.unsubscribe(&name)
    }
}

#[cfg(test)]
mod tests;

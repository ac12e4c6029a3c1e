//! What is held of the mesh, and what of it each worker is told.
//!
//! Pure bookkeeping: no sockets. A destination is told only when all endpoints it refers to are known, so that no
//! worker ever routes to a backend of which it knows nothing.

mod named;
mod names;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use wattle_model::{BackendId, Destination, Endpoints, Inbound, Workload};
use wattle_wire::delta::{Subscriber, Update};
use wattle_wire::proto::discovery::DeltaDiscoveryRequest;
use wattle_wire::{Encoded, Kind, Resource, ResourceName};

use named::Named;
use names::Resolvable;

use super::interest::Interest;
use super::{Ask, Feed, News};

/// Most destinations subscribed to at once; a further one is refused until others are forgotten.
const MAX_DESTINATIONS: usize = 20_000;
/// Most peers subscribed to at once; a further one stays unknown.
const MAX_PEERS: usize = 20_000;

/// Resources held and who wants them.
pub(crate) struct Held {
    pub(crate) subscriber: Subscriber,
    feed: Feed,
    encoded: BTreeMap<ResourceName, Encoded>,
    inbound_name: Box<str>,
    inbound: Option<Arc<Inbound>>,
    destinations: HashMap<SocketAddr, Arc<Destination>>,
    /// As addresses, as workers are told.
    endpoints: HashMap<BackendId, Arc<Endpoints>>,
    /// Those with names among them, as the control plane told them.
    unresolved: HashMap<BackendId, Arc<Endpoints>>,
    named: Named,
    resolvable: Resolvable,
    peers: HashMap<IpAddr, Arc<Workload>>,
    wanted: Interest<SocketAddr>,
    wanted_peers: Interest<IpAddr>,
    /// Destinations that wait for endpoints.
    incomplete: HashSet<SocketAddr>,
    /// How many destinations refer to a backend.
    backend_uses: HashMap<BackendId, usize>,
}

impl Held {
    /// Nothing but the wish for the workload's own inbound side.
    pub(crate) fn new(feed: Feed, inbound_name: &str) -> Self {
        let mut held = Self {
            subscriber: Subscriber::new(),
            feed,
            encoded: BTreeMap::new(),
            inbound_name: inbound_name.into(),
            inbound: None,
            destinations: HashMap::new(),
            endpoints: HashMap::new(),
            unresolved: HashMap::new(),
            named: Named::default(),
            resolvable: Resolvable::default(),
            peers: HashMap::new(),
            wanted: Interest::default(),
            wanted_peers: Interest::default(),
            incomplete: HashSet::new(),
            backend_uses: HashMap::new(),
        };
        held.subscriber
            .subscribe(&ResourceName::new(Kind::Inbound, inbound_name), None);
        held
    }

    /// Takes in what an earlier run saved; it stays subscribed to all of it.
    pub(crate) fn restore(&mut self, saved: Vec<super::saved::Entry>) {
        for (name, resource, encoded) in saved {
            // The state directory of another workload must not lend this one its policy.
            let foreign = match name.kind {
                Kind::Inbound => *name.name != *self.inbound_name,
                Kind::Names => !self.resolvable.wants(&name.name),
                Kind::Destination | Kind::Endpoints | Kind::Peer => false,
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
            Ask::Destination(address) => self.want_destination(worker, address),
            Ask::Forget(address) => self.forget(worker, address),
            Ask::Peer(ip) => self.want_peer(worker, ip),
        }
    }

    fn want_destination(&mut self, worker: usize, address: SocketAddr) -> Vec<DeltaDiscoveryRequest> {
        if self.wanted.len() >= MAX_DESTINATIONS {
            self.feed.tell(worker, News::Destination(address, None));
            return Vec::new();
        }
        self.wanted.add(&address, worker);
        let name = destination_name(address);
        let request = self.subscriber.subscribe(&name, None);
        if let Some(destination) = self.complete(address) {
            self.tell_destination(worker, address, &destination);
        } else if self.subscriber.answered(&name) && !self.incomplete.contains(&address) {
            self.feed.tell(worker, News::Destination(address, None));
        }
        request.into_iter().collect()
    }

    fn forget(&mut self, worker: usize, address: SocketAddr) -> Vec<DeltaDiscoveryRequest> {
        if !self.wanted.remove(&address, worker) {
            return Vec::new();
        }
        let name = destination_name(address);
        let mut requests: Vec<_> = self.subscriber.unsubscribe(&name).into_iter().collect();
        self.encoded.remove(&name);
        requests.extend(self.replace_destination(address, None));
        requests
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
                        let Some(address) = address_of(&name) else {
                            return Vec::new();
                        };
                        self.replace_destination(address, Some(Arc::new(destination)))
                    }
                    Resource::Endpoints(endpoints) => self.replace_endpoints(Arc::new(endpoints)),
                    Resource::Inbound(inbound) => self.replace_inbound(Arc::new(inbound)),
                    Resource::Peer(peer) => self.replace_peer(peer.ip, Some(Arc::new(peer.workload))),
                    Resource::Names(names) => {
                        self.resolvable.set(names);
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
            Kind::Destination => match address_of(name) {
                Some(address) => {
                    let requests = self.replace_destination(address, None);
                    for worker in self.wanted.workers(&address) {
                        self.feed.tell(worker, News::Destination(address, None));
                    }
                    requests
                }
                None => Vec::new(),
            },
            // A backend that is gone has no endpoints; whoever still routes there is told so.
            Kind::Endpoints => self.replace_endpoints(Arc::new(Endpoints {
                id: name.name.clone(),
                ..Endpoints::default()
            })),
            // Without an Inbound nothing could be authorised, without names nothing resolved: the last good ones stay.
            Kind::Inbound | Kind::Names => Vec::new(),
            Kind::Peer => match name.name.parse() {
                Ok(ip) => self.replace_peer(ip, None),
                Err(_) => Vec::new(),
            },
        }
    }

    fn replace_inbound(&mut self, inbound: Arc<Inbound>) -> Vec<DeltaDiscoveryRequest> {
        self.feed.tell_all(&News::Inbound(inbound.clone()));
        self.inbound = Some(inbound);
        Vec::new()
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
        let waiting: Vec<_> = self.incomplete.iter().copied().collect();
        for address in waiting {
            self.publish(address);
        }
        Vec::new()
    }

    /// Subscribes to the endpoints a destination needs, drops those nobody needs any more, publishes it when complete.
    fn replace_destination(
        &mut self,
        address: SocketAddr,
        new: Option<Arc<Destination>>,
    ) -> Vec<DeltaDiscoveryRequest> {
        let mut requests = Vec::new();
        let old = match new.clone() {
            Some(new) => self.destinations.insert(address, new),
            None => self.destinations.remove(&address),
        };
        for id in new.iter().flat_map(|destination| backend_ids(destination)) {
            *self.backend_uses.entry(id.clone()).or_default() += 1;
            let name = ResourceName::new(Kind::Endpoints, id.clone());
            requests.extend(self.subscriber.subscribe(&name, None));
        }
        for id in old.iter().flat_map(|destination| backend_ids(destination)) {
            requests.extend(self.release(id));
        }
        self.incomplete.remove(&address);
        if new.is_some() {
            self.incomplete.insert(address);
            self.publish(address);
        }
        requests
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

    fn publish(&mut self, address: SocketAddr) {
        let Some(destination) = self.complete(address) else {
            return;
        };
        self.incomplete.remove(&address);
        for worker in self.wanted.workers(&address) {
            self.tell_destination(worker, address, &destination);
        }
    }

    fn tell_destination(&self, worker: usize, address: SocketAddr, destination: &Arc<Destination>) {
        for id in backend_ids(destination) {
            if let Some(endpoints) = self.endpoints.get(id) {
                self.feed
                    .tell(worker, News::Endpoints(id.clone(), endpoints.clone()));
            }
        }
        self.feed
            .tell(worker, News::Destination(address, Some(destination.clone())));
    }

    /// The destination, if all its endpoints are known.
    fn complete(&self, address: SocketAddr) -> Option<Arc<Destination>> {
        let destination = self.destinations.get(&address)?;
        let known = backend_ids(destination).all(|id| self.endpoints.contains_key(id));
        known.then(|| destination.clone())
    }
}

/// Backends that have an Endpoints resource.
fn backend_ids(destination: &Destination) -> impl Iterator<Item = &BackendId> {
    destination
        .backends
        .iter()
        .filter(|backend| !backend.id.is_empty())
        .map(|backend| &backend.id)
}

fn destination_name(address: SocketAddr) -> ResourceName {
    ResourceName::new(Kind::Destination, address.to_string())
}

fn address_of(name: &ResourceName) -> Option<SocketAddr> {
    name.name.parse().ok()
}

#[cfg(test)]
mod tests;

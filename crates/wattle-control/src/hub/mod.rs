//! Everything proxies hear of: the compiled mesh, who subscribed to what, who acknowledged what.
//!
//! [`Hub`] is a state machine without I/O: requests and batches go in, [`Push`]es come out. [`task`] runs it on a thread of
//! its own, so it needs no lock. A resource is compiled and encoded once, whoever wants it; a change recompiles only what
//! read the changed object and is subscribed to, and is sent only when the bytes differ.

mod access;
mod config;
mod disk;
mod envoy;
mod guest;
mod keys;
mod ledger;
mod report;
mod stream;
mod task;
mod trust;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use wattle_api::Diagnostic;
use wattle_compile::{Mesh, ResourceName as Compiled, Settings};
use wattle_identity::{Peer, SpiffeId};
use wattle_wire::proto::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryResponse};
use wattle_wire::{Encoded, Kind, ResourceName};

use crate::metrics::{Metrics, count};
use crate::virtual_ips::VirtualIps;
pub(crate) use access::Denied;
use access::Owner;
pub(crate) use disk::Disk;
pub(crate) use envoy::Request;
use guest::Guest;
use stream::Stream;
pub(crate) use task::{Command, Gone, HubHandle, Outgoing, spawn};

/// Number of a stream, never used twice.
pub(crate) type StreamId = u64;

/// Something to send on a stream: a response, or why the stream ends.
pub(crate) type Push = (StreamId, Result<Answer, Denied>);

/// A response in the protocol of its stream.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    /// What changed.
    Delta(DeltaDiscoveryResponse),
    /// The state of the world.
    World(DiscoveryResponse),
}

/// The protocol of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    /// `DeltaAggregatedResources`, of our own proxies and of others.
    Delta,
    /// `StreamAggregatedResources`.
    World,
}

/// The state; see the module.
pub(crate) struct Hub {
    mesh: Mesh,
    virtual_ips: VirtualIps,
    /// What sources say about their files.
    remarks: BTreeMap<Arc<str>, Vec<Diagnostic>>,
    /// What is to be said about the config, until it changes.
    diagnosed: Option<Arc<[Diagnostic]>>,
    keys: keys::Keys,
    streams: BTreeMap<StreamId, Stream>,
    wanted: HashMap<Compiled, Wanted>,
    /// Whom to believe, once the authority said so.
    trust: Option<Encoded>,
    /// Serial number of the certificate that each stream was opened with.
    shown: HashMap<StreamId, Arc<Peer>>,
    /// Clients of standard xDS.
    envoys: envoy::Clients,
    /// Every source has said what it holds: an answer before that could be a lie.
    ready: bool,
    outbox: Vec<Push>,
    metrics: Arc<Metrics>,
}

/// A resource that somebody subscribed to.
#[derive(Default)]
struct Wanted {
    encoded: Option<Encoded>,
    /// Whose it is, for those that only their owner may have.
    owner: Option<Owner>,
    streams: BTreeSet<StreamId>,
}

impl Hub {
    /// No object, no stream.
    pub(crate) fn new(settings: Settings, virtual_ips: VirtualIps, metrics: Arc<Metrics>) -> Self {
        Self {
            mesh: Mesh::new(settings),
            virtual_ips,
            remarks: BTreeMap::new(),
            diagnosed: None,
            keys: keys::Keys::default(),
            streams: BTreeMap::new(),
            wanted: HashMap::new(),
            trust: None,
            shown: HashMap::new(),
            envoys: envoy::Clients::default(),
            ready: false,
            outbox: Vec::new(),
            metrics,
        }
    }

    /// A proxy that proved to be `peer` opened a stream.
    pub(crate) fn opened(
        &mut self,
        id: StreamId,
        (peer, address): (SpiffeId, SocketAddr),
        method: Method,
        now: Instant,
    ) {
        self.metrics.streams.fetch_add(1, Ordering::Relaxed);
        let guest = Guest::new(peer, address, now);
        match method {
            Method::Delta => {
                self.streams.insert(id, Stream::new(guest));
            }
            Method::World => self.envoys.opened(id, guest, false),
        }
    }

    /// A stream ended.
    pub(crate) fn closed(&mut self, id: StreamId) {
        self.shown.remove(&id);
        let stream = self.streams.remove(&id);
        if stream.is_none() && !self.envoys.contains(id) {
            return;
        }
        self.metrics.streams.fetch_sub(1, Ordering::Relaxed);
        let unread = self.envoys.closed(id);
        self.forget_unread(unread);
        if let Some(stream) = stream {
            for name in stream.publisher.wanted() {
                self.unwant(id, &stream.compiled(&name));
            }
        }
    }

    /// A proxy said something.
    pub(crate) fn requested(&mut self, id: StreamId, request: Request, now: Instant) {
        let standard = self.is_standard(id, &request);
        let taken = match request {
            Request::Delta(request) if !standard => self.take(id, request, now),
            request => self.take_standard(id, request, now),
        };
        if let Err(denied) = taken {
            self.refuse(id, denied);
        }
        self.metrics
            .compiled
            .store(self.mesh.compiled(), Ordering::Relaxed);
    }

    /// Ends a stream.
    fn refuse(&mut self, id: StreamId, denied: Denied) {
        count(&self.metrics.streams_refused);
        self.closed(id);
        self.outbox.push((id, Err(denied)));
    }

    fn take(&mut self, id: StreamId, request: DeltaDiscoveryRequest, now: Instant) -> Result<(), Denied> {
        let Some(stream) = self.streams.get_mut(&id) else {
            return Ok(());
        };
        stream.guest.introduce(request.node.as_ref())?;
        let nonce = request.response_nonce.clone();
        let heard = stream.publisher.request(request)?;
        stream.note(&heard, &nonce, now, &self.metrics);
        for name in heard.unsubscribed {
            let compiled = stream.compiled(&name);
            stream.ledger.forget(&name);
            if Self::unwant_in(&mut self.wanted, id, &compiled) && !self.envoys.reads(&compiled) {
                self.mesh.forget(&compiled);
            }
        }
        for name in &heard.subscribed {
            stream.may_ask_for(name)?;
        }
        if self.ready {
            for name in &heard.subscribed {
                self.subscribe(id, name)?;
            }
        }
        self.pump(id, now);
        Ok(())
    }

    /// Compiles what a stream newly wants, unless somebody wants it already, and publishes it there.
    fn subscribe(&mut self, id: StreamId, name: &ResourceName) -> Result<(), Denied> {
        let Some(stream) = self.streams.get_mut(&id) else {
            return Ok(());
        };
        if name.kind == Kind::Trust {
            stream
                .publisher
                .publish(name, trust::of_mesh(name, self.trust.as_ref()));
            return Ok(());
        }
        let compiled = stream.compiled(name);
        let wanted = self.wanted.entry(compiled.clone()).or_insert_with(|| {
            let (encoded, owner) = access::compile(&mut self.mesh, &compiled);
            Wanted {
                encoded,
                owner,
                streams: BTreeSet::new(),
            }
        });
        if let Some(owner) = &wanted.owner
            && !owner.is(&stream.guest.peer)
        {
            let denied = Denied::Foreign {
                name: name.to_string(),
                peer: stream.guest.peer.to_string(),
            };
            if wanted.streams.is_empty() {
                self.wanted.remove(&compiled);
                if !self.envoys.reads(&compiled) {
                    self.mesh.forget(&compiled);
                }
            }
            return Err(denied);
        }
        wanted.streams.insert(id);
        stream.publisher.publish(name, wanted.encoded.as_ref());
        Ok(())
    }

    /// Recompiles what changes have touched, and publishes what came out different.
    pub(crate) fn flush(&mut self, now: Instant) {
        if !self.ready {
            return;
        }
        let mut concerned = BTreeSet::new();
        let changed = self.mesh.take_changed();
        for name in &changed {
            let Some(wanted) = self.wanted.get_mut(name) else {
                if !self.envoys.reads(name) {
                    self.mesh.forget(name);
                }
                continue;
            };
            let (encoded, owner) = access::compile(&mut self.mesh, name);
            if encoded == wanted.encoded && owner == wanted.owner {
                continue;
            }
            (wanted.encoded, wanted.owner) = (encoded, owner);
            let wire = access::wire_name(name);
            for id in &wanted.streams {
                let Some(stream) = self.streams.get_mut(id) else {
                    continue;
                };
                stream
                    .publisher
                    .publish(&wire, access::visible(wanted, &stream.guest.peer));
                concerned.insert(*id);
            }
        }
        for id in concerned {
            self.pump(id, now);
        }
        self.flush_standard(&changed, now);
        self.metrics
            .compiled
            .store(self.mesh.compiled(), Ordering::Relaxed);
    }

    /// What is to be sent since the last call.
    pub(crate) fn take_outbox(&mut self) -> Vec<Push> {
        std::mem::take(&mut self.outbox)
    }

    fn pump(&mut self, id: StreamId, now: Instant) {
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        while let Some(response) = stream.publisher.response() {
            stream.sent(&response, now);
            let bytes: usize = response
                .resources
                .iter()
                .filter_map(|r| Some(r.resource.as_ref()?.value.len()))
                .sum();
            let carried = response.resources.len() + response.removed_resources.len();
            self.metrics.pushed(carried, bytes);
            self.outbox.push((id, Ok(Answer::Delta(response))));
        }
    }

    fn unwant(&mut self, id: StreamId, name: &Compiled) {
        if Self::unwant_in(&mut self.wanted, id, name) && !self.envoys.reads(name) {
            self.mesh.forget(name);
        }
    }

    /// Says whether no stream wants it any more.
    fn unwant_in(wanted: &mut HashMap<Compiled, Wanted>, id: StreamId, name: &Compiled) -> bool {
        let Some(found) = wanted.get_mut(name) else {
            return false;
        };
        found.streams.remove(&id);
        let is_last = found.streams.is_empty();
        if is_last {
            wanted.remove(name);
        }
        is_last
    }
}

#[cfg(test)]
mod tests;

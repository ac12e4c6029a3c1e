//! Everything proxies hear of: the compiled mesh, who subscribed to what, who acknowledged what.
//!
//! [`Hub`] is a state machine without I/O: requests and batches go in, [`Push`]es come out. [`task`] runs it on a thread of
//! its own, so it needs no lock. A resource is compiled and encoded once, whoever wants it; a change recompiles only what
//! read the changed object and is subscribed to, and is sent only when the bytes differ.

mod access;
mod config;
mod disk;
mod ledger;
mod report;
mod stream;
mod task;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use wattle_api::Diagnostic;
use wattle_compile::{Mesh, ResourceName as Compiled, Settings};
use wattle_identity::SpiffeId;
use wattle_wire::proto::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use wattle_wire::{Encoded, ResourceName};

use crate::metrics::{Metrics, count};
use crate::virtual_ips::VirtualIps;
pub(crate) use access::Denied;
use access::Owner;
pub(crate) use disk::Disk;
use stream::Stream;
pub(crate) use task::{Command, Gone, HubHandle, spawn};

/// Number of a stream, never used twice.
pub(crate) type StreamId = u64;

/// Something to send on a stream: a response, or why the stream ends.
pub(crate) type Push = (StreamId, Result<DeltaDiscoveryResponse, Denied>);

/// The state; see the module.
pub(crate) struct Hub {
    mesh: Mesh,
    virtual_ips: VirtualIps,
    /// What sources say about their files.
    remarks: BTreeMap<Arc<str>, Vec<Diagnostic>>,
    /// What is to be said about the config, until it changes.
    diagnosed: Option<Arc<[Diagnostic]>>,
    streams: BTreeMap<StreamId, Stream>,
    wanted: HashMap<Compiled, Wanted>,
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
            streams: BTreeMap::new(),
            wanted: HashMap::new(),
            ready: false,
            outbox: Vec::new(),
            metrics,
        }
    }

    /// A proxy that proved to be `peer` opened a stream.
    pub(crate) fn opened(&mut self, id: StreamId, peer: SpiffeId, address: SocketAddr, now: Instant) {
        self.metrics.streams.fetch_add(1, Ordering::Relaxed);
        self.streams.insert(id, Stream::new(peer, address, now));
    }

    /// A stream ended.
    pub(crate) fn closed(&mut self, id: StreamId) {
        let Some(stream) = self.streams.remove(&id) else {
            return;
        };
        self.metrics.streams.fetch_sub(1, Ordering::Relaxed);
        for name in stream.publisher.wanted() {
            self.unwant(id, &stream.compiled(&name));
        }
    }

    /// A proxy said something.
    pub(crate) fn requested(&mut self, id: StreamId, request: DeltaDiscoveryRequest, now: Instant) {
        if let Err(denied) = self.take(id, request, now) {
            count(&self.metrics.streams_refused);
            self.closed(id);
            self.outbox.push((id, Err(denied)));
        }
    }

    fn take(&mut self, id: StreamId, request: DeltaDiscoveryRequest, now: Instant) -> Result<(), Denied> {
        let Some(stream) = self.streams.get_mut(&id) else {
            return Ok(());
        };
        stream.introduce(request.node.as_ref())?;
        let nonce = request.response_nonce.clone();
        let heard = stream.publisher.request(request)?;
        stream.note(&heard, &nonce, now, &self.metrics);
        for name in heard.unsubscribed {
            let compiled = stream.compiled(&name);
            stream.ledger.forget(&name);
            Self::unwant_in(&mut self.wanted, &mut self.mesh, id, &compiled);
        }
        for name in &heard.subscribed {
            stream.may_ask_for(name)?;
        }
        if self.ready {
            for name in &heard.subscribed {
                self.subscribe(id, name)?;
            }
        }
        self.metrics
            .compiled
            .store(self.mesh.compiled(), Ordering::Relaxed);
        self.pump(id, now);
        Ok(())
    }

    /// Compiles what a stream newly wants, unless somebody wants it already, and publishes it there.
    fn subscribe(&mut self, id: StreamId, name: &ResourceName) -> Result<(), Denied> {
        let Some(stream) = self.streams.get_mut(&id) else {
            return Ok(());
        };
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
            && !owner.is(&stream.peer)
        {
            let denied = Denied::Foreign {
                name: name.to_string(),
                peer: stream.peer.to_string(),
            };
            if wanted.streams.is_empty() {
                self.wanted.remove(&compiled);
                self.mesh.forget(&compiled);
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
        for name in self.mesh.take_changed() {
            let Some(wanted) = self.wanted.get_mut(&name) else {
                self.mesh.forget(&name);
                continue;
            };
            let (encoded, owner) = access::compile(&mut self.mesh, &name);
            if encoded == wanted.encoded && owner == wanted.owner {
                continue;
            }
            (wanted.encoded, wanted.owner) = (encoded, owner);
            let wire = access::wire_name(&name);
            for id in &wanted.streams {
                let Some(stream) = self.streams.get_mut(id) else {
                    continue;
                };
                stream
                    .publisher
                    .publish(&wire, access::visible(wanted, &stream.peer));
                concerned.insert(*id);
            }
        }
        for id in concerned {
            self.pump(id, now);
        }
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
            count(&self.metrics.pushes);
            self.metrics
                .push_resources
                .fetch_add(carried as u64, Ordering::Relaxed);
            self.metrics.push_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
            self.outbox.push((id, Ok(response)));
        }
    }

    fn unwant(&mut self, id: StreamId, name: &Compiled) {
        Self::unwant_in(&mut self.wanted, &mut self.mesh, id, name);
    }

    fn unwant_in(wanted: &mut HashMap<Compiled, Wanted>, mesh: &mut Mesh, id: StreamId, name: &Compiled) {
        let Some(found) = wanted.get_mut(name) else { return };
        found.streams.remove(&id);
        if found.streams.is_empty() {
            wanted.remove(name);
            mesh.forget(name);
        }
    }
}

#[cfg(test)]
mod tests;

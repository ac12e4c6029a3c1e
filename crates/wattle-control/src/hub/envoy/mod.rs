//! Envoy sidecars and gRPC programs: standard xDS, beside the streams of our own proxies.
//!
//! A sidecar is told everything it can dial; a gRPC program, the listeners it asks for. What sidecars of one namespace see
//! is the same and is gathered once ([`scene`]); each encodes it for itself, because scopes and localities differ. A change
//! leads to a new encoding only where something that was read has changed, and to a response only where bytes differ.

mod batch;
mod client;
mod delta;
mod report;
mod scene;
mod session;
mod streams;
#[cfg(test)]
mod tests;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use wattle_compile::{Mesh, ResourceName as Compiled};
use wattle_envoy::{Kind, bootstrap};
use wattle_wire::proto::discovery::Node;

use super::guest::Guest;
use super::{Answer, Denied, StreamId};
use crate::metrics::Metrics;
use client::Client;
pub(crate) use client::Request;
use scene::{Encode, Seen};
use session::Protocol;

/// What kind of client it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Program {
    /// An Envoy to which all connections of a workload are redirected.
    Sidecar {
        /// Cluster of its bootstrap from which secrets come.
        secrets: Arc<str>,
    },
    /// A program that speaks gRPC and asks for itself.
    Grpc {
        /// Certificate provider instance, if it has one.
        certificates: Option<Arc<str>>,
        /// A proxy beside it carries its connections and secures them.
        carried: bool,
    },
}

impl Program {
    /// By what it says it is: every implementation of gRPC names itself so.
    pub(super) fn of(node: Option<&Node>) -> Self {
        let text = |key: &str| {
            let fields = &node?.metadata.as_ref()?.fields;
            Some(fields.get(key)?.text.as_str()).filter(|text| !text.is_empty())
        };
        if node.is_some_and(|node| node.user_agent_name.starts_with("gRPC")) {
            return Self::Grpc {
                certificates: text(bootstrap::CERTIFICATES_KEY).map(Arc::from),
                carried: text(bootstrap::CARRIED_KEY) == Some("true"),
            };
        }
        Self::Sidecar {
            secrets: text(bootstrap::SECRETS_KEY).unwrap_or(bootstrap::AGENT).into(),
        }
    }
}

/// All of them.
pub(super) struct Clients {
    all: BTreeMap<StreamId, Client>,
    /// What sidecars see, by their namespace.
    sidecars: BTreeMap<Arc<str>, Arc<Seen>>,
    /// What sidecars can dial.
    dialable: BTreeSet<Arc<str>>,
    encode: Encode,
}

impl Default for Clients {
    fn default() -> Self {
        Self {
            all: BTreeMap::new(),
            sidecars: BTreeMap::new(),
            dialable: BTreeSet::new(),
            encode: scene::encode,
        }
    }
}

impl Clients {
    /// A client opened a stream of the delta protocol, or of the state of the world.
    pub(super) fn opened(&mut self, id: StreamId, guest: Guest, is_delta: bool) {
        let protocol = if is_delta {
            Protocol::Delta
        } else {
            Protocol::World
        };
        self.all.insert(id, Client::new(guest, protocol));
    }

    pub(super) fn contains(&self, id: StreamId) -> bool {
        self.all.contains_key(&id)
    }

    pub(super) fn ids(&self) -> Vec<StreamId> {
        self.all.keys().copied().collect()
    }

    /// A stream ended; gives what nobody here reads any more.
    pub(super) fn closed(&mut self, id: StreamId) -> Vec<Compiled> {
        let Some(client) = self.all.remove(&id) else {
            return Vec::new();
        };
        let namespace = client.guest.peer.namespace();
        if !self.all.values().any(|other| other.is_sidecar_of(namespace)) {
            self.sidecars.remove(namespace);
        }
        if self.sidecars.is_empty() {
            self.dialable.clear();
        }
        let mut unread = self.unread(client.seen());
        unread.extend(Some(Compiled::Inbound(client.guest.node.clone())).filter(|name| !self.reads(name)));
        unread
    }

    /// Takes in a request; says whether it is to be shown more than before.
    pub(super) fn hear(
        &mut self,
        id: StreamId,
        request: Request,
        now: Instant,
        metrics: &Metrics,
    ) -> Result<bool, Denied> {
        let Some(client) = self.all.get_mut(&id) else {
            return Ok(false);
        };
        let is_new = client.program.is_none();
        Ok(client.hear(request, now, metrics)? || is_new)
    }

    /// Shows a client what it asks for, the first time and whenever it asks for more; gives what nobody reads any more.
    pub(super) fn show(&mut self, id: StreamId, mesh: &mut Mesh) -> Result<Vec<Compiled>, Denied> {
        let Some(client) = self.all.get_mut(&id) else {
            return Ok(Vec::new());
        };
        client.look_at_inbound(mesh)?;
        let namespace: Arc<str> = client.guest.peer.namespace().into();
        let seen = match &client.program {
            None => return Ok(Vec::new()),
            Some(Program::Grpc { .. }) => {
                let names = client.session.names(Kind::Listener);
                Arc::new(Seen::gather(mesh, names, &namespace))
            }
            Some(Program::Sidecar { .. }) => self.seen_from(&namespace, mesh),
        };
        let Some(client) = self.all.get_mut(&id) else {
            return Ok(Vec::new());
        };
        let before = client.see(seen);
        client.encode(self.encode);
        Ok(self.unread(&before))
    }

    /// What sidecars of a namespace see; gathered for the first of them.
    fn seen_from(&mut self, namespace: &Arc<str>, mesh: &mut Mesh) -> Arc<Seen> {
        if let Some(seen) = self.sidecars.get(namespace) {
            return seen.clone();
        }
        if self.sidecars.is_empty() {
            self.dialable = scene::dialable(mesh);
        }
        let seen = Arc::new(Seen::gather_all(mesh, self.dialable.iter(), namespace));
        self.sidecars.insert(namespace.clone(), seen.clone());
        seen
    }

    /// Looks again at what has changed; gives the streams that are to be told, and what nobody reads any more.
    pub(super) fn refresh(
        &mut self,
        mesh: &mut Mesh,
        changed: &BTreeSet<Compiled>,
    ) -> (BTreeSet<StreamId>, Vec<Compiled>) {
        let mut unread = Vec::new();
        for before in self.refresh_sidecars(mesh, changed) {
            unread.extend(before.reads.iter().cloned());
        }
        let mut concerned = BTreeSet::new();
        for (id, client) in &mut self.all {
            let own = Compiled::Inbound(client.guest.node.clone());
            let mut stale = changed.contains(&own);
            if stale {
                // Whose inbound became another's sees nothing of it; the stream of an unchanged certificate goes on.
                let _ = client.look_at_inbound(mesh);
            }
            let newest = match &client.program {
                None => continue,
                Some(Program::Sidecar { .. }) => self.sidecars.get(client.guest.peer.namespace()).cloned(),
                Some(Program::Grpc { .. }) if client.seen().reads.is_disjoint(changed) => None,
                Some(Program::Grpc { .. }) => {
                    let names = client.session.names(Kind::Listener);
                    Some(Arc::new(Seen::gather(mesh, names, client.guest.peer.namespace())))
                }
            };
            if let Some(newest) = newest.filter(|newest| !Arc::ptr_eq(newest, client.seen())) {
                let before = client.see(newest);
                stale |= !before.is_like(client.seen());
                unread.extend(before.reads.iter().cloned());
            }
            if stale && client.encode(self.encode) {
                concerned.insert(*id);
            }
        }
        unread.retain(|name| !self.reads(name));
        (concerned, unread)
    }

    /// Gathers anew what has changed for sidecars; gives what they saw before.
    fn refresh_sidecars(&mut self, mesh: &mut Mesh, changed: &BTreeSet<Compiled>) -> Vec<Arc<Seen>> {
        if self.sidecars.is_empty() {
            return Vec::new();
        }
        let dialable = scene::dialable(mesh);
        let others = dialable != self.dialable;
        self.dialable = dialable;
        let mut before = Vec::new();
        for (namespace, seen) in &mut self.sidecars {
            if others || !seen.reads.is_disjoint(changed) || seen.divides_otherwise(mesh, namespace) {
                let newest = Arc::new(Seen::gather_all(mesh, self.dialable.iter(), namespace));
                before.push(std::mem::replace(seen, newest));
            }
        }
        before
    }

    /// Does anyone here depend on this?
    pub(super) fn reads(&self, name: &Compiled) -> bool {
        self.sidecars.values().any(|seen| seen.reads.contains(name))
            || self.all.values().any(|client| client.reads(name))
    }

    fn unread(&self, seen: &Seen) -> Vec<Compiled> {
        seen.reads
            .iter()
            .filter(|name| !self.reads(name))
            .cloned()
            .collect()
    }

    /// The next response to a client; call until it gives `None`.
    pub(super) fn next(&mut self, id: StreamId, now: Instant) -> Option<Answer> {
        self.all.get_mut(&id)?.next(now)
    }
}

impl Client {
    fn is_sidecar_of(&self, namespace: &str) -> bool {
        matches!(self.program, Some(Program::Sidecar { .. })) && self.guest.peer.namespace() == namespace
    }
}

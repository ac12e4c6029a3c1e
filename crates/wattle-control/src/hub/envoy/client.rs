//! One Envoy or gRPC program: who it is, what it sees, how it stands.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use wattle_compile::{Mesh, ResourceName as Compiled};
use wattle_envoy::{Kind, Resources};
use wattle_model::Inbound;
use wattle_wire::delta::StreamError;
use wattle_wire::proto::discovery::{DeltaDiscoveryRequest, DiscoveryRequest, Node};

use super::scene::{Encode, Seen, Subject};
use super::session::{Answered, Protocol, Session};
use super::{Program, delta, world};
use crate::hub::access::Owner;
use crate::hub::guest::Guest;
use crate::hub::ledger::Ledger;
use crate::hub::{Answer, Denied};
use crate::metrics::{Metrics, count};

/// A request in either protocol.
pub(crate) enum Request {
    /// Changes of subscriptions.
    Delta(DeltaDiscoveryRequest),
    /// All of them.
    World(DiscoveryRequest),
}

impl Request {
    fn node(&self) -> Option<&Node> {
        match self {
            Self::Delta(request) => request.node.as_ref(),
            Self::World(request) => request.node.as_ref(),
        }
    }

    fn kind(&self) -> Result<Kind, StreamError> {
        let url = match self {
            Self::Delta(request) => &request.type_url,
            Self::World(request) => &request.type_url,
        };
        Kind::of_type_url(url).ok_or_else(|| StreamError::UnknownType(url.clone()))
    }
}

pub(super) struct Client {
    pub(super) guest: Guest,
    /// Known with its first request.
    pub(super) program: Option<Program>,
    pub(super) session: Session,
    pub(super) ledger: Ledger<(Kind, Arc<str>)>,
    pub(super) resources: Resources,
    seen: Arc<Seen>,
    inbound: Option<Arc<Inbound>>,
}

impl Client {
    pub(super) fn new(guest: Guest, protocol: Protocol) -> Self {
        Self {
            guest,
            program: None,
            session: Session::new(protocol),
            ledger: Ledger::default(),
            resources: Resources::default(),
            seen: Arc::default(),
            inbound: None,
        }
    }

    /// Takes in a request; says whether it asks for listeners that it did not ask for before.
    pub(super) fn hear(&mut self, request: Request, now: Instant, metrics: &Metrics) -> Result<bool, Denied> {
        self.guest.introduce(request.node())?;
        if self.guest.node.is_empty() {
            return Err(Denied::Node {
                node: String::new(),
                peer: self.guest.peer.to_string(),
            });
        }
        if self.program.is_none() {
            self.program = Some(Program::of(request.node()));
        }
        let kind = request.kind()?;
        let names = |session: &Session| session.names(Kind::Listener).cloned().collect::<BTreeSet<_>>();
        let before = names(&self.session);
        let answered = match request {
            Request::Delta(request) => {
                for (name, version) in &request.initial_resource_versions {
                    let name = (kind, Arc::from(name.as_str()));
                    self.ledger.acked(&name, Some(version.as_str().into()), now);
                }
                delta::hear(&mut self.session, kind, request)?
            }
            Request::World(request) => world::hear(&mut self.session, kind, request)?,
        };
        if let Some((answered, refused)) = answered {
            self.note(answered, refused.as_deref(), now, metrics);
        }
        Ok(names(&self.session) != before)
    }

    /// Takes in an ack or a nack.
    fn note(&mut self, answered: Answered, refused: Option<&str>, now: Instant, metrics: &Metrics) {
        metrics.answered(now.saturating_duration_since(answered.sent));
        count(if refused.is_some() {
            &metrics.nacks
        } else {
            &metrics.acks
        });
        if let Some(reason) = refused {
            let (node, kind) = (&self.guest.node, answered.kind);
            tracing::warn!(%node, ?kind, reason, "resources refused, the last good ones stay in force");
        }
        let named = |name: &str| refused.is_some_and(|reason| mentions(reason, name));
        let any_named = answered.carried.iter().any(|(name, _)| named(name));
        for (name, version) in &answered.carried {
            let key = (answered.kind, name.clone());
            match refused.filter(|_| named(name) || !any_named) {
                Some(reason) => self.ledger.refused(&key, version.clone(), reason, now),
                None => self.ledger.acked(&key, version.clone(), now),
            }
        }
    }

    /// Does what it sees depend on this?
    pub(super) fn reads(&self, name: &Compiled) -> bool {
        self.seen.reads.contains(name) || matches!(name, Compiled::Inbound(own) if *own == self.guest.node)
    }

    /// Looks at its own inbound side; another's is refused the first time and does not exist later.
    pub(super) fn look_at_inbound(&mut self, mesh: &mut Mesh) -> Result<(), Denied> {
        let found = mesh.inbound(&self.guest.node);
        let is_own = |inbound: &Arc<Inbound>| Owner::of(&inbound.workload).is(&self.guest.peer);
        let foreign = found.as_ref().is_some_and(|inbound| !is_own(inbound));
        self.inbound = found.filter(is_own);
        if foreign {
            return Err(Denied::Foreign {
                name: format!("Inbound {}", self.guest.node),
                peer: self.guest.peer.to_string(),
            });
        }
        Ok(())
    }

    /// Sees this from now on; gives what it saw before.
    pub(super) fn see(&mut self, seen: Arc<Seen>) -> Arc<Seen> {
        std::mem::replace(&mut self.seen, seen)
    }

    pub(super) fn seen(&self) -> &Arc<Seen> {
        &self.seen
    }

    /// Encodes what it sees; says whether anything came out different.
    pub(super) fn encode(&mut self, encode: Encode) -> bool {
        let Some(program) = &self.program else {
            return false;
        };
        let resources = encode(Subject {
            program,
            seen: &self.seen,
            inbound: self.inbound.as_deref(),
            peer: &self.guest.peer,
            node: &self.guest.node,
        });
        if resources == self.resources {
            return false;
        }
        self.resources = resources;
        true
    }

    /// The next response to send.
    pub(super) fn next(&mut self, now: Instant) -> Option<Answer> {
        let batch = self.session.next(&self.resources, now)?;
        Some(match self.session.protocol {
            Protocol::Delta => Answer::Delta(delta::say(&batch)),
            Protocol::World => Answer::World(world::say(&batch)),
        })
    }
}

/// Does a reason name this resource, and not only a longer one that begins alike?
fn mentions(reason: &str, name: &str) -> bool {
    let is_inside = |next: char| next.is_alphanumeric() || matches!(next, '.' | '-' | '_');
    reason
        .match_indices(name)
        .any(|(at, _)| !reason[at + name.len()..].starts_with(is_inside))
}

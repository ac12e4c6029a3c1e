//! One open stream: who is there, what it wants, what it said.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use wattle_compile::ResourceName as Compiled;
use wattle_wire::delta::{Heard, Publisher};
use wattle_wire::proto::discovery::DeltaDiscoveryResponse;
use wattle_wire::{Kind, ResourceName};

use super::Denied;
use super::access::compiled_name;
use super::guest::Guest;
use super::ledger::Ledger;
use crate::metrics::{Metrics, count};

pub(super) struct Stream {
    pub(super) guest: Guest,
    pub(super) publisher: Publisher,
    pub(super) ledger: Ledger<ResourceName>,
    /// When responses that are not answered yet were sent; at most one for each kind.
    in_flight: BTreeMap<String, Instant>,
}

impl Stream {
    pub(super) fn new(guest: Guest) -> Self {
        Self {
            guest,
            publisher: Publisher::new(),
            ledger: Ledger::default(),
            in_flight: BTreeMap::new(),
        }
    }

    /// Only the inbound sides of the peer's own namespace may be asked for, whose they are is seen when they are compiled;
    /// and only the names that hold there.
    pub(super) fn may_ask_for(&self, name: &ResourceName) -> Result<(), Denied> {
        let namespace = match name.kind {
            Kind::Inbound => name.name.split_once('/').map(|(namespace, _)| namespace),
            Kind::Names => Some(&*name.name),
            Kind::Destination | Kind::Endpoints | Kind::Peer | Kind::Trust => return Ok(()),
        };
        if namespace != Some(self.guest.peer.namespace()) {
            return Err(Denied::Foreign {
                name: name.to_string(),
                peer: self.guest.peer.to_string(),
            });
        }
        Ok(())
    }

    /// The compiler's name for what this peer calls so; a name that cannot exist leads to one that does not.
    pub(super) fn compiled(&self, name: &ResourceName) -> Compiled {
        compiled_name(name, &self.guest.peer).unwrap_or_else(|| Compiled::Endpoints(Arc::from("")))
    }

    /// Takes in acks, nacks and what the proxy says it holds.
    pub(super) fn note(&mut self, heard: &Heard, nonce: &str, now: Instant, metrics: &Metrics) {
        for (name, version) in &heard.held {
            self.ledger.acked(name, Some(version.clone()), now);
        }
        let Some(outcome) = &heard.outcome else { return };
        if let Some(sent) = self.in_flight.remove(nonce) {
            metrics.answered(now.saturating_duration_since(sent));
        }
        count(if outcome.refused.is_some() {
            &metrics.nacks
        } else {
            &metrics.acks
        });
        for (name, version) in &outcome.resources {
            match outcome.problem(name) {
                None => self.ledger.acked(name, version.clone(), now),
                Some(problem) => self.ledger.refused(name, version.clone(), problem, now),
            }
        }
    }

    /// A response left.
    pub(super) fn sent(&mut self, response: &DeltaDiscoveryResponse, now: Instant) {
        self.in_flight.insert(response.nonce.clone(), now);
    }
}

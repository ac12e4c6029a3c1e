//! Whom proxies are to believe: told to all alike, and who has acknowledged it.

use std::sync::Arc;
use std::time::Instant;

use wattle_identity::Peer;
use wattle_model::Trust;
use wattle_wire::{Encoded, Kind, ResourceName};

use super::{Hub, StreamId};
use crate::issuer::{Connected, unix_secs};

/// What there is under this name: there is one trust for the whole mesh.
pub(super) fn of_mesh<'a>(name: &ResourceName, trust: Option<&'a Encoded>) -> Option<&'a Encoded> {
    trust.filter(|_| *name.name == *Trust::NAME)
}

impl Hub {
    /// A stream was opened with this peer's certificate.
    pub(crate) fn shown(&mut self, id: StreamId, peer: Arc<Peer>) {
        self.shown.insert(id, peer);
    }

    /// Whom to believe from now on; all are told at once.
    pub(crate) fn set_trust(&mut self, trust: Encoded, now: Instant) {
        let name = ResourceName::new(Kind::Trust, Trust::NAME);
        self.trust = Some(trust);
        if !self.ready {
            return;
        }
        let wanting = self.streams.iter_mut();
        let wanting = wanting.filter(|(_, stream)| stream.publisher.wanted().any(|wanted| wanted == name));
        let concerned: Vec<StreamId> = wanting
            .map(|(id, stream)| {
                stream.publisher.publish(&name, self.trust.as_ref());
                *id
            })
            .collect();
        for id in concerned {
            self.pump(id, now);
        }
    }

    /// Every open stream: the certificate it was opened with, and whether it acknowledged the newest trust.
    pub(crate) fn connected(&self) -> Vec<Connected> {
        let name = ResourceName::new(Kind::Trust, Trust::NAME);
        let newest = self.trust.as_ref().map(|trust| &trust.version);
        let acknowledged = |id: &StreamId| {
            let entry = self.streams.get(id)?.ledger.entry(&name)?;
            Some(newest.is_some() && entry.acked.as_ref()?.as_ref() == newest)
        };
        self.shown
            .iter()
            .map(|(id, peer)| Connected {
                id: peer.id().clone(),
                serial: peer.serial().into(),
                not_after_secs: unix_secs(peer.not_after()),
                acknowledged: acknowledged(id).unwrap_or_default(),
            })
            .collect()
    }
}

//! Backends as clusters: which there are, and what each is called.
//!
//! A backend is one cluster for each protocol that is spoken to it, since the protocol is agreed on by ALPN: `ID|http/1`,
//! `ID|http/2`, `ID|tcp`. They share one assignment of endpoints, called `ID`.

mod balance;
mod endpoints;
mod health;
mod identity;
mod limits;
mod message;
mod outlier;
mod protocol;
mod tls;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use wattle_model::traffic::Balance;
use wattle_model::{Backend, BackendPolicy, Destination, Endpoint, Endpoints, Hop, Workload};

pub(crate) use endpoints::assignment;
pub(crate) use identity::spiffe;
pub(crate) use limits::bounded;
pub(crate) use message::{connected, discovery};
pub(crate) use protocol::{as_sent as application, http1};
pub(crate) use tls::{Secrets, own_context};

use crate::notes::{Notes, Output};
use crate::{Kind, Scene};

/// A cluster without endpoints: what goes there is refused.
pub(crate) const BLACKHOLE: &str = "blackhole";
/// A cluster that is never there: requests to it get the route's answer for that.
pub(crate) const UNRESOLVED: &str = "unresolved";
/// The base name of "as it was dialled".
const ORIGINAL: &str = "original";

/// What is spoken to a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wire {
    /// HTTP/1.x as it came.
    Http1,
    /// HTTP/2 as it came.
    Http2,
    /// Opaque bytes.
    Opaque,
}

impl Wire {
    /// For names of resources.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Http1 => "http/1",
            Self::Http2 => "http/2",
            Self::Opaque => "tcp",
        }
    }
}

/// Where a backend's endpoints come from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Members {
    /// The dialled address, whatever it is.
    Dialled,
    /// These.
    Known(Arc<Endpoints>),
}

/// One backend under one policy.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) policy: Arc<BackendPolicy>,
    /// Name that a server outside the mesh is asked for, where the policy names none.
    host: Option<Arc<str>>,
    pub(crate) members: Members,
    /// The dialled address is to be the host's that is asked for, which an Envoy does not ask DNS.
    verifies_host: bool,
    /// It is where DNS says that the host is which is asked for, which an Envoy does not ask DNS either.
    by_name: bool,
}

/// The clusters that are referred to.
pub(crate) struct Clusters<'a> {
    scene: &'a Scene<'a>,
    secrets: Secrets,
    entries: BTreeMap<Arc<str>, Entry>,
    wanted: BTreeMap<(Arc<str>, Wire), ()>,
}

impl<'a> Clusters<'a> {
    pub(crate) fn new(scene: &'a Scene<'a>, secrets: Secrets) -> Self {
        Self {
            scene,
            secrets,
            entries: BTreeMap::new(),
            wanted: BTreeMap::new(),
        }
    }

    /// The cluster of the backend at `index`; `None` when there is no such backend.
    pub(crate) fn name(&mut self, destination: &Destination, index: u32, wire: Wire) -> Option<String> {
        let backend = destination.backend(index)?;
        let base = self.base(destination, backend);
        let name = format!("{base}|{}", wire.as_str());
        self.wanted.insert((base, wire), ());
        Some(name)
    }

    /// The base name of a backend; one that brings another policy than its namesake gets a number.
    fn base(&mut self, destination: &Destination, backend: &Backend) -> Arc<str> {
        let entry = Entry {
            policy: Arc::clone(&backend.policy),
            host: backend.service.as_ref().map(|service| Arc::clone(&service.host)),
            members: self.members(destination, backend),
            verifies_host: backend.verifies_host,
            by_name: backend.by_name.is_some(),
        };
        let wanted = match (backend.id.is_empty(), &backend.policy.balance) {
            (true, _) => ORIGINAL.to_owned(),
            (false, Balance::OriginalDestination) => format!("{}|{}", backend.id, destination.name),
            (false, _) => backend.id.to_string(),
        };
        let mut base: Arc<str> = wanted.as_str().into();
        for number in 2u32.. {
            match self.entries.get(&base) {
                Some(known) if *known != entry => base = format!("{wanted}|{number}").into(),
                Some(_) => break,
                None => {
                    self.entries.insert(Arc::clone(&base), entry);
                    break;
                }
            }
        }
        base
    }

    fn members(&self, destination: &Destination, backend: &Backend) -> Members {
        if backend.id.is_empty() {
            return Members::Dialled;
        }
        let known = self.scene.endpoints.get(&backend.id).cloned().unwrap_or_default();
        if backend.policy.balance != Balance::OriginalDestination {
            return Members::Known(known);
        }
        match destination.name.parse() {
            Ok(address) => Members::Known(Arc::new(alone(&known, address))),
            Err(_) => Members::Dialled,
        }
    }

    /// Every backend that was referred to, by its base name.
    pub(crate) fn entries(self) -> BTreeMap<Arc<str>, Entry> {
        self.entries
    }

    /// Writes every cluster that was referred to, and its endpoints.
    pub(crate) fn write(self, output: &mut Output, notes: &mut Notes) {
        output.add(Kind::Cluster, BLACKHOLE, &message::blackhole());
        for (base, wire) in self.wanted.keys() {
            let Some(entry) = self.entries.get(base) else {
                continue;
            };
            notes.at(entry.policy.origins.first(), base);
            if entry.verifies_host {
                notes.gap("the dialled address is not verified to be the host's: an Envoy takes the caller's word for the host");
            }
            if entry.by_name {
                notes.gap("the name that is asked for is not resolved: an Envoy goes to the address that was dialled, whatever name it is told");
            }
            let of = message::Of {
                base,
                wire: *wire,
                entry,
                scene: self.scene,
                secrets: &self.secrets,
            };
            output.add(
                Kind::Cluster,
                &format!("{base}|{}", wire.as_str()),
                &of.message(notes),
            );
            if let Members::Known(endpoints) = &entry.members
                && endpoints.names.is_empty()
            {
                let assigned = assignment(base, endpoints, &entry.policy, self.scene);
                output.add(Kind::Endpoints, base, &assigned);
            }
        }
    }
}

/// The dialled address alone, as the backend's endpoint there, else as if it were outside the mesh.
fn alone(known: &Endpoints, address: SocketAddr) -> Endpoints {
    let there = known
        .endpoints
        .iter()
        .find(|endpoint| endpoint.address == address);
    let outside = || Endpoint {
        address,
        weight: 1,
        health: Default::default(),
        locality: Default::default(),
        hop: Hop::Plaintext,
        workload: Arc::new(Workload::default()),
        labels: Vec::new(),
    };
    Endpoints {
        id: Arc::clone(&known.id),
        endpoints: vec![there.cloned().unwrap_or_else(outside)],
        names: Vec::new(),
    }
}

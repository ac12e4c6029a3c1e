//! The addresses behind a backend.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::{BackendId, Workload};

/// All endpoints of one backend.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Endpoints {
    /// The backend.
    pub id: BackendId,
    /// Its endpoints, sorted by address.
    pub endpoints: Vec<Endpoint>,
    /// Endpoints that are names, to be resolved by whoever connects; sorted by name. None of them reaches a worker.
    pub names: Vec<NamedEndpoint>,
}

/// An endpoint that is a DNS name (Istio ServiceEntry `resolution: DNS`).
#[derive(Clone, Debug, PartialEq)]
pub struct NamedEndpoint {
    /// Name to resolve, absolute, without a trailing dot.
    pub host: Arc<str>,
    /// Port to connect to.
    pub port: u16,
    /// All else that is said of each address it resolves to; the address itself is not used.
    pub template: Endpoint,
    /// Only the first address counts (Istio `DNS_ROUND_ROBIN`); otherwise each is an endpoint.
    pub single: bool,
}

/// One address.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Where to connect.
    pub address: SocketAddr,
    /// Share relative to the others, at least 1.
    pub weight: u32,
    /// Whether the platform calls it healthy.
    pub health: EndpointHealth,
    /// Where it runs.
    pub locality: Locality,
    /// How to reach it.
    pub hop: Hop,
    /// The workload behind it: labels of metrics, and the identity that must be found there.
    pub workload: Arc<Workload>,
    /// Labels that a policy of locality compares, and no others.
    pub labels: Vec<(Arc<str>, Arc<str>)>,
}

#[cfg(test)]
impl Endpoint {
    pub(crate) fn example() -> Self {
        Self {
            address: SocketAddr::from(([10, 0, 0, 1], 80)),
            weight: 1,
            health: EndpointHealth::Healthy,
            locality: Locality::default(),
            hop: Hop::Plaintext,
            workload: Arc::default(),
            labels: Vec::new(),
        }
    }
}

/// What the platform says of an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EndpointHealth {
    /// Ready for traffic.
    #[default]
    Healthy,
    /// Finishing; no new requests unless nothing else is left.
    Draining,
    /// Not ready; never picked.
    Unhealthy,
}

/// Region, zone and sub-zone; empty parts are unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locality {
    /// Region.
    pub region: Arc<str>,
    /// Zone.
    pub zone: Arc<str>,
    /// Sub-zone.
    pub subzone: Arc<str>,
}

/// How the connection to an endpoint is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hop {
    /// No proxy there: as the application sent it.
    Plaintext,
    /// Mutual TLS; the peer must be exactly the workload's identity.
    MutualTls,
}

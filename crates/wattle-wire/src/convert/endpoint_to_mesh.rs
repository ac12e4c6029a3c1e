//! Endpoints and peers to messages.

use wattle_model::{Endpoint, EndpointHealth, Endpoints, Hop, NamedEndpoint};

use super::parts_to_mesh::{labels, locality, workload};
use crate::Peer;
use crate::proto::mesh;

pub(crate) fn endpoints(value: &Endpoints) -> mesh::Endpoints {
    mesh::Endpoints {
        id: value.id.to_string(),
        endpoints: value.endpoints.iter().map(endpoint).collect(),
        names: value.names.iter().map(named).collect(),
    }
}

fn named(value: &NamedEndpoint) -> mesh::NamedEndpoint {
    mesh::NamedEndpoint {
        host: value.host.to_string(),
        port: value.port.into(),
        template: Some(endpoint(&value.template)),
        single: value.single,
    }
}

fn endpoint(value: &Endpoint) -> mesh::Endpoint {
    mesh::Endpoint {
        address: value.address.to_string(),
        weight: value.weight,
        health: match value.health {
            EndpointHealth::Healthy => mesh::EndpointHealth::Healthy,
            EndpointHealth::Draining => mesh::EndpointHealth::Draining,
            EndpointHealth::Unhealthy => mesh::EndpointHealth::Unhealthy,
        } as i32,
        locality: locality(&value.locality),
        hop: match value.hop {
            Hop::Plaintext => mesh::Hop::Plaintext,
            Hop::MutualTls => mesh::Hop::MutualTls,
        } as i32,
        workload: Some(workload(&value.workload)),
        labels: labels(&value.labels),
    }
}

pub(crate) fn peer(value: &Peer) -> mesh::Peer {
    mesh::Peer {
        ip: value.ip.to_string(),
        workload: Some(workload(&value.workload)),
    }
}

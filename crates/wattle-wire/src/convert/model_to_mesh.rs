//! Model values to messages: destinations, endpoints, inbound, peers.

use wattle_model::{
    Backend, Destination, Endpoint, EndpointHealth, Endpoints, Hop, Inbound, InboundPort, Locality, MtlsMode,
    ObjectRef, Protocol, ServicePort, Workload,
};

use super::{policy_to_mesh, route_to_mesh};
use crate::Peer;
use crate::proto::mesh;

pub(crate) fn destination(value: &Destination) -> mesh::Destination {
    mesh::Destination {
        name: value.name.to_string(),
        service: value.service.as_ref().map(service_port),
        protocol: protocol(value.protocol),
        rules: value.routes.rules().iter().map(route_to_mesh::rule).collect(),
        backends: value.backends.iter().map(backend).collect(),
        default_backend_plus_one: plus_one(value.default_backend),
    }
}

fn backend(value: &Backend) -> mesh::Backend {
    mesh::Backend {
        id: value.id.to_string(),
        service: value.service.as_ref().map(service_port),
        protocol: protocol(value.protocol),
    }
}

pub(crate) fn endpoints(value: &Endpoints) -> mesh::Endpoints {
    mesh::Endpoints {
        id: value.id.to_string(),
        endpoints: value.endpoints.iter().map(endpoint).collect(),
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
    }
}

fn locality(value: &Locality) -> Option<mesh::Locality> {
    (*value != Locality::default()).then(|| mesh::Locality {
        region: value.region.to_string(),
        zone: value.zone.to_string(),
        subzone: value.subzone.to_string(),
    })
}

pub(crate) fn peer(value: &Peer) -> mesh::Peer {
    mesh::Peer {
        ip: value.ip.to_string(),
        workload: Some(workload(&value.workload)),
    }
}

pub(crate) fn workload(value: &Workload) -> mesh::Workload {
    mesh::Workload {
        namespace: value.namespace.to_string(),
        name: value.name.to_string(),
        instance: value.instance.to_string(),
        service_account: value.service_account.to_string(),
        trust_domain: value.trust_domain.to_string(),
        app: value.app.to_string(),
        version: value.version.to_string(),
        canonical_service: value.canonical_service.to_string(),
        canonical_revision: value.canonical_revision.to_string(),
        cluster: value.cluster.to_string(),
    }
}

pub(crate) fn inbound(value: &Inbound) -> mesh::Inbound {
    mesh::Inbound {
        name: value.name.to_string(),
        workload: Some(workload(&value.workload)),
        ports: value.ports.iter().map(inbound_port).collect(),
        mtls: mtls(value.mtls),
        mtls_origin: value.mtls_origin.as_ref().map(object_ref),
        authorization: Some(policy_to_mesh::authorization(&value.authorization)),
    }
}

fn inbound_port(value: &InboundPort) -> mesh::InboundPort {
    mesh::InboundPort {
        port: value.port.into(),
        protocol: protocol(value.protocol),
        mtls: mtls(value.mtls),
        mtls_origin: value.mtls_origin.as_ref().map(object_ref),
        service: value.service.as_ref().map(service_port),
    }
}

fn mtls(mode: MtlsMode) -> i32 {
    match mode {
        MtlsMode::Permissive => mesh::MtlsMode::Permissive as i32,
        MtlsMode::Strict => mesh::MtlsMode::Strict as i32,
        MtlsMode::Disable => mesh::MtlsMode::Disable as i32,
    }
}

pub(crate) fn object_ref(value: &ObjectRef) -> mesh::ObjectRef {
    mesh::ObjectRef {
        kind: value.kind.to_string(),
        namespace: value.namespace.to_string(),
        name: value.name.to_string(),
        file: value.file.to_string(),
        line: value.line,
    }
}

fn service_port(value: &ServicePort) -> mesh::ServicePort {
    mesh::ServicePort {
        namespace: value.namespace.to_string(),
        name: value.name.to_string(),
        host: value.host.to_string(),
        port: value.port.into(),
    }
}

fn protocol(value: Protocol) -> i32 {
    (match value {
        Protocol::Detect => mesh::Protocol::Detect,
        Protocol::Tcp => mesh::Protocol::Tcp,
        Protocol::Tls => mesh::Protocol::Tls,
        Protocol::Http1 => mesh::Protocol::Http1,
        Protocol::Http2 => mesh::Protocol::Http2,
        Protocol::Grpc => mesh::Protocol::Grpc,
    }) as i32
}

pub(crate) fn plus_one(index: Option<u32>) -> u32 {
    index.map_or(0, |index| index.saturating_add(1))
}

//! Messages to model values: destinations, endpoints, inbound, peers. Refuses what makes no sense.

use std::sync::Arc;

use wattle_model::{
    Backend, Destination, Endpoint, EndpointHealth, Endpoints, Hop, Inbound, InboundPort, Locality, MtlsMode,
    ObjectRef, Protocol, RouteTable, ServicePort, Workload,
};

use super::{DecodeError, Reader, authorization_to_model, route_to_model};
use crate::Peer;
use crate::proto::mesh;

type Decoded<T> = Result<T, DecodeError>;

pub(crate) fn destination(reader: &mut Reader, message: mesh::Destination) -> Decoded<Destination> {
    let backends = reader.list("backends", message.backends, backend)?;
    let count = backends.len();
    let rules = reader.list("rules", message.rules, |reader, rule| {
        route_to_model::rule(reader, rule, count)
    })?;
    let default_backend = reader.at("default_backend", |reader| {
        backend_index(reader, message.default_backend_plus_one, count)
    })?;
    Ok(Destination {
        name: reader.at("name", |reader| reader.text(message.name))?,
        service: optional(reader, "service", message.service, service_port)?,
        protocol: reader.at("protocol", |reader| protocol(reader, message.protocol))?,
        scopes: Vec::new(),
        routes: RouteTable::new(rules),
        connections: Vec::new(),
        backends,
        default_backend,
    })
}

fn backend(reader: &mut Reader, message: mesh::Backend) -> Decoded<Backend> {
    Ok(Backend {
        id: reader.at("id", |reader| reader.text(message.id))?,
        service: optional(reader, "service", message.service, service_port)?,
        protocol: reader.at("protocol", |reader| protocol(reader, message.protocol))?,
        ..Backend::default()
    })
}

pub(crate) fn backend_index(reader: &Reader, plus_one: u32, count: usize) -> Decoded<Option<u32>> {
    match plus_one.checked_sub(1) {
        None => Ok(None),
        Some(index) if (index as usize) < count => Ok(Some(index)),
        Some(index) => Err(reader.error(format!("refers to backend {index} of {count}"))),
    }
}

pub(crate) fn endpoints(reader: &mut Reader, message: mesh::Endpoints) -> Decoded<Endpoints> {
    Ok(Endpoints {
        id: reader.at("id", |reader| reader.text(message.id))?,
        endpoints: reader.list("endpoints", message.endpoints, endpoint)?,
        names: Vec::new(),
    })
}

fn endpoint(reader: &mut Reader, message: mesh::Endpoint) -> Decoded<Endpoint> {
    let address = reader.at("address", |reader| {
        message
            .address
            .parse()
            .map_err(|_| reader.error(format!("\"{}\" is not ip:port", message.address)))
    })?;
    let health = match mesh::EndpointHealth::try_from(message.health) {
        Ok(mesh::EndpointHealth::Healthy) => EndpointHealth::Healthy,
        Ok(mesh::EndpointHealth::Draining) => EndpointHealth::Draining,
        Ok(mesh::EndpointHealth::Unhealthy) | Err(_) => EndpointHealth::Unhealthy,
    };
    let hop = match mesh::Hop::try_from(message.hop) {
        Ok(mesh::Hop::Plaintext) => Hop::Plaintext,
        Ok(mesh::Hop::MutualTls) => Hop::MutualTls,
        Err(_) => return Err(reader.error(format!("hop {} is not known", message.hop))),
    };
    let locality = message.locality.unwrap_or_default();
    Ok(Endpoint {
        address,
        weight: message.weight.max(1),
        health,
        locality: Locality {
            region: reader.text(locality.region)?,
            zone: reader.text(locality.zone)?,
            subzone: reader.text(locality.subzone)?,
        },
        hop,
        workload: Arc::new(workload(reader, message.workload.unwrap_or_default())?),
        labels: Vec::new(),
    })
}

pub(crate) fn peer(reader: &mut Reader, message: mesh::Peer) -> Decoded<Peer> {
    let ip = message
        .ip
        .parse()
        .map_err(|_| reader.error(format!("\"{}\" is not an ip address", message.ip)))?;
    Ok(Peer {
        ip,
        workload: workload(reader, message.workload.unwrap_or_default())?,
    })
}

fn workload(reader: &mut Reader, message: mesh::Workload) -> Decoded<Workload> {
    reader.at("workload", |reader| {
        Ok(Workload {
            namespace: reader.text(message.namespace)?,
            name: reader.text(message.name)?,
            instance: reader.text(message.instance)?,
            service_account: reader.text(message.service_account)?,
            trust_domain: reader.text(message.trust_domain)?,
            app: reader.text(message.app)?,
            version: reader.text(message.version)?,
            canonical_service: reader.text(message.canonical_service)?,
            canonical_revision: reader.text(message.canonical_revision)?,
            cluster: reader.text(message.cluster)?,
        })
    })
}

pub(crate) fn inbound(reader: &mut Reader, message: mesh::Inbound) -> Decoded<Inbound> {
    // An Inbound without its authorization would allow everybody: absent is refused, empty is meant.
    let authorization = reader.required(message.authorization, "authorization")?;
    Ok(Inbound {
        name: reader.at("name", |reader| reader.text(message.name))?,
        workload: workload(reader, message.workload.unwrap_or_default())?,
        ports: reader.list("ports", message.ports, inbound_port)?,
        mtls: reader.at("mtls", |reader| mtls(reader, message.mtls))?,
        mtls_origin: optional(reader, "mtls_origin", message.mtls_origin, object_ref)?,
        authorization: reader.at("authorization", |reader| {
            authorization_to_model::authorization(reader, authorization)
        })?,
        ..Inbound::default()
    })
}

fn inbound_port(reader: &mut Reader, message: mesh::InboundPort) -> Decoded<InboundPort> {
    Ok(InboundPort {
        port: reader.port(message.port)?,
        protocol: reader.at("protocol", |reader| protocol(reader, message.protocol))?,
        mtls: reader.at("mtls", |reader| mtls(reader, message.mtls))?,
        mtls_origin: optional(reader, "mtls_origin", message.mtls_origin, object_ref)?,
        service: optional(reader, "service", message.service, service_port)?,
        target: None,
    })
}

fn mtls(reader: &Reader, mode: i32) -> Decoded<MtlsMode> {
    match mesh::MtlsMode::try_from(mode) {
        Ok(mesh::MtlsMode::Permissive) => Ok(MtlsMode::Permissive),
        Ok(mesh::MtlsMode::Strict) => Ok(MtlsMode::Strict),
        Ok(mesh::MtlsMode::Disable) => Ok(MtlsMode::Disable),
        Err(_) => Err(reader.error(format!("mode {mode} is not known"))),
    }
}

pub(crate) fn object_ref(reader: &mut Reader, message: mesh::ObjectRef) -> Decoded<ObjectRef> {
    Ok(ObjectRef {
        kind: reader.text(message.kind)?,
        namespace: reader.text(message.namespace)?,
        name: reader.text(message.name)?,
        file: reader.text(message.file)?,
        line: message.line,
    })
}

fn service_port(reader: &mut Reader, message: mesh::ServicePort) -> Decoded<ServicePort> {
    Ok(ServicePort {
        namespace: reader.text(message.namespace)?,
        name: reader.text(message.name)?,
        host: reader.text(message.host)?,
        port: reader.port(message.port)?,
    })
}

fn protocol(reader: &Reader, protocol: i32) -> Decoded<Protocol> {
    Ok(match mesh::Protocol::try_from(protocol) {
        Ok(mesh::Protocol::Detect) => Protocol::Detect,
        Ok(mesh::Protocol::Tcp) => Protocol::Tcp,
        Ok(mesh::Protocol::Tls) => Protocol::Tls,
        Ok(mesh::Protocol::Http1) => Protocol::Http1,
        Ok(mesh::Protocol::Http2) => Protocol::Http2,
        Ok(mesh::Protocol::Grpc) => Protocol::Grpc,
        Err(_) => return Err(reader.error(format!("protocol {protocol} is not known"))),
    })
}

fn optional<M, T>(
    reader: &mut Reader,
    field: &'static str,
    message: Option<M>,
    read: impl FnOnce(&mut Reader, M) -> Decoded<T>,
) -> Decoded<Option<T>> {
    match message {
        None => Ok(None),
        Some(message) => reader.at(field, |reader| read(reader, message)).map(Some),
    }
}

//! Messages to endpoints and peers. Refuses what makes no sense.

use std::str::FromStr;
use std::sync::Arc;

use wattle_model::{Endpoint, EndpointHealth, Endpoints, Hop, NamedEndpoint};

use super::parts_to_model::{labels, locality, workload};
use super::{Decoded, Reader};
use crate::Peer;
use crate::proto::mesh;

pub(crate) fn endpoints(reader: &mut Reader, message: mesh::Endpoints) -> Decoded<Endpoints> {
    Ok(Endpoints {
        id: reader.text("id", message.id)?,
        endpoints: reader.list("endpoints", message.endpoints, endpoint)?,
        names: reader.list("names", message.names, named)?,
    })
}

fn named(reader: &mut Reader, message: mesh::NamedEndpoint) -> Decoded<NamedEndpoint> {
    if message.host.is_empty() {
        return Err(reader.error("host is missing"));
    }
    Ok(NamedEndpoint {
        host: reader.text("host", message.host)?,
        port: reader.port("port", message.port)?,
        // Without it the endpoint would be reached in plaintext.
        template: reader.required("template", message.template, endpoint)?,
        single: message.single,
    })
}

fn endpoint(reader: &mut Reader, message: mesh::Endpoint) -> Decoded<Endpoint> {
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
    Ok(Endpoint {
        address: address(reader, "address", "ip:port", &message.address)?,
        weight: message.weight.max(1),
        health,
        locality: locality(reader, message.locality)?,
        hop,
        workload: Arc::new(workload(reader, message.workload)?),
        labels: labels(reader, "labels", message.labels)?,
    })
}

pub(crate) fn peer(reader: &mut Reader, message: mesh::Peer) -> Decoded<Peer> {
    Ok(Peer {
        ip: address(reader, "ip", "an ip address", &message.ip)?,
        workload: workload(reader, message.workload)?,
    })
}

/// An address in its usual spelling.
pub(super) fn address<T: FromStr>(
    reader: &mut Reader,
    field: &'static str,
    expected: &str,
    text: &str,
) -> Decoded<T> {
    reader.at(field, |reader| {
        text.parse()
            .map_err(|_| reader.error(format!("\"{text}\" is not {expected}")))
    })
}

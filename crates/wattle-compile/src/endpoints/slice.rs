//! Endpoints of a Service without a selector: its EndpointSlices.

use std::net::SocketAddr;
use std::sync::Arc;

use wattle_api::{
    Address, EndpointConditions, EndpointSlice, Object, Protocol as Transport, Resource, Service,
    ServicePort, SliceEndpoint, TargetPort,
};
use wattle_model::{Endpoint, EndpointHealth, Hop, Locality, Workload};

use crate::view::View;
use crate::{Name, Read};

/// The endpoints behind a port, of all slices. Names are left out: a slice of them is reported, and nothing is sent there.
pub(super) fn endpoints(service: &Resource<Service>, port: &ServicePort, view: &View<'_>) -> Vec<Endpoint> {
    let name: Name = (
        Arc::clone(&service.meta.namespace),
        Arc::clone(&service.meta.name),
    );
    let mut found = Vec::new();
    for slice in slices(&name, view) {
        let Some(number) = number(slice, port) else {
            continue;
        };
        let endpoints = slice.spec.endpoints.iter();
        found.extend(endpoints.filter_map(|written| endpoint(written, number, &name, view)));
    }
    found
}

/// The slices of a Service.
pub(crate) fn slices<'a>(
    service: &Name,
    view: &View<'a>,
) -> impl Iterator<Item = &'a Resource<EndpointSlice>> + use<'a> {
    let found = view.found(Read::SlicesOf(service.clone()));
    found.filter_map(|object| match object {
        Object::EndpointSlice(slice) => Some(slice),
        _ => None,
    })
}

/// The number of a Service port in a slice: of the port of its name, and its target where the slice means every port.
pub(crate) fn number(slice: &Resource<EndpointSlice>, port: &ServicePort) -> Option<u16> {
    let wanted = port.name.as_deref().unwrap_or("");
    let mut ports = slice.spec.ports.iter();
    let found = ports.find(|known| known.name == wanted && known.protocol == Transport::Tcp)?;
    let target = match &port.target_port {
        TargetPort::Number(number) => Some(*number),
        TargetPort::Name(_) => None,
    };
    found.port.or(target).map(wattle_api::Port::number)
}

fn endpoint(written: &SliceEndpoint, port: u16, service: &Name, view: &View<'_>) -> Option<Endpoint> {
    let Address::Ip(address) = *written.addresses.first()? else {
        return None;
    };
    let health = health(written.conditions);
    let zone = Locality {
        zone: written.zone.as_deref().unwrap_or("").into(),
        ..Locality::default()
    };
    // A workload of the mesh that is listed here is reached as what it is.
    if let Some(instance) = view.workload_at(address) {
        let known = super::endpoint(instance, port, view)?;
        let locality = if known.locality == Locality::default() {
            zone
        } else {
            known.locality
        };
        return Some(Endpoint {
            health,
            locality,
            ..known
        });
    }
    let target = written.target_ref.as_ref().map_or("", |target| &target.name);
    let workload = Workload {
        namespace: Arc::clone(&service.0),
        name: target.into(),
        instance: target.into(),
        ..Workload::default()
    };
    Some(Endpoint {
        address: SocketAddr::new(address, port),
        weight: 1,
        health,
        locality: zone,
        hop: Hop::Plaintext,
        workload: Arc::new(workload),
        labels: Vec::new(),
    })
}

fn health(conditions: EndpointConditions) -> EndpointHealth {
    match conditions {
        EndpointConditions { ready: true, .. } => EndpointHealth::Healthy,
        EndpointConditions {
            serving: true,
            terminating: true,
            ..
        } => EndpointHealth::Draining,
        _ => EndpointHealth::Unhealthy,
    }
}

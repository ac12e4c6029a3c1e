//! The addresses behind a backend.

use std::net::SocketAddr;
use std::sync::Arc;

use wattle_api::{Labels, TargetPort};
use wattle_model::{BackendId, Endpoint, EndpointHealth, Endpoints, Hop, MtlsMode};

use crate::istio::{entry, subset};
use crate::view::{View, selects};
use crate::{Instance, Name, backend, peer_authentication};

pub(crate) mod slice;

/// The endpoints of `namespace/service:port`, or of a workload's own `ip:port`; `None` when there is no such backend.
pub(crate) fn endpoints(id: &BackendId, view: &View<'_>) -> Option<Endpoints> {
    let (whole, labels) = subset::of_id(id);
    if let Some((name, port)) = backend::of_id(whole).filter(|(name, _)| name.1.contains('.')) {
        return entry::endpoints(id, &name, port, &labels, view).map(sorted);
    }
    let endpoints = match id.parse::<SocketAddr>() {
        Ok(address) => vec![endpoint(view.workload_at(address.ip())?, address.port(), view)?],
        Err(_) => {
            let (name, port) = backend::of_id(whole)?;
            of_service(&name, port, &labels, view)?
        }
    };
    Some(sorted(Endpoints {
        id: Arc::clone(id),
        endpoints,
        names: Vec::new(),
    }))
}

/// The workloads behind a backend or a part of it, whether they run or not, each with the port it listens on.
pub(crate) fn workloads<'a>(id: &str, view: &View<'a>) -> Vec<(&'a Arc<Instance>, u16)> {
    let (whole, labels) = subset::of_id(id);
    if let Ok(address) = whole.parse::<SocketAddr>() {
        let found = view.workload_at(address.ip());
        return found
            .map(|instance| (instance, address.port()))
            .into_iter()
            .collect();
    }
    let Some((name, port)) = backend::of_id(whole) else {
        return Vec::new();
    };
    let mut all = if name.1.contains('.') {
        entry::workloads(&name, port, view)
    } else {
        behind(&name, port, view).into_iter().flatten().collect()
    };
    all.retain(|(instance, _)| selects(&labels, &instance.labels));
    all
}

fn sorted(mut found: Endpoints) -> Endpoints {
    let endpoints = &mut found.endpoints;
    endpoints.sort_by(|a, b| (a.address, &a.workload.instance).cmp(&(b.address, &b.workload.instance)));
    // Two entries of one address are one endpoint.
    endpoints.dedup_by(|later, kept| later.address == kept.address);
    found
        .names
        .sort_by(|a, b| (&a.host, a.port).cmp(&(&b.host, b.port)));
    found
}

/// Those behind a port of a Service that have all of `labels`.
fn of_service(name: &Name, number: u16, labels: &Labels, view: &View<'_>) -> Option<Vec<Endpoint>> {
    let service = view.service(name)?;
    let port = backend::port(&service.spec, number)?;
    let mut found: Vec<_> = if service.spec.selector.is_empty() {
        slice::endpoints(service, port, view)
    } else {
        behind(name, number, view)?
            .filter(|(instance, _)| selects(labels, &instance.labels))
            .filter_map(|(instance, port)| endpoint(instance, port, view))
            .collect()
    };
    if service.spec.traffic.publish_not_ready_addresses {
        found
            .iter_mut()
            .for_each(|endpoint| endpoint.health = EndpointHealth::Healthy);
    }
    Some(found)
}

/// The workloads behind a port of a Service, each with the port it listens on.
pub(crate) fn behind<'a>(
    name: &Name,
    number: u16,
    view: &View<'a>,
) -> Option<impl Iterator<Item = (&'a Arc<Instance>, u16)> + use<'a>> {
    let service = view.service(name)?;
    let port = backend::port(&service.spec, number)?;
    let instances = view.selected(&name.0, &service.spec.selector);
    Some(
        instances
            .into_iter()
            .filter_map(move |instance| Some((instance, target(port, instance)?))),
    )
}

/// The port a workload listens on for a port of a Service: its own entry for the Service port's name wins, as in Istio.
pub(crate) fn target(port: &wattle_api::ServicePort, instance: &Instance) -> Option<u16> {
    let entry = instance
        .address
        .is_some()
        .then_some(port.name.as_deref())
        .flatten();
    entry
        .and_then(|name| instance.port_named(name))
        .or_else(|| match &port.target_port {
            TargetPort::Number(number) => Some(number.number()),
            TargetPort::Name(name) => instance.port_named(name),
        })
}

pub(crate) fn endpoint(instance: &Instance, port: u16, view: &View<'_>) -> Option<Endpoint> {
    let disabled = peer_authentication::effective(instance, view).on(port).0 == MtlsMode::Disable;
    Some(Endpoint {
        address: SocketAddr::new(instance.address?, port),
        weight: instance.weight.max(1),
        health: instance.health,
        locality: instance.locality.clone(),
        hop: if instance.meshed && !disabled {
            Hop::MutualTls
        } else {
            Hop::Plaintext
        },
        workload: Arc::clone(&instance.workload),
        labels: compared(&instance.labels, view),
    })
}

/// The labels that some policy of locality compares.
pub(crate) fn compared(labels: &Labels, view: &View<'_>) -> Vec<(Arc<str>, Arc<str>)> {
    let compared = view.compared_labels();
    let wanted = labels.iter().filter(|(key, _)| compared.contains(key.as_str()));
    wanted
        .map(|(key, value)| (key.as_str().into(), value.as_str().into()))
        .collect()
}

//! What a host of a ServiceEntry leads to.

use std::net::SocketAddr;
use std::sync::Arc;

use wattle_api::istio::{EntryPort, Resolution, ServiceEntry};
use wattle_api::{Address, Labels, Resource, WorkloadEntry};
use wattle_model::{BackendId, Endpoint, EndpointHealth, Endpoints, Hop, NamedEndpoint, Workload};

use crate::instance;
use crate::view::{View, selects};
use crate::{Instance, Name, endpoints as known};

/// The endpoints of `namespace/host:port`, or of the part that has these labels.
pub(crate) fn endpoints(
    id: &BackendId,
    name: &Name,
    port: u16,
    labels: &Labels,
    view: &View<'_>,
) -> Option<Endpoints> {
    let (entry, port) = port_of(name, port, view)?;
    let mut found = Endpoints {
        id: Arc::clone(id),
        ..Endpoints::default()
    };
    if entry.spec.workload_selector.is_some() {
        let fitting = selected(entry, port, view).filter(|(instance, _)| selects(labels, &instance.labels));
        let reached = fitting.filter_map(|(instance, number)| known::endpoint(instance, number, view));
        found.endpoints.extend(reached);
        return Some(found);
    }
    for (index, written) in entry.spec.endpoints.iter().enumerate() {
        if selects(labels, &written.labels) {
            add(&mut found, entry, (index, written), port, view);
        }
    }
    let resolution = entry.spec.resolution;
    if entry.spec.endpoints.is_empty() && matches!(resolution, Resolution::Dns | Resolution::DnsRoundRobin) {
        let template = template(entry, 0, None, view);
        found
            .names
            .push(named(&name.1, target(port), template, resolution));
    }
    Some(found)
}

/// The workloads that the `workloadSelector` of a host's entry selects, each with the port it listens on.
pub(crate) fn workloads<'a>(name: &Name, port: u16, view: &View<'a>) -> Vec<(&'a Arc<Instance>, u16)> {
    let found = port_of(name, port, view).into_iter();
    found
        .flat_map(|(entry, port)| selected(entry, port, view))
        .collect()
}

fn port_of<'a>(
    name: &Name,
    port: u16,
    view: &View<'a>,
) -> Option<(&'a Resource<ServiceEntry>, &'a EntryPort)> {
    let entries = view.entries_of(&name.1).into_iter();
    let mut own = entries.filter(|entry| entry.meta.namespace == name.0);
    own.find_map(|entry| {
        let mut ports = entry.spec.ports.iter();
        Some((&**entry, ports.find(|written| written.number.number() == port)?))
    })
}

fn selected<'a>(
    entry: &'a Resource<ServiceEntry>,
    port: &'a EntryPort,
    view: &View<'a>,
) -> impl Iterator<Item = (&'a Arc<Instance>, u16)> + use<'a> {
    let selector = entry.spec.workload_selector.as_ref();
    let instances = selector.map(|selector| view.selected(&entry.meta.namespace, &selector.labels));
    instances.into_iter().flatten().map(|instance| {
        let own = instance.port_named(&port.name);
        (instance, own.unwrap_or_else(|| target(port)))
    })
}

/// The port of an endpoint unless it says otherwise.
fn target(port: &EntryPort) -> u16 {
    port.target_port.unwrap_or(port.number).number()
}

fn add(
    found: &mut Endpoints,
    entry: &Resource<ServiceEntry>,
    (index, written): (usize, &WorkloadEntry),
    port: &EntryPort,
    view: &View<'_>,
) {
    let number = written
        .ports
        .get(&port.name)
        .map_or_else(|| target(port), |own| own.number());
    let endpoint = template(entry, index, Some(written), view);
    match &written.address {
        Address::Ip(address) => found.endpoints.push(Endpoint {
            address: SocketAddr::new(*address, number),
            ..endpoint
        }),
        Address::Host(host) => found
            .names
            .push(named(host, number, endpoint, entry.spec.resolution)),
        // Not reached by address; `diagnose` says so.
        Address::Unix(_) | Address::Unknown => {}
    }
}

fn named(host: &str, port: u16, template: Endpoint, resolution: Resolution) -> NamedEndpoint {
    NamedEndpoint {
        host: host.into(),
        port,
        template,
        single: resolution == Resolution::DnsRoundRobin,
    }
}

/// All of an endpoint but its address. It has no proxy of this mesh: one that has is a WorkloadEntry of its own. Of another
/// mesh's it is known who must be found there, where the ServiceEntry says so.
fn template(
    entry: &Resource<ServiceEntry>,
    index: usize,
    written: Option<&WorkloadEntry>,
    view: &View<'_>,
) -> Endpoint {
    let meta = &entry.meta;
    let locality = written.and_then(|written| written.locality.as_deref());
    let described = Workload {
        namespace: Arc::clone(&meta.namespace),
        name: Arc::clone(&meta.name),
        instance: format!("{}-{index}", meta.name).into(),
        canonical_service: Arc::clone(&meta.name),
        canonical_revision: "latest".into(),
        cluster: Arc::clone(&view.settings.cluster),
        ..Workload::default()
    };
    let account = written.and_then(|written| written.service_account.as_deref());
    let workload = match (peer(&entry.spec), account) {
        (Some((trust_domain, namespace, account)), _) => Workload {
            trust_domain: view.settings.canonical(trust_domain),
            namespace: namespace.into(),
            service_account: account.into(),
            ..described
        },
        (None, Some(account)) if entry.spec.subject_alt_names.is_empty() => Workload {
            trust_domain: Arc::clone(&view.settings.trust_domain),
            service_account: account.into(),
            ..described
        },
        (None, _) => described,
    };
    Endpoint {
        address: SocketAddr::from(([0, 0, 0, 0], 0)),
        weight: written.and_then(|written| written.weight).unwrap_or(1).max(1),
        health: EndpointHealth::Healthy,
        locality: locality.map(instance::locality).unwrap_or_default(),
        hop: Hop::Plaintext,
        workload: Arc::new(workload),
        labels: written.map_or_else(Vec::new, |written| known::compared(&written.labels, view)),
    }
}

/// Who answers at every endpoint (trust domain, namespace, account), for mutual TLS as meshes speak it: the one name that
/// is given.
pub(crate) fn peer(entry: &ServiceEntry) -> Option<(&str, &str, &str)> {
    let [name] = &entry.subject_alt_names[..] else {
        return None;
    };
    let (trust_domain, path) = name.strip_prefix("spiffe://")?.split_once("/ns/")?;
    let (namespace, account) = path.split_once("/sa/")?;
    let parts = [trust_domain, namespace, account];
    parts
        .iter()
        .all(|part| !part.is_empty() && !part.contains('/'))
        .then_some((trust_domain, namespace, account))
}

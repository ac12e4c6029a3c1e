//! What the inbound proxies behind each backend say.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use wattle_compile::{Instance, Mesh};
use wattle_model::traffic::UpstreamTls;
use wattle_model::{
    Backend, BackendId, Endpoint, EndpointHealth, Endpoints, Filters, Hop, Inbound, MtlsMode, Reason, Share,
    host_of,
};

use super::asked::{Asked, Head, described};
use super::inbound::judge;
use super::route::{Routed, backend_filters, filtered};
use super::{BackendStep, WorkloadStep, said};

pub(super) fn steps(mesh: &mut Mesh, asked: &Asked, route: &Routed<'_>) -> Vec<BackendStep> {
    if !route.forwards {
        return Vec::new();
    }
    route
        .shares
        .iter()
        .enumerate()
        .map(|(position, share)| backend(mesh, asked, route, position, share))
        .collect()
}

fn backend(
    mesh: &mut Mesh,
    asked: &Asked,
    route: &Routed<'_>,
    position: usize,
    share: &Share<'_>,
) -> BackendStep {
    let own = backend_filters(route.rule, position);
    let mut step = BackendStep {
        name: share.written.to_string(),
        id: share
            .backend
            .map(|backend| backend.id.to_string())
            .unwrap_or_default(),
        percent: share.percent,
        problem: None,
        filters: own.map(said::filters).unwrap_or_default(),
        policy: Vec::new(),
        outside: Vec::new(),
        workloads: Vec::new(),
    };
    let Some(found) = share.backend else {
        step.problem = Some(Reason::NoBackend.id().to_owned());
        return step;
    };
    step.policy = said::policy(&found.policy);
    if found.id.is_empty() {
        unnamed(&mut step, found, asked, route);
        return step;
    }
    let rule = route.rule.map(|rule| &*rule.filters);
    let all: Vec<&Filters> = rule.into_iter().chain(own).collect();
    let matched = route.rule.and_then(|rule| rule.matches.path.as_ref());
    let head = if route.opaque {
        asked.head.clone()
    } else {
        filtered(&asked.head, &all, matched)
    };
    step.workloads = workloads(
        mesh,
        asked,
        found,
        &Carried {
            head,
            opaque: route.opaque,
            hop: policy_hop(&found.policy.tls),
        },
    );
    step.outside = outside(mesh, &found.id, &step.workloads);
    step.problem = problem(&step);
    step
}

/// Where it goes besides workloads of the mesh: endpoints that are written down as addresses or names.
fn outside(mesh: &mut Mesh, id: &BackendId, workloads: &[WorkloadStep]) -> Vec<String> {
    let Some(found) = mesh.endpoints(id) else {
        return Vec::new();
    };
    let known = |address: &String| workloads.iter().any(|workload| workload.address == *address);
    let addresses = found
        .endpoints
        .iter()
        .map(|endpoint| endpoint.address.to_string());
    let names = found.names.iter();
    addresses
        .filter(|address| !known(address))
        .chain(names.map(|named| format!("what DNS gives for {}, port {}", named.host, named.port)))
        .collect()
}

/// The dialled address, or where DNS says that the host is which is asked for.
fn unnamed(step: &mut BackendStep, found: &Backend, asked: &Asked, route: &Routed<'_>) {
    let Some(by_name) = &found.by_name else {
        step.name = "original destination".to_owned();
        return;
    };
    let host = match route.opaque {
        true => asked.server_name.as_deref(),
        false => Some(host_of(&asked.head.authority)),
    };
    match host.filter(|host| by_name.takes(host)) {
        Some(host) => step.name = format!("what DNS gives for {host}, port {}", by_name.port),
        None => step.problem = Some(Reason::UnknownDestination.id().to_owned()),
    }
}

/// What leaves the source's proxy.
pub(super) struct Carried {
    pub(super) head: Head,
    /// As bytes, not as a request.
    pub(super) opaque: bool,
    /// The hop, where the backend's policy and not the endpoint says it.
    hop: Option<Hop>,
}

/// TLS of the outside world shows no identity of the mesh, so that it counts as plaintext here.
fn policy_hop(tls: &UpstreamTls) -> Option<Hop> {
    match tls {
        UpstreamTls::Mesh => None,
        UpstreamTls::MeshMutual => Some(Hop::MutualTls),
        UpstreamTls::Disabled | UpstreamTls::Origination { .. } => Some(Hop::Plaintext),
    }
}

/// Why nothing can be picked.
fn problem(step: &BackendStep) -> Option<String> {
    if !step.outside.is_empty() {
        return None;
    }
    let reason = if step.workloads.is_empty() {
        Reason::NoEndpoints
    } else if step
        .workloads
        .iter()
        .all(|workload| workload.health == "unhealthy")
    {
        Reason::NoHealthyEndpoint
    } else {
        return None;
    };
    Some(reason.id().to_owned())
}

fn workloads(mesh: &mut Mesh, asked: &Asked, backend: &Backend, carried: &Carried) -> Vec<WorkloadStep> {
    let behind: Vec<(Arc<Instance>, u16)> = mesh
        .workloads_of(&backend.id)
        .into_iter()
        .map(|(instance, port)| (instance.clone(), port))
        .collect();
    let endpoints = mesh.endpoints(&backend.id);
    let step = |(instance, port): &(Arc<Instance>, u16)| {
        let found = endpoints.as_deref().and_then(|all| endpoint_of(all, instance));
        workload(mesh, asked, (instance, *port), found, carried)
    };
    behind.iter().map(step).collect()
}

fn endpoint_of<'a>(all: &'a Endpoints, instance: &Instance) -> Option<&'a Endpoint> {
    all.endpoints
        .iter()
        .find(|endpoint| Some(endpoint.address.ip()) == instance.address)
}

fn workload(
    mesh: &mut Mesh,
    asked: &Asked,
    (instance, port): (&Instance, u16),
    endpoint: Option<&Endpoint>,
    carried: &Carried,
) -> WorkloadStep {
    let inbound = instance
        .meshed
        .then(|| mesh.inbound(&described(instance)))
        .flatten();
    let mode = inbound.as_ref().map(|inbound| inbound.port(port).mtls);
    // What does not run has no endpoint yet; its hop will be this.
    let coming = match instance.meshed && mode != Some(MtlsMode::Disable) {
        true => Hop::MutualTls,
        false => Hop::Plaintext,
    };
    let own = endpoint.map_or(coming, |endpoint| endpoint.hop);
    let hop = carried.hop.unwrap_or(own);
    let mtls = hop == Hop::MutualTls && asked.id.is_some();
    let mut step = WorkloadStep {
        workload: described(instance),
        address: instance.address.map_or_else(
            || format!("port {port}"),
            |ip| SocketAddr::new(ip, port).to_string(),
        ),
        health: health(endpoint.map(|endpoint| endpoint.health)).to_owned(),
        meshed: instance.meshed,
        mtls,
        mode: "no proxy".to_owned(),
        allowed: true,
        reason: None,
        policy: None,
        trace: Vec::new(),
    };
    if let Some(inbound) = inbound {
        step.mode = mode_text(&inbound, port);
        let local = instance.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        judge(&mut step, asked, &inbound, SocketAddr::new(local, port), carried);
    }
    step
}

fn health(health: Option<EndpointHealth>) -> &'static str {
    match health {
        None => "not running",
        Some(EndpointHealth::Healthy) => "healthy",
        Some(EndpointHealth::Draining) => "draining",
        Some(EndpointHealth::Unhealthy) => "unhealthy",
    }
}

fn mode_text(inbound: &Inbound, port: u16) -> String {
    let effective = inbound.port(port);
    match effective.mtls_origin {
        Some(origin) => format!("{} by {origin}", effective.mtls.as_str()),
        None => format!("{} by default", effective.mtls.as_str()),
    }
}

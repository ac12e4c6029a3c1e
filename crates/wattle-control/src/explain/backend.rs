//! What the inbound proxies behind each backend say.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use wattle_compile::{Instance, Mesh};
use wattle_model::traffic::UpstreamTls;
use wattle_model::{
    Ask, AuthorizationDecision, Backend, BackendId, ConnectionFacts, Endpoint, EndpointHealth, Endpoints,
    Filters, Hop, Inbound, MtlsMode, PeerFacts, Protocol, Reason, RequestFacts, Share, Step, Verdict,
    host_of,
};

use super::asked::{Asked, Head, described};
use super::route::{Routed, backend_filters, filtered};
use super::token::Taken;
use super::{BackendStep, TraceLine, WorkloadStep, lines, said};

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
struct Carried {
    head: Head,
    /// As bytes, not as a request.
    opaque: bool,
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

/// Asks the inbound side exactly as its proxy would.
fn judge(step: &mut WorkloadStep, asked: &Asked, inbound: &Inbound, local: SocketAddr, carried: &Carried) {
    let peer = asked.id.as_ref().filter(|_| step.mtls).map(|id| PeerFacts {
        principal: id.principal(),
        namespace: id.namespace(),
        service_account: id.service_account(),
    });
    let connection = ConnectionFacts {
        peer,
        peer_ip: asked.address,
        local_ip: local.ip(),
        port: local.port(),
        sni: asked.server_name.as_deref(),
    };
    let mut trace: Vec<Step> = Vec::new();
    if let Err(refusal) = inbound.admit(&connection, &mut trace) {
        step.allowed = false;
        step.reason = Some(refusal.reason.id().to_owned());
        step.policy = refusal.policy.map(ToString::to_string);
        step.trace = lines(trace);
        return;
    }
    // The sending proxy says on mutual TLS what it carries; plaintext is looked into where its port is not declared opaque.
    let looked_into = match inbound.port(local.port()).protocol {
        _ if step.mtls => !carried.opaque,
        Protocol::Tcp | Protocol::Tls => false,
        _ => !asked.opaque,
    };
    let claims = asked.claims.as_ref().filter(|_| looked_into);
    let token = match claims.map(|claims| claims.taken(inbound, &mut trace)) {
        Some(Taken::Refused) => {
            step.allowed = false;
            step.reason = Some(Reason::TokenInvalid.id().to_owned());
            step.trace = lines(trace);
            return;
        }
        Some(Taken::Verified(facts)) => Some(facts),
        Some(Taken::Ignored) | None => None,
    };
    let facts = looked_into.then(|| RequestFacts {
        token: token.as_ref(),
        remote_ip: wattle_model::original_client(peer.is_some(), &carried.head.headers),
        ..carried.head.facts()
    });
    for ask in inbound.asks(&connection, facts.as_ref(), &mut trace) {
        trace.push(asked_outside(&ask));
    }
    match inbound.authorize(&connection, facts.as_ref(), &mut trace) {
        AuthorizationDecision::Allowed { policy } => step.policy = policy.map(ToString::to_string),
        AuthorizationDecision::Refused { reason, policy, rule } => {
            step.allowed = false;
            step.reason = Some(reason.id().to_owned());
            let rule = rule.map(|rule| format!(" rule {rule}")).unwrap_or_default();
            step.policy = policy.map(|policy| format!("{policy}{rule}"));
        }
    }
    step.trace = lines(trace);
    if let Some(allowed_by) = step.policy.as_ref().filter(|_| step.allowed) {
        step.policy = Some(with_rule(allowed_by, &step.trace));
    }
}

/// What follows holds if the authorizer lets it in, which only asking it can tell.
fn asked_outside(ask: &Ask<'_>) -> Step {
    let (name, service) = (&ask.authorizer.name, &ask.authorizer.service);
    Step::new(
        format!("{} rule {}", ask.policy, ask.rule),
        Verdict::Skipped,
        format!("asks {name} at {service}, whose answer is not known here"),
    )
}

/// The rule that allowed, from the trace.
fn with_rule(policy: &str, trace: &[TraceLine]) -> String {
    let matched = trace
        .iter()
        .rev()
        .find(|line| line.verdict == "matched" && line.subject.starts_with(policy));
    matched.map_or_else(|| policy.to_owned(), |line| line.subject.clone())
}

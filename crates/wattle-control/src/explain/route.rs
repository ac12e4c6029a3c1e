//! What the outbound proxy does: the destination, the rule, its filters.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use wattle_compile::Mesh;
use wattle_model::{
    Abort, Access, Action, ConnectionDecision, Destination, Filters, OutboundFacts, Outcome, PathMatch,
    Protocol, Reason, RouteDecision, RouteRule, Share, Step,
};

use super::asked::{Asked, Head};
use super::{Resolved, RouteStep, lines, said};

/// A route, said and decided.
pub(super) struct Routed<'a> {
    pub(super) step: RouteStep,
    /// The rule that forwards; `None` without rules.
    pub(super) rule: Option<&'a RouteRule>,
    /// The parts of what is forwarded.
    pub(super) shares: Vec<Share<'a>>,
    /// Something is forwarded.
    pub(super) forwards: bool,
    /// The request is not looked into.
    pub(super) opaque: bool,
}

/// The virtual address of a destination's Service.
pub(super) fn virtual_address(mesh: &Mesh, destination: &Destination) -> Option<String> {
    let service = destination.service.as_ref()?;
    let mut services = mesh.services();
    let (_, address, _) =
        services.find(|((namespace, name), ..)| *namespace == service.namespace && *name == service.name)?;
    address.map(|address| address.to_string())
}

pub(super) fn resolved(asked: &Asked, destination: &Destination, address: Option<String>) -> Resolved {
    Resolved {
        name: destination.name.to_string(),
        service: destination
            .service
            .as_ref()
            .map(|service| format!("{}/{}", service.namespace, service.name)),
        address,
        port: asked.port,
        protocol: destination.protocol.as_str().to_owned(),
    }
}

/// The address that the caller dials: the one it names, else the destination's virtual one, if it has any.
pub(super) fn dialled(asked: &Asked, virtual_address: Option<&str>) -> IpAddr {
    let named = asked.destination.parse().map(|named: SocketAddr| named.ip());
    let assigned = virtual_address.and_then(|address| address.parse().ok());
    named
        .ok()
        .or(assigned)
        .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

pub(super) fn step<'a>(asked: &Asked, destination: &'a Destination, dialled: IpAddr) -> Routed<'a> {
    // A proxy does not look into what is declared opaque: no rule applies there.
    let mut trace: Vec<Step> = Vec::new();
    let facts = asked.head.facts();
    let access = destination.access(&facts.caller, &mut trace);
    if let Some(routed) = out_of_scope(access, std::mem::take(&mut trace)) {
        return routed;
    }
    let opaque = asked.opaque || matches!(destination.protocol, Protocol::Tcp | Protocol::Tls);
    if opaque {
        return whole(asked, destination, dialled);
    }
    let RouteDecision { rule, outcome, .. } = destination.route(&facts, 0, &mut trace);
    let shares = destination.shares(rule);
    let usable = shares
        .iter()
        .any(|share| share.backend.is_some() && share.weight > 0);
    let (said, detail, forwards) = match outcome {
        Outcome::Redirect { status, location } => ("redirect", format!("{status} {location}"), false),
        // Which backend a request gets is drawn by lot; it is refused for certain only when none can be drawn.
        Outcome::Forward { .. } | Outcome::Refuse(Reason::NoBackend) if usable => {
            ("forward", String::new(), true)
        }
        Outcome::Respond(response) => ("respond", response.status.to_string(), false),
        Outcome::Preflight(_) => ("respond", "200, a CORS preflight".to_owned(), false),
        Outcome::Abort(Abort::Http(status)) => ("fault", status.to_string(), false),
        Outcome::Abort(Abort::Grpc(status)) => ("fault", format!("gRPC status {status}"), false),
        Outcome::Refuse(reason) => ("refuse", reason.id().to_owned(), false),
        Outcome::Forward { .. } => ("refuse", Reason::NoBackend.id().to_owned(), false),
    };
    let step = RouteStep {
        rule: rule.map(|rule| rule.origin.to_string()),
        filters: rule.map(|rule| said::filters(&rule.filters)).unwrap_or_default(),
        timeouts: rule.map(said::limits).unwrap_or_default(),
        outcome: said.to_owned(),
        detail,
        trace: lines(trace),
    };
    Routed {
        step,
        rule,
        shares,
        forwards,
        opaque,
    }
}

/// An opaque connection goes by its own routes, or to the default backend as a whole.
fn whole<'a>(asked: &Asked, destination: &'a Destination, dialled: IpAddr) -> Routed<'a> {
    let mut trace: Vec<Step> = Vec::new();
    let facts = OutboundFacts {
        server_name: asked.server_name.as_deref(),
        destination: dialled,
        caller: asked.head.facts().caller,
    };
    let ConnectionDecision { route, backend } = destination.route_connection(&facts, 0, &mut trace);
    let shares = destination.connection_shares(route);
    let usable = shares
        .iter()
        .any(|share| share.backend.is_some() && share.weight > 0);
    let (outcome, detail) = match backend {
        Ok(_) => ("forward", "opaque: rules of HTTP do not apply".to_owned()),
        Err(Reason::NoBackend) if usable => ("forward", "opaque: rules of HTTP do not apply".to_owned()),
        Err(reason) => ("refuse", reason.id().to_owned()),
    };
    let step = RouteStep {
        rule: route.map(|route| route.origin.to_string()),
        filters: Vec::new(),
        timeouts: Vec::new(),
        outcome: outcome.to_owned(),
        detail,
        trace: lines(trace),
    };
    Routed {
        step,
        rule: None,
        shares,
        forwards: outcome == "forward",
        opaque: true,
    }
}

/// What a caller that may not use a destination of the mesh gets instead.
fn out_of_scope<'a>(access: Access, trace: Vec<Step>) -> Option<Routed<'a>> {
    let (outcome, detail) = match access {
        Access::Full => return None,
        Access::PassThrough => (
            "forward",
            "out of the caller's scope: carried as dialled".to_owned(),
        ),
        Access::Refused(reason) => ("refuse", reason.id().to_owned()),
    };
    let step = RouteStep {
        rule: None,
        filters: Vec::new(),
        timeouts: Vec::new(),
        outcome: outcome.to_owned(),
        detail,
        trace: lines(trace),
    };
    Some(Routed {
        step,
        rule: None,
        shares: Vec::new(),
        forwards: false,
        opaque: true,
    })
}

/// What the request is after these filters, as the far side sees it.
pub(super) fn filtered(head: &Head, all: &[&Filters], matched: Option<&PathMatch>) -> Head {
    let mut head = head.clone();
    for filters in all {
        filters.request_headers.apply(&mut head.headers);
        if let Some(target) = filters.rewrite.path_and_query(&head.facts(), matched) {
            let (path, query) = target
                .split_once('?')
                .map_or((target.as_str(), None), |(path, query)| (path, Some(query)));
            (head.path, head.query) = (path.to_owned(), query.map(ToOwned::to_owned));
        }
        if let Some(authority) = filters.rewrite.authority() {
            head.authority = authority.to_owned();
        }
    }
    head
}

/// Filters of one backend of a rule.
pub(super) fn backend_filters(rule: Option<&RouteRule>, position: usize) -> Option<&Filters> {
    match &*rule?.action {
        Action::Forward(backends) => backends.get(position)?.filters.as_deref(),
        Action::Redirect(_) | Action::Respond(_) | Action::Refuse(_) => None,
    }
}

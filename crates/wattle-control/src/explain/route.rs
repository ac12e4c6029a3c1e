//! What the outbound proxy does: the destination, the rule, its filters.

use wattle_compile::Mesh;
use wattle_model::{
    Abort, Action, Destination, Filters, HeaderModifier, Outcome, PathMatch, PathRewrite, Protocol, Reason,
    RouteDecision, RouteRule, Step,
};

use super::asked::{Asked, Head};
use super::{Resolved, RouteStep, lines};

/// A route, said and decided.
pub(super) struct Routed<'a> {
    pub(super) step: RouteStep,
    /// The rule that forwards; `None` without rules.
    pub(super) rule: Option<&'a RouteRule>,
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

pub(super) fn step<'a>(asked: &Asked, destination: &'a Destination) -> Routed<'a> {
    // A proxy does not look into what is declared opaque: no rule applies there.
    let opaque = asked.opaque || matches!(destination.protocol, Protocol::Tcp | Protocol::Tls);
    if opaque {
        return whole(destination);
    }
    let mut trace: Vec<Step> = Vec::new();
    let facts = asked.head.facts();
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
        filters: rule.map(|rule| filters(&rule.filters)).unwrap_or_default(),
        timeouts: rule.map(timeouts).unwrap_or_default(),
        outcome: said.to_owned(),
        detail,
        trace: lines(trace),
    };
    Routed {
        step,
        rule,
        forwards,
        opaque,
    }
}

/// An opaque connection goes to the default backend as a whole.
fn whole(destination: &Destination) -> Routed<'_> {
    let backend = destination.default_backend();
    let (outcome, detail) = match backend {
        Some(_) => ("forward", "opaque: rules of HTTP do not apply".to_owned()),
        None => ("refuse", Reason::NoBackend.id().to_owned()),
    };
    let step = RouteStep {
        rule: None,
        filters: Vec::new(),
        timeouts: Vec::new(),
        outcome: outcome.to_owned(),
        detail,
        trace: Vec::new(),
    };
    Routed {
        step,
        rule: None,
        forwards: backend.is_some(),
        opaque: true,
    }
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

fn timeouts(rule: &RouteRule) -> Vec<String> {
    let request = rule
        .timeouts
        .request
        .map(|limit| format!("whole exchange {limit:?}"));
    let backend = rule
        .timeouts
        .backend_request
        .map(|limit| format!("each try {limit:?}"));
    request.into_iter().chain(backend).collect()
}

/// Filters, one line each.
pub(super) fn filters(filters: &Filters) -> Vec<String> {
    let mut said = Vec::new();
    modifier(&filters.request_headers, "request", &mut said);
    modifier(&filters.response_headers, "response", &mut said);
    said.extend(
        filters
            .rewrite
            .host
            .as_ref()
            .map(|host| format!("host becomes {host}")),
    );
    said.extend(filters.rewrite.path.as_ref().map(|path| match path {
        PathRewrite::Full(path) => format!("path becomes {path}"),
        PathRewrite::Prefix(prefix) => format!("matched prefix becomes {prefix}"),
        PathRewrite::Matched(new) => format!("what matched becomes {new}"),
        PathRewrite::Regex(substitution) => format!(
            "what matches {} in the path becomes {}",
            substitution.pattern(),
            substitution.replacement()
        ),
    }));
    said
}

fn modifier(modifier: &HeaderModifier, side: &str, said: &mut Vec<String>) {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    said.extend(
        modifier
            .remove
            .iter()
            .map(|name| format!("{side} header {name} is removed")),
    );
    said.extend(
        modifier
            .set
            .iter()
            .map(|(name, value)| format!("{side} header {name} is set to {:?}", text(value))),
    );
    said.extend(
        modifier
            .add
            .iter()
            .map(|(name, value)| format!("{side} header {name} gets {:?} added", text(value))),
    );
}

/// Filters of one backend of a rule.
pub(super) fn backend_filters(rule: Option<&RouteRule>, position: usize) -> Option<&Filters> {
    match &*rule?.action {
        Action::Forward(backends) => backends.get(position)?.filters.as_deref(),
        Action::Redirect(_) | Action::Respond(_) | Action::Refuse(_) => None,
    }
}

//! Gateway API statuses of routes, as plain data.

use wattle_api::{Exposure, Filter, ObjectKey, ParentRef, Protocol as Transport, Service, ServicePort};

use crate::Name;
use crate::any_route::{AnyRoute, has_port};
use crate::backend::{self, Fault, Target};
use crate::view::View;
use crate::{filter, route};

/// The status of one route: an entry for each parent that is a Service; others are not ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteStatus {
    /// The route.
    pub route: ObjectKey,
    /// By parent, in the order written.
    pub parents: Vec<ParentStatus>,
}

/// How a route stands with one parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParentStatus {
    /// The parent as written.
    pub parent: ParentRef,
    /// `Accepted` and `ResolvedRefs`, and `PartiallyInvalid` where that holds.
    pub conditions: Vec<Condition>,
}

/// A condition in the sense of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// `Accepted`, `ResolvedRefs` or `PartiallyInvalid`; the last is there only when it holds, and then it is bad news.
    pub kind: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// Gateway API reason, e.g. `NoMatchingParent`.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

/// The status of `route`.
pub(crate) fn of(route: &AnyRoute<'_>, view: &View<'_>) -> RouteStatus {
    let services = route.parents.iter().filter(|parent| parent.is_service());
    let status = |parent: &ParentRef| {
        let mut conditions = vec![accepted(parent, route, view), resolved(parent, route, view)];
        conditions.extend(partially_invalid(route));
        ParentStatus {
            parent: parent.clone(),
            conditions,
        }
    };
    RouteStatus {
        route: route.meta.key(route.kind),
        parents: services.map(status).collect(),
    }
}

fn accepted(parent: &ParentRef, route: &AnyRoute<'_>, view: &View<'_>) -> Condition {
    let name = route.parent_name(parent);
    let refused = match view.service(&name) {
        None => Some((
            "NoMatchingParent",
            format!("there is no Service {}/{}", name.0, name.1),
        )),
        Some(service) => refused(parent, &name, &service.spec, route, view),
    };
    let (reason, message) = refused.unwrap_or(("Accepted", String::new()));
    Condition {
        kind: "Accepted",
        holds: reason == "Accepted",
        reason,
        message,
    }
}

/// Why a Service does not take a route.
fn refused(
    parent: &ParentRef,
    name: &Name,
    service: &Service,
    route: &AnyRoute<'_>,
    view: &View<'_>,
) -> Option<(&'static str, String)> {
    let ports: Vec<_> = ports(service, parent).collect();
    if service.exposure == Exposure::ExternalName {
        let message = format!("Service {}/{} is of type ExternalName", name.0, name.1);
        return Some(("NoMatchingParent", message));
    }
    if ports.is_empty() {
        let message = format!("Service {}/{} has no such port", name.0, name.1);
        return Some(("NoMatchingParent", message));
    }
    let seen = |port: &&&ServicePort| !(route.is_for_requests() && route::is_opaque(name, port, view));
    let ports: Vec<_> = ports.iter().filter(seen).collect();
    if ports.is_empty() {
        let message = "no port of the Service is declared to speak HTTP".to_owned();
        return Some(("UnsupportedProtocol", message));
    }
    let lost: Option<Vec<_>> = ports
        .iter()
        .map(|port| beaten_by(route, name, port, view))
        .collect();
    if let Some([winner, ..]) = lost.as_deref() {
        let message = format!(
            "{} {} is attached to the same port and wins",
            winner.kind, winner.meta.name
        );
        return Some(("Conflicted", message));
    }
    let (filter, whole) = unsupported(route)?;
    whole.then(|| ("UnsupportedValue", format!("filter {filter} is not supported")))
}

/// The TCP ports of a Service that a parent names.
pub(crate) fn ports<'a>(service: &'a Service, parent: &ParentRef) -> impl Iterator<Item = &'a ServicePort> {
    let ports = service.ports.iter();
    ports.filter(move |port| port.protocol == Transport::Tcp && has_port(parent, port))
}

/// A route of a more specific kind that takes the port from `route` (GEP-1426).
pub(crate) fn beaten_by<'a>(
    route: &AnyRoute<'_>,
    parent: &Name,
    port: &ServicePort,
    view: &View<'a>,
) -> Option<AnyRoute<'a>> {
    let rivals = route::attached(&route.meta.namespace, parent, port, view);
    rivals
        .into_iter()
        .filter(|rival| rival.rank() < route.rank())
        .min_by_key(AnyRoute::rank)
}

/// A filter that cannot be done, and whether every rule has such a one.
fn unsupported(route: &AnyRoute<'_>) -> Option<(&'static str, bool)> {
    let rules: Vec<_> = route
        .rules()
        .iter()
        .map(|rule| {
            let mut own = rule.filters.iter();
            let mut narrow = rule.backends.iter().flat_map(|backend| &backend.filters);
            let alone = rule.backends.len() == 1;
            own.find(|filter| filter::is_unsupported(filter))
                .or_else(|| narrow.find(|filter| filter::is_unsupported_of_backend(filter, alone)))
                .map(Filter::type_name)
        })
        .collect();
    let first = rules.iter().flatten().next()?;
    Some((first, rules.iter().all(Option::is_some)))
}

fn partially_invalid(route: &AnyRoute<'_>) -> Option<Condition> {
    let (filter, whole) = unsupported(route)?;
    (!whole).then(|| Condition {
        kind: "PartiallyInvalid",
        holds: true,
        reason: "UnsupportedValue",
        message: format!("Dropped Rule: filter {filter} is not supported, its requests are refused"),
    })
}

fn resolved(parent: &ParentRef, route: &AnyRoute<'_>, view: &View<'_>) -> Condition {
    let name = route.parent_name(parent);
    let mut faults = references(route).into_iter().filter_map(|written| {
        let fault = backend::resolve(&written.target, route, &name, view).err()?;
        Some((fault, written.target.to_string()))
    });
    let (reason, message) = match faults.next() {
        Some((fault, written)) => (reason(fault), format!("backend {written}: {}", sentence(fault))),
        None => ("ResolvedRefs", String::new()),
    };
    Condition {
        kind: "ResolvedRefs",
        holds: reason == "ResolvedRefs",
        reason,
        message,
    }
}

/// One reference of a route.
pub(crate) struct Reference<'a> {
    pub(crate) field: String,
    pub(crate) target: Target<'a>,
    /// `None` for a mirror.
    pub(crate) weight: Option<u32>,
}

/// Everything a route refers to, mirrors too.
pub(crate) fn references<'a>(route: &AnyRoute<'a>) -> Vec<Reference<'a>> {
    let mut found = Vec::new();
    for (index, rule) in route.rules().into_iter().enumerate() {
        let field = format!("spec.rules[{index}]");
        found.extend(mirrors(rule.filters, &field));
        for (position, written) in rule.backends.iter().enumerate() {
            let field = format!("{field}.backendRefs[{position}]");
            found.extend(mirrors(&written.filters, &field));
            found.push(Reference {
                field,
                target: Target::from(written),
                weight: Some(written.weight),
            });
        }
    }
    found
}

fn mirrors<'a>(filters: &'a [Filter], field: &str) -> Vec<Reference<'a>> {
    let mirrors = filters
        .iter()
        .enumerate()
        .filter_map(|(index, filter)| match filter {
            Filter::RequestMirror(mirror) => Some(Reference {
                field: format!("{field}.filters[{index}].requestMirror.backendRef"),
                target: Target::from(&mirror.backend_ref),
                weight: None,
            }),
            _ => None,
        });
    mirrors.collect()
}

fn reason(fault: Fault) -> &'static str {
    match fault {
        Fault::Kind | Fault::External => "InvalidKind",
        Fault::NotFound | Fault::PortNotFound => "BackendNotFound",
        Fault::NotPermitted => "RefNotPermitted",
        Fault::Protocol => "UnsupportedProtocol",
        Fault::Tls => "InvalidBackendTLS",
    }
}

/// What is wrong, for people.
pub(crate) fn sentence(fault: Fault) -> &'static str {
    match fault {
        Fault::Kind => "only Services can be backends",
        Fault::NotFound => "there is no such Service",
        Fault::External => "an ExternalName Service has no endpoints",
        Fault::PortNotFound => "the Service has no such TCP port",
        Fault::NotPermitted => "no ReferenceGrant of its namespace permits it",
        Fault::Protocol => "the port is declared to speak no HTTP",
        Fault::Tls => "a BackendTLSPolicy asks for TLS that cannot be had",
    }
}

//! Gateway API statuses of HTTPRoutes, as plain data.

use wattle_api::{HttpRoute, Kind, ObjectKey, ParentRef, Resource};

use crate::Name;
use crate::backend::{self, Fault};
use crate::route::has_port;
use crate::view::View;

/// The status of one HTTPRoute: an entry for each parent that is a Service; others are not ours.
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
    /// `Accepted` and `ResolvedRefs`.
    pub conditions: [Condition; 2],
}

/// A condition in the sense of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// `Accepted` or `ResolvedRefs`.
    pub kind: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// Gateway API reason, e.g. `NoMatchingParent`.
    pub reason: &'static str,
    /// For people.
    pub message: String,
}

/// The status of `route`.
pub(crate) fn of(route: &Resource<HttpRoute>, view: &View<'_>) -> RouteStatus {
    let services = route.spec.parent_refs.iter().filter(|parent| parent.is_service());
    let status = |parent: &ParentRef| ParentStatus {
        parent: parent.clone(),
        conditions: [accepted(parent, route, view), resolved(parent, route, view)],
    };
    RouteStatus {
        route: route.meta.key(Kind::HttpRoute),
        parents: services.map(status).collect(),
    }
}

/// The Service that `parent` names.
pub(crate) fn parent_name(parent: &ParentRef, route: &Resource<HttpRoute>) -> Name {
    let namespace = parent.namespace.as_deref().unwrap_or(&route.meta.namespace);
    (namespace.into(), parent.name.as_str().into())
}

fn accepted(parent: &ParentRef, route: &Resource<HttpRoute>, view: &View<'_>) -> Condition {
    let name = parent_name(parent, route);
    let (reason, message) = match view.service(&name) {
        None => (
            "NoMatchingParent",
            format!("there is no Service {}/{}", name.0, name.1),
        ),
        Some(service) if !service.spec.ports.iter().any(|port| has_port(parent, port)) => (
            "NoMatchingParent",
            format!("Service {}/{} has no such port", name.0, name.1),
        ),
        Some(_) => match unsupported(route) {
            Some(filter) => ("UnsupportedValue", format!("filter {filter} is not supported")),
            None => ("Accepted", String::new()),
        },
    };
    Condition {
        kind: "Accepted",
        holds: reason == "Accepted",
        reason,
        message,
    }
}

fn unsupported(route: &Resource<HttpRoute>) -> Option<&'static str> {
    let rules = route.spec.rules.iter();
    let mut filters = rules.flat_map(|rule| {
        rule.filters
            .iter()
            .chain(rule.backend_refs.iter().flat_map(|b| &b.filters))
    });
    filters
        .find(|filter| crate::filter::is_unsupported(filter))
        .map(wattle_api::Filter::type_name)
}

fn resolved(parent: &ParentRef, route: &Resource<HttpRoute>, view: &View<'_>) -> Condition {
    let name = parent_name(parent, route);
    let written = route.spec.rules.iter().flat_map(|rule| &rule.backend_refs);
    let mut faults = written.filter_map(|written| {
        backend::resolve(written, route, &name, view)
            .err()
            .map(|fault| (fault, backend::as_written(written)))
    });
    match faults.next() {
        Some((fault, written)) => {
            let message = format!("backend {written}: {}", sentence(fault));
            Condition {
                kind: "ResolvedRefs",
                holds: false,
                reason: reason(fault),
                message,
            }
        }
        None => Condition {
            kind: "ResolvedRefs",
            holds: true,
            reason: "ResolvedRefs",
            message: String::new(),
        },
    }
}

fn reason(fault: Fault) -> &'static str {
    match fault {
        Fault::Kind | Fault::External => "InvalidKind",
        Fault::NotFound | Fault::PortNotFound => "BackendNotFound",
        Fault::NotPermitted => "RefNotPermitted",
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
    }
}

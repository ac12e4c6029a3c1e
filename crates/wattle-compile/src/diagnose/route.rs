//! Routes of all kinds: parents, backends and filters.

use wattle_api::{Filter, HttpRule};

use super::{Findings, server};
use crate::any_route::{AnyRoute, Spec};
use crate::backend::{self, Fault};
use crate::filter;
use crate::status::{Reference, beaten_by, ports, references, sentence};
use crate::view::View;

pub(super) fn check(route: &AnyRoute<'_>, view: &View<'_>, findings: &mut Findings<'_>) {
    let (hostnames, rules): (&[String], &[HttpRule]) = match route.spec {
        Spec::Http(spec) => (&spec.hostnames, &spec.rules),
        Spec::Grpc(spec) => (&spec.hostnames, &[]),
        Spec::Tls(_) | Spec::Tcp(_) => (&[], &[]),
    };
    if !hostnames.is_empty() && route.services().next().is_some() {
        let reason = "host names mean nothing on a Service parent and are ignored".to_owned();
        findings.warn("hostnames-ignored", "spec.hostnames", reason, "remove them");
    }
    parents(route, view, findings);
    filters(route, findings);
    backends(route, view, findings);
    for (index, rule) in rules.iter().enumerate() {
        retries(rule, index, findings);
    }
    sessions(route, findings);
    if route.services().next().is_none() && route.servers().next().is_some() {
        server::check_rules(route, findings);
    }
}

fn parents(route: &AnyRoute<'_>, view: &View<'_>, findings: &mut Findings<'_>) {
    for (index, parent) in route.parents.iter().enumerate() {
        let field = format!("spec.parentRefs[{index}]");
        if parent.is_server() {
            server::check_parent(route, parent, &field, view, findings);
            continue;
        }
        if !parent.is_service() {
            let reason = format!("a parent of kind {} is not served yet", parent.kind);
            findings.warn(
                "parent-not-served",
                &field,
                reason,
                "attach the route to a Service (group: \"\", kind: Service) or to a Server of policy.linkerd.io",
            );
            continue;
        }
        let name = route.parent_name(parent);
        let Some(service) = view.service(&name) else {
            let reason = format!("there is no Service {}/{}", name.0, name.1);
            findings.error("parent-not-found", &field, reason, "check name and namespace");
            continue;
        };
        if ports(&service.spec, parent).next().is_none() {
            let known: Vec<_> = service
                .spec
                .ports
                .iter()
                .map(|port| port.port.to_string())
                .collect();
            let reason = format!(
                "Service {}/{} has no such port, it has {}",
                name.0,
                name.1,
                known.join(", ")
            );
            findings.error(
                "parent-port-not-found",
                &field,
                reason,
                "name one of its ports or none",
            );
        }
        for port in ports(&service.spec, parent) {
            if route.is_for_requests() && crate::route::is_opaque(&name, port, view) {
                unseen(parent, &field, port, findings);
            } else {
                rivals(route, &field, (&name, port), view, findings);
            }
        }
    }
}

/// A port whose traffic the route cannot see, though its writer may have meant it.
fn unseen(
    parent: &wattle_api::ParentRef,
    field: &str,
    port: &wattle_api::ServicePort,
    findings: &mut Findings<'_>,
) {
    if parent.port.is_some() || parent.section_name.is_some() {
        let reason = format!(
            "the bytes of port {} are not looked at: the route sees no requests there",
            port.port
        );
        findings.warn("route-sees-nothing", field, reason, "declare http or grpc");
    }
}

/// Routes that take a port from this one.
fn rivals(
    route: &AnyRoute<'_>,
    field: &str,
    (name, port): (&crate::Name, &wattle_api::ServicePort),
    view: &View<'_>,
    findings: &mut Findings<'_>,
) {
    if let Some(winner) = beaten_by(route, name, port, view) {
        let reason = format!(
            "on port {} only {} {} counts: of several kinds of routes the most specific one is taken",
            port.port, winner.kind, winner.meta.name
        );
        findings.warn("route-conflict", field, reason, "attach them to different ports");
        return;
    }
    let rivals = crate::route::attached(&route.meta.namespace, name, port, view);
    if matches!(route.spec, Spec::Tcp(_)) && !crate::route::stream::is_oldest(route, &rivals) {
        let reason = format!(
            "an older TCPRoute takes every connection of port {}, this one none",
            port.port
        );
        findings.warn("route-conflict", field, reason, "keep one of them");
    }
}

fn backends(route: &AnyRoute<'_>, view: &View<'_>, findings: &mut Findings<'_>) {
    let Some(parent) = route.services().next() else {
        return;
    };
    for Reference {
        field,
        target,
        weight,
    } in references(route)
    {
        let Err(fault) = backend::resolve(&target, route, &parent, view) else {
            continue;
        };
        let effect = match weight {
            None => "nothing is copied to it",
            Some(0) => "it has weight 0",
            Some(_) if route.is_for_requests() => "its share is answered with 500",
            Some(_) => "its share of the connections is refused",
        };
        let reason = format!("backend {target}: {}; {effect}", sentence(fault));
        findings.error(code(fault), &field, reason, hint(fault));
    }
    for (index, rule) in route.rules().iter().enumerate() {
        let redirects = |filter: &Filter| matches!(filter, Filter::RequestRedirect(_));
        if rule.filters.iter().any(redirects) || rule.backends.iter().any(|written| written.weight > 0) {
            continue;
        }
        if rule.backends.is_empty() && route.goes_on_to(&parent) {
            continue;
        }
        let reason = match route.is_for_requests() {
            true => "no backend has a weight, so that every request is answered with 500",
            false => "no backend has a weight, so that every connection is refused",
        };
        let field = format!("spec.rules[{index}]");
        findings.warn("no-backend", &field, reason.to_owned(), "add a backend");
    }
}

fn retries(rule: &HttpRule, index: usize, findings: &mut Findings<'_>) {
    let any_method = |matched: &wattle_api::Match| {
        matched
            .method
            .is_some_and(|method| matches!(method, "POST" | "PATCH" | "CONNECT"))
    };
    if rule.retry.is_some() && rule.matches.iter().all(any_method) {
        let reason = "its methods are not idempotent: only what no backend has seen is sent again".to_owned();
        findings.warn(
            "retry-not-idempotent",
            &format!("spec.rules[{index}].retry"),
            reason,
            "remove it",
        );
    }
}

fn sessions(route: &AnyRoute<'_>, findings: &mut Findings<'_>) {
    let sessions: Vec<_> = match route.spec {
        Spec::Http(spec) => spec.rules.iter().map(|rule| &rule.session_persistence).collect(),
        Spec::Grpc(spec) => spec.rules.iter().map(|rule| &rule.session_persistence).collect(),
        Spec::Tls(_) | Spec::Tcp(_) => Vec::new(),
    };
    for (index, session) in sessions.into_iter().enumerate() {
        if session
            .as_ref()
            .is_some_and(|session| session.idle_timeout.is_some())
        {
            findings.no_effect(
                &format!("spec.rules[{index}].sessionPersistence.idleTimeout"),
                "idle sessions are not told from others yet, the field is not applied",
            );
        }
    }
}

fn filters(route: &AnyRoute<'_>, findings: &mut Findings<'_>) {
    for (index, rule) in route.rules().iter().enumerate() {
        let field = format!("spec.rules[{index}]");
        unsupported(rule.filters, &field, findings);
        for (position, written) in rule.backends.iter().enumerate() {
            let field = format!("{field}.backendRefs[{position}]");
            unsupported(&written.filters, &field, findings);
            redirects(&written.filters, &field, findings);
            if rule.backends.len() > 1 {
                permissions(&written.filters, &field, findings);
            }
        }
    }
}

fn unsupported(written: &[Filter], field: &str, findings: &mut Findings<'_>) {
    for (index, filter) in written.iter().enumerate() {
        if filter::is_unsupported(filter) {
            let name = filter.type_name();
            let reason = format!("filter {name} is not supported yet; its requests are answered with 500");
            let field = format!("{field}.filters[{index}]");
            findings.error("filter-not-supported", &field, reason, "remove it");
        }
    }
}

/// CORS of one backend of several: a preflight request is answered before one is chosen.
fn permissions(written: &[Filter], field: &str, findings: &mut Findings<'_>) {
    if let Some(index) = written
        .iter()
        .position(|filter| matches!(filter, Filter::Cors(_)))
    {
        let reason = "preflight requests are answered before a backend is chosen, so that requests of this one are \
                      answered with 500";
        let field = format!("{field}.filters[{index}]");
        findings.error(
            "filter-not-supported",
            &field,
            reason.to_owned(),
            "write it as a filter of the rule",
        );
    }
}

/// Redirects of a backend: its share of the requests is not forwarded, and not redirected either.
fn redirects(written: &[Filter], field: &str, findings: &mut Findings<'_>) {
    let is_redirect = |filter: &Filter| matches!(filter, Filter::RequestRedirect(_));
    if let Some(index) = written.iter().position(is_redirect) {
        let reason =
            "a whole rule is redirected, not the share of one backend, whose requests are answered with 500";
        let field = format!("{field}.filters[{index}]");
        let hint = "move the filter to a rule of its own";
        findings.error("filter-not-supported", &field, reason.to_owned(), hint);
    }
}

fn code(fault: Fault) -> &'static str {
    match fault {
        Fault::Kind | Fault::External => "backend-kind",
        Fault::NotFound => "backend-not-found",
        Fault::PortNotFound => "backend-port-not-found",
        Fault::NotPermitted => "ref-not-permitted",
        Fault::Protocol => "backend-protocol",
        Fault::Tls => "backend-tls",
    }
}

fn hint(fault: Fault) -> &'static str {
    match fault {
        Fault::Kind | Fault::External => "refer to a Service with endpoints",
        Fault::NotFound => "check name and namespace",
        Fault::PortNotFound => "name one of its ports",
        Fault::NotPermitted => "add a ReferenceGrant to the backend's namespace",
        Fault::Protocol => "correct the appProtocol of the port",
        Fault::Tls => "correct the policy",
    }
}

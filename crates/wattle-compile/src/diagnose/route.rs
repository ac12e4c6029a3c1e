//! HTTPRoutes: parents, backends and filters.

use wattle_api::{Filter, HttpRoute, HttpRule, Resource};

use super::Findings;
use crate::backend::{self, Fault};
use crate::filter;
use crate::route::has_port;
use crate::status::{parent_name, sentence};
use crate::view::View;

pub(super) fn check(route: &Resource<HttpRoute>, view: &View<'_>, findings: &mut Findings<'_>) {
    if !route.spec.hostnames.is_empty() && route.spec.parent_refs.iter().any(|parent| parent.is_service()) {
        let reason = "host names mean nothing on a Service parent and are ignored".to_owned();
        findings.warn("hostnames-ignored", "spec.hostnames", reason, "remove them");
    }
    parents(route, view, findings);
    for (index, rule) in route.spec.rules.iter().enumerate() {
        filters(&rule.filters, &format!("spec.rules[{index}].filters"), findings);
        without_effect(rule, index, findings);
        backends(rule, index, route, view, findings);
    }
}

fn parents(route: &Resource<HttpRoute>, view: &View<'_>, findings: &mut Findings<'_>) {
    for (index, parent) in route.spec.parent_refs.iter().enumerate() {
        let field = format!("spec.parentRefs[{index}]");
        if !parent.is_service() {
            let reason = format!("a parent of kind {} is not served yet", parent.kind);
            findings.warn(
                "parent-not-served",
                &field,
                reason,
                "attach the route to a Service (group: \"\", kind: Service)",
            );
            continue;
        }
        let name = parent_name(parent, route);
        let Some(service) = view.service(&name) else {
            let reason = format!("there is no Service {}/{}", name.0, name.1);
            findings.error("parent-not-found", &field, reason, "check name and namespace");
            continue;
        };
        if !service.spec.ports.iter().any(|port| has_port(parent, port)) {
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
    }
}

fn backends(
    rule: &HttpRule,
    index: usize,
    route: &Resource<HttpRoute>,
    view: &View<'_>,
    findings: &mut Findings<'_>,
) {
    let Some(parent) = route.spec.parent_refs.iter().find(|parent| parent.is_service()) else {
        return;
    };
    let parent = parent_name(parent, route);
    for (position, written) in rule.backend_refs.iter().enumerate() {
        let field = format!("spec.rules[{index}].backendRefs[{position}]");
        filters(&written.filters, &format!("{field}.filters"), findings);
        if let Err(fault) = backend::resolve(written, route, &parent, view) {
            let share = if written.weight == 0 {
                "it has weight 0"
            } else {
                "its share is answered with 500"
            };
            let reason = format!(
                "backend {}: {}; {share}",
                backend::as_written(written),
                sentence(fault)
            );
            findings.error(code(fault), &field, reason, hint(fault));
        }
    }
    let redirects = rule
        .filters
        .iter()
        .any(|filter| matches!(filter, Filter::RequestRedirect(_)));
    if !redirects && rule.backend_refs.iter().all(|written| written.weight == 0) {
        let reason = "no backend has a weight, so that every request is answered with 500".to_owned();
        findings.warn(
            "no-backend",
            &format!("spec.rules[{index}]"),
            reason,
            "add a backend",
        );
    }
}

fn without_effect(rule: &HttpRule, index: usize, findings: &mut Findings<'_>) {
    let written = [
        ("retry", rule.retry.is_some()),
        ("sessionPersistence", rule.session_persistence.is_some()),
    ];
    for (field, _) in written.iter().filter(|(_, written)| *written) {
        findings.no_effect(
            &format!("spec.rules[{index}].{field}"),
            "the field is not applied yet",
        );
    }
}

fn filters(written: &[Filter], field: &str, findings: &mut Findings<'_>) {
    for (index, filter) in written.iter().enumerate() {
        if filter::is_unsupported(filter) {
            let name = filter.type_name();
            let reason = format!("filter {name} is not supported yet; its requests are answered with 500");
            findings.error(
                "filter-not-supported",
                &format!("{field}[{index}]"),
                reason,
                "remove it",
            );
        }
    }
}

fn code(fault: Fault) -> &'static str {
    match fault {
        Fault::Kind | Fault::External => "backend-kind",
        Fault::NotFound => "backend-not-found",
        Fault::PortNotFound => "backend-port-not-found",
        Fault::NotPermitted => "ref-not-permitted",
    }
}

fn hint(fault: Fault) -> &'static str {
    match fault {
        Fault::Kind | Fault::External => "refer to a Service with endpoints",
        Fault::NotFound => "check name and namespace",
        Fault::PortNotFound => "name one of its ports",
        Fault::NotPermitted => "add a ReferenceGrant to the backend's namespace",
    }
}

//! Linkerd's Servers, what authorizes their clients, and the routes attached to them.

use std::sync::Arc;

use wattle_api::{
    AccessPolicy, MeshTlsAuthentication, Object, ParentRef, Resource, Server, ServerAuthorization,
    ServerPolicy,
};

use super::Findings;
use crate::any_route::{AnyRoute, Spec};
use crate::linkerd::{clients, gate, identity, server};
use crate::view::View;
use crate::{Instance, Read};

pub(super) fn check(found: &Resource<Server>, view: &View<'_>, findings: &mut Findings<'_>) {
    let selected: Vec<_> = selected(found, view).collect();
    if selected.is_empty() {
        let reason = "no workload has these labels and this port".to_owned();
        findings.warn("selects-nothing", "spec.podSelector", reason, "");
    }
    overlap(found, &selected, view, findings);
    let closed = matches!(found.spec.access_policy, AccessPolicy::Deny | AccessPolicy::Audit);
    if closed && !is_authorized(found, view) {
        let reason = match found.spec.access_policy {
            AccessPolicy::Audit => "no policy authorizes anybody: everybody is let in and marked",
            _ => "no policy authorizes anybody: everybody is refused",
        };
        let hint = "add an AuthorizationPolicy for it, or another accessPolicy";
        findings.warn("nobody-authorized", "spec.accessPolicy", reason.to_owned(), hint);
    }
}

/// The workloads that a Server selects, each with the port.
fn selected<'a>(found: &Resource<Server>, view: &View<'a>) -> impl Iterator<Item = (&'a Arc<Instance>, u16)> {
    let workloads = view.workloads_in(&found.meta.namespace);
    workloads.filter_map(move |instance| Some((instance, server::port(found, instance)?)))
}

/// Another Server that has a port of this one, because it is older.
fn overlap(
    found: &Resource<Server>,
    selected: &[(&Arc<Instance>, u16)],
    view: &View<'_>,
    findings: &mut Findings<'_>,
) {
    for (instance, port) in selected {
        let winners = server::of(instance, view);
        let winner = winners.iter().find(|(_, on)| on == port);
        let Some((winner, _)) = winner.filter(|(winner, _)| winner.meta.name != found.meta.name) else {
            continue;
        };
        let reason = format!(
            "Server {} is for port {port} of {} too and wins: it is older, or first by name",
            winner.meta.name, instance.key.name
        );
        let hint = "select different workloads or ports";
        return findings.warn("policy-conflict", "spec.podSelector", reason, hint);
    }
}

fn policies<'a>(namespace: &Arc<str>, view: &View<'a>) -> impl Iterator<Item = &'a Object> {
    view.found(Read::ServerPolicies(Arc::clone(namespace)))
}

fn servers<'a>(namespace: &Arc<str>, view: &View<'a>) -> impl Iterator<Item = &'a Resource<Server>> {
    let found = view.found(Read::RateLimits(Arc::clone(namespace)));
    found.filter_map(|object| match object {
        Object::Server(server) => Some(server),
        _ => None,
    })
}

/// Whether something authorizes clients of the Server or of a route of it.
fn is_authorized(found: &Resource<Server>, view: &View<'_>) -> bool {
    let routes = gate::attached(found, view);
    policies(&found.meta.namespace, view).any(|object| match object {
        Object::ServerAuthorization(other) => gate::selects(&other.spec.server, found),
        Object::ServerPolicy(policy) => {
            gate::is_for_server(policy, found) || routes.iter().any(|route| gate::is_for_route(policy, route))
        }
        _ => false,
    })
}

pub(super) fn check_policy(policy: &Resource<ServerPolicy>, view: &View<'_>, findings: &mut Findings<'_>) {
    target(policy, view, findings);
    let refs = &policy.spec.required_authentication_refs;
    if refs.is_empty() {
        let reason = "no authentication is required: everybody is let in".to_owned();
        findings.warn("allows-anonymous", "spec.requiredAuthenticationRefs", reason, "");
    }
    for (index, written) in refs.iter().enumerate() {
        let account = written.kind == wattle_api::AuthenticationKind::ServiceAccount;
        if !account && clients::referred(written, &policy.meta.namespace, view).is_none() {
            let reason = format!(
                "there is no such authentication {}: the policy lets nobody in",
                written.name
            );
            let field = format!("spec.requiredAuthenticationRefs[{index}]");
            findings.error(
                "reference-not-found",
                &field,
                reason,
                "check kind, namespace and name",
            );
            return;
        }
    }
    if let Some(lost) = clients::of_policy(policy, view).unsupported {
        let reason = format!("it asks for {lost}: the policy lets nobody in");
        findings.warn("nobody-authorized", "spec.requiredAuthenticationRefs", reason, "");
    }
}

/// What a policy is for has to be there, and to be asked.
fn target(policy: &Resource<ServerPolicy>, view: &View<'_>, findings: &mut Findings<'_>) {
    let (target, namespace) = (&policy.spec.target_ref, &policy.meta.namespace);
    let mut servers = servers(namespace, view);
    let (field, name) = ("spec.targetRef", &target.name);
    match &*target.kind {
        "Namespace" if **name != **namespace => {
            let reason = format!("a policy is for its own Namespace {namespace} alone, not for {name}");
            findings.error("target-not-found", field, reason, "name its own namespace");
        }
        "Namespace" if servers.next().is_none() => {
            let reason = "the Namespace has no Server, so that the policy has no effect".to_owned();
            findings.warn("no-effect", field, reason, "add a Server");
        }
        "Server" if !servers.any(|server| **name == *server.meta.name) => {
            let reason = format!("there is no Server {name}");
            findings.error(
                "target-not-found",
                field,
                reason,
                "name a Server of its namespace",
            );
        }
        "HTTPRoute" | "GRPCRoute" => route_target(policy, view, findings),
        _ => {}
    }
}

fn route_target(policy: &Resource<ServerPolicy>, view: &View<'_>, findings: &mut Findings<'_>) {
    let namespace = &policy.meta.namespace;
    let is_meant = |route: &AnyRoute<'_>| gate::is_for_route(policy, route);
    let attached = servers(namespace, view).any(|found| gate::attached(found, view).iter().any(is_meant));
    if attached {
        return;
    }
    let target = &policy.spec.target_ref;
    let reason = format!(
        "no {} {} of group {} is attached to a Server that takes it, so that the policy has no effect",
        target.kind, target.name, target.group
    );
    let hint = "name the Server among the route's parentRefs";
    findings.error("target-not-found", "spec.targetRef", reason, hint);
}

pub(super) fn check_authorization(
    found: &Resource<ServerAuthorization>,
    view: &View<'_>,
    findings: &mut Findings<'_>,
) {
    let mut servers = servers(&found.meta.namespace, view);
    if !servers.any(|server| gate::selects(&found.spec.server, server)) {
        let reason = "no Server of its namespace is meant by it".to_owned();
        findings.warn("selects-nothing", "spec.server", reason, "check name or labels");
    }
    if let wattle_api::ServerClientKind::MeshTls(wattle_api::MeshTlsClients::Some { identities, .. }) =
        &found.spec.client.who
    {
        nobody(identities, "spec.client.meshTLS.identities", view, findings);
    }
}

pub(super) fn check_identities(
    found: &Resource<MeshTlsAuthentication>,
    view: &View<'_>,
    findings: &mut Findings<'_>,
) {
    nobody(&found.spec.identities, "spec.identities", view, findings);
}

/// Identities that no workload can have.
fn nobody(identities: &[wattle_api::Identity], field: &str, view: &View<'_>, findings: &mut Findings<'_>) {
    for (index, written) in identities.iter().enumerate() {
        if identity::principals(written, view.settings).is_none() {
            let reason = format!("no workload can have the identity {written}");
            let hint = "write SA.NAMESPACE.serviceaccount.identity.linkerd.TRUST-DOMAIN";
            findings.warn("nobody-authorized", &format!("{field}[{index}]"), reason, hint);
        }
    }
}

/// A Server among the parents of a route.
pub(super) fn check_parent(
    route: &AnyRoute<'_>,
    parent: &ParentRef,
    field: &str,
    view: &View<'_>,
    findings: &mut Findings<'_>,
) {
    let own = &route.meta.namespace;
    if parent.namespace.as_deref().is_some_and(|at| *at != **own) {
        let reason = format!("a route is attached to Servers of its own namespace {own} alone");
        findings.error(
            "parent-not-found",
            field,
            reason,
            "name a Server of its namespace",
        );
        return;
    }
    let found = servers(own, view).find(|server| *server.meta.name == *parent.name);
    let Some(found) = found else {
        let reason = format!("there is no Server {own}/{}", parent.name);
        findings.error("parent-not-found", field, reason, "check the name");
        return;
    };
    for (key, written) in [
        ("port", parent.port.is_some()),
        ("sectionName", parent.section_name.is_some()),
    ] {
        if written {
            findings.ignored(&format!("{field}.{key}"), "a Server is one port");
        }
    }
    if !gate::takes(found.spec.proxy_protocol, route.kind) {
        let reason = format!(
            "Server {} takes no {}: a Server of proxyProtocol gRPC has GRPCRoutes, other HTTP has HTTPRoutes, opaque \
             ports have none",
            parent.name, route.kind
        );
        findings.warn(
            "route-sees-nothing",
            field,
            reason,
            "correct the Server's proxyProtocol",
        );
    }
}

/// What a route that has no Service among its parents cannot do.
pub(super) fn check_rules(route: &AnyRoute<'_>, findings: &mut Findings<'_>) {
    let what = "routes of a Server say what is authorized, and change nothing";
    for (index, rule) in route.rules().iter().enumerate() {
        let field = format!("spec.rules[{index}]");
        if !rule.filters.is_empty() {
            findings.ignored(&format!("{field}.filters"), what);
        }
        if !rule.backends.is_empty() {
            findings.ignored(&format!("{field}.backendRefs"), what);
        }
        if let Spec::Http(spec) = route.spec
            && spec.rules[index].timeouts != wattle_api::Timeouts::default()
        {
            findings.ignored(&format!("{field}.timeouts"), what);
        }
    }
}

//! Limits of rate, profiles, and policies about what lies outside.

use wattle_api::{
    EgressPolicy, EgressProtocol, Limit, LocalRateLimit, Object, RateLimit, Resource, ServiceProfile,
};

use super::Findings;
use super::attached::{conflict, targeted};
use crate::linkerd::{profile, server};
use crate::view::View;
use crate::{Read, egress, rate_limit};

pub(super) fn check_rate(policy: &Resource<RateLimit>, view: &View<'_>, findings: &mut Findings<'_>) {
    for (index, target) in policy.spec.target_refs.iter().enumerate() {
        targeted(&policy.meta, index, target, view, findings);
    }
    let mut workloads = view.workloads_in(&policy.meta.namespace);
    if !workloads.any(|instance| rate_limit::selected(policy, instance, view)) {
        let reason = "no workload is limited by it".to_owned();
        findings.warn("selects-nothing", "spec", reason, "check selector and targets");
    }
    for (index, rule) in policy.spec.rules.iter().enumerate() {
        let Limit::Global(global) = &rule.limit else {
            continue;
        };
        let namespace = global.service.namespace.as_deref();
        let namespace = namespace.map_or_else(|| policy.meta.namespace.clone(), Into::into);
        let service = view.service(&(namespace, global.service.name.as_str().into()));
        let number = global.service.port.number();
        if service.is_none_or(|service| crate::backend::port(&service.spec, number).is_none()) {
            let reason = format!("there is no Service {} with port {number}", global.service.name);
            let field = format!("spec.rules[{index}].global.service");
            findings.error("service-not-found", &field, reason, "check name and port");
        }
    }
}

pub(super) fn check_local(policy: &Resource<LocalRateLimit>, view: &View<'_>, findings: &mut Findings<'_>) {
    let target = &policy.spec.target_ref;
    let mut servers = view
        .found(Read::RateLimits(policy.meta.namespace.clone()))
        .filter_map(|object| match object {
            Object::Server(server) => Some(server),
            _ => None,
        });
    if !servers.any(|server| target.kind == "Server" && *server.meta.name == *target.name) {
        let reason = format!("there is no {} {}", target.kind, target.name);
        findings.error("target-not-found", "spec.targetRef", reason, "name a Server");
    }
    let winner = server::winner(policy, view);
    if let Some(winner) = winner.filter(|winner| winner.meta.name != policy.meta.name) {
        conflict(&winner.meta, "spec.targetRef", findings);
    }
}

pub(super) fn check_profile(found: &Resource<ServiceProfile>, view: &View<'_>, findings: &mut Findings<'_>) {
    let Some(name) = crate::store::profiled(&found.meta.name) else {
        let reason = "the name is not NAME.NAMESPACE.svc.DOMAIN, so that it is for no Service".to_owned();
        findings.warn("profile-without-service", "metadata.name", reason, "");
        return;
    };
    let Some(service) = view.service(&name) else {
        let reason = format!("there is no Service {}/{}", name.0, name.1);
        findings.warn("service-not-found", "metadata.name", reason, "check the name");
        return;
    };
    let routed = |port: &wattle_api::ServicePort| {
        !crate::route::chosen(&name, port, &found.meta.namespace, view).is_empty()
    };
    if service.spec.ports.iter().any(routed) {
        let reason =
            "routes are attached to the Service, which replace the profile on their ports".to_owned();
        findings.warn("profile-shadowed", "", reason, "remove the profile or the routes");
    }
    for (index, route) in found.spec.routes.iter().enumerate() {
        if profile::alternatives(&route.condition).is_none() {
            let reason = "the condition cannot be told of a request here, the route is left out".to_owned();
            let field = format!("spec.routes[{index}].condition");
            let hint = "write it without not, and with one method and one path";
            findings.error("condition-not-supported", &field, reason, hint);
        }
    }
}

pub(super) fn check_egress(policy: &Resource<EgressPolicy>, view: &View<'_>, findings: &mut Findings<'_>) {
    if let Some(selector) = &policy.spec.selector {
        let mut workloads = view.workloads_in(&policy.meta.namespace);
        if !workloads.any(|instance| selector.selects(&instance.labels)) {
            let reason = "no workload has these labels".to_owned();
            findings.warn("selects-nothing", "spec.selector", reason, "");
        }
    }
    let policies = egress::policies(&policy.meta.namespace, view);
    let rival = policies
        .into_iter()
        .find(|rival| rival.spec.selector == policy.spec.selector);
    if let Some(winner) = rival.filter(|rival| rival.meta.name != policy.meta.name) {
        conflict(&winner.meta, "spec.selector", findings);
    }
    for (index, rule) in policy.spec.allow.iter().enumerate() {
        let field = format!("spec.allow[{index}]");
        for (position, port) in rule.ports.iter().enumerate() {
            let field = format!("{field}.ports[{position}]");
            if port.protocol == EgressProtocol::Tcp {
                let reason = "the host of opaque bytes is known only where the caller dials it by name: calls by \
                              address are not allowed by this";
                findings.warn(
                    "host-not-known",
                    &field,
                    reason.to_owned(),
                    "write TLS where that is spoken",
                );
            }
            let own_tls = matches!(port.protocol, EgressProtocol::Tls | EgressProtocol::Https);
            if rule.tls_origination.is_some() && own_tls {
                let reason = "what is TLS already gets no other TLS around it".to_owned();
                findings.warn("tls-already", &field, reason, "write HTTP");
            }
        }
    }
}

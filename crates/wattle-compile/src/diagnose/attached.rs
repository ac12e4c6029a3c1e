//! Policies and slices that are attached to Services: whom they are for, and what of them cannot be had.

use wattle_api::{
    AddressType, BackendTlsPolicy, BackendTrafficPolicy, CaCertificates, ConfigMap, EndpointSlice, Kind,
    Meta, PolicyTarget, Resource, ServicePort,
};

use super::Findings;
use crate::backend_policy::{self, Broken, covers};
use crate::view::View;

pub(super) fn check_tls(policy: &Resource<BackendTlsPolicy>, view: &View<'_>, findings: &mut Findings<'_>) {
    check_validation(policy, view, findings);
    if !policy.spec.options.is_empty() {
        findings.no_effect("spec.options", "no option is known");
    }
    for (index, target) in policy.spec.target_refs.iter().enumerate() {
        let Some(ports) = targeted(&policy.meta, index, target, view, findings) else {
            continue;
        };
        let service = (policy.meta.namespace.clone(), target.name.as_str().into());
        let covered: Vec<_> = ports
            .iter()
            .filter(|port| covers(target, &service, port))
            .collect();
        if covered.is_empty() {
            let reason = format!("Service {} has no port of this name", target.name);
            let field = format!("spec.targetRefs[{index}].sectionName");
            findings.error("target-not-found", &field, reason, "name one of its ports");
        }
        let winners = covered
            .iter()
            .filter_map(|port| backend_policy::tls_policy(&service, port, view));
        if let Some(winner) = winners
            .into_iter()
            .find(|winner| winner.meta.name != policy.meta.name)
        {
            conflict(&winner.meta, &format!("spec.targetRefs[{index}]"), findings);
        }
    }
}

/// Whose certificates count. A reference that leads nowhere is an error beside one that does not, too.
fn check_validation(policy: &Resource<BackendTlsPolicy>, view: &View<'_>, findings: &mut Findings<'_>) {
    let namespace = &policy.meta.namespace;
    let closed = match backend_policy::origination(&policy.spec.validation, namespace, view) {
        Ok(_) => "",
        Err(Broken::Refs) => ", so that nothing is sent to the targets",
        Err(Broken::WellKnown) => {
            let reason = "only the set System is known, so that nothing is sent to the targets";
            let hint = "write wellKnownCACertificates: System";
            return findings.error("ca-not-known", "spec.validation", reason.to_owned(), hint);
        }
    };
    let CaCertificates::Refs(refs) = &policy.spec.validation.authorities else {
        return;
    };
    for (index, written) in refs.iter().enumerate() {
        if backend_policy::authorities(written, namespace, view).is_some() {
            continue;
        }
        let field = format!("spec.validation.caCertificateRefs[{index}]");
        if !written.group.is_empty() || written.kind != Kind::ConfigMap.as_str() {
            let reason = format!("certificates of a {} are not read{closed}", written.kind);
            findings.error(
                "ca-kind-not-supported",
                &field,
                reason,
                "name a ConfigMap of group ''",
            );
            continue;
        }
        let reason = format!(
            "there is no ConfigMap {} in {namespace} whose key ca.crt has a certificate{closed}",
            written.name
        );
        let hint = "put certificates in PEM below data, in the key ca.crt";
        findings.error("ca-not-found", &field, reason, hint);
    }
}

/// A ConfigMap whose certificates are none; where a policy needs them it says so as well.
pub(super) fn check_authorities(map: &Resource<ConfigMap>, findings: &mut Findings<'_>) {
    let pem = map.spec.authorities.as_deref();
    if pem.is_some_and(|pem| !backend_policy::has_certificate(pem)) {
        let reason = "there is no certificate in it".to_owned();
        findings.warn(
            "no-certificate",
            "data.ca.crt",
            reason,
            "write certificates in PEM",
        );
    }
}

pub(super) fn check_traffic(
    policy: &Resource<BackendTrafficPolicy>,
    view: &View<'_>,
    findings: &mut Findings<'_>,
) {
    let session = policy.spec.session_persistence.as_ref();
    if session.is_some_and(|session| session.idle_timeout.is_some()) {
        findings.no_effect(
            "spec.sessionPersistence.idleTimeout",
            "idle sessions are not told from others yet, the field is not applied",
        );
    }
    let interval = policy.spec.retry_constraint.map(|found| found.budget.interval);
    if interval.is_some_and(|interval| interval.as_secs() > 60) {
        let reason = "requests are counted over 60 s at most".to_owned();
        findings.warn(
            "interval-too-long",
            "spec.retryConstraint.budget.interval",
            reason,
            "write 60s",
        );
    }
    for (index, target) in policy.spec.target_refs.iter().enumerate() {
        if targeted(&policy.meta, index, target, view, findings).is_none() {
            continue;
        }
        let service = (policy.meta.namespace.clone(), target.name.as_str().into());
        let winner = backend_policy::traffic(&service, view);
        if let Some(winner) = winner.filter(|winner| winner.meta.name != policy.meta.name) {
            conflict(&winner.meta, &format!("spec.targetRefs[{index}]"), findings);
        }
    }
}

/// The ports of a target; what is wrong with it is said.
pub(super) fn targeted<'a>(
    policy: &Meta,
    index: usize,
    target: &PolicyTarget,
    view: &View<'a>,
    findings: &mut Findings<'_>,
) -> Option<&'a [ServicePort]> {
    let field = format!("spec.targetRefs[{index}]");
    if !target.is_service() {
        let reason = format!("a target of kind {} is not served", target.kind);
        findings.error("target-not-supported", &field, reason, "target a Service");
        return None;
    }
    let name = (policy.namespace.clone(), target.name.as_str().into());
    let service = view.service(&name);
    if service.is_none() {
        let reason = format!("there is no Service {}", target.name);
        findings.error("target-not-found", &field, reason, "check the name");
    }
    service.map(|service| &*service.spec.ports)
}

pub(super) fn conflict(winner: &Meta, field: &str, findings: &mut Findings<'_>) {
    let reason = format!(
        "{} is for the same target and wins: it is narrower, older, or first by name",
        winner.name
    );
    findings.warn("policy-conflict", field, reason, "keep one of them");
}

pub(super) fn check_slice(slice: &Resource<EndpointSlice>, view: &View<'_>, findings: &mut Findings<'_>) {
    if slice.spec.address_type == AddressType::Fqdn {
        let reason = "names are not resolved, so that nothing is sent there".to_owned();
        findings.error(
            "address-not-supported",
            "addressType",
            reason,
            "write IP addresses",
        );
    }
    let mut hinted = slice.spec.endpoints.iter();
    if let Some(index) = hinted.position(|endpoint| endpoint.hints.is_some()) {
        let field = format!("endpoints[{index}].hints");
        let reason = "hints have no effect: zone and the Service's trafficDistribution say what is near";
        findings.info("no-effect", &field, reason.to_owned());
    }
    let Some(name) = slice.service_name() else {
        let reason = "it belongs to no Service".to_owned();
        let hint = "set the label kubernetes.io/service-name";
        findings.warn("slice-without-service", "metadata.labels", reason, hint);
        return;
    };
    match view.service(&(slice.meta.namespace.clone(), name.into())) {
        None => {
            let reason = format!("there is no Service {name}");
            findings.warn("service-not-found", "metadata.labels", reason, "check the label");
        }
        Some(service) if !service.spec.selector.is_empty() => {
            let reason = format!("Service {name} has a selector: its workloads count, not its slices");
            findings.warn("slice-ignored", "metadata.labels", reason, "");
        }
        Some(service) => {
            let ports = service.spec.ports.iter();
            let used = ports
                .filter(|port| crate::endpoints::slice::number(slice, port).is_some())
                .count();
            spoken(slice, &service.spec.ports, findings);
            if used == 0 {
                let reason = format!("no port of it has the name of a TCP port of Service {name}");
                findings.warn("slice-port-not-found", "ports", reason, "name its ports alike");
            }
        }
    }
}

/// A port that says what is spoken there otherwise than the Service, which alone counts.
fn spoken(slice: &Resource<EndpointSlice>, ports: &[ServicePort], findings: &mut Findings<'_>) {
    for (index, written) in slice.spec.ports.iter().enumerate() {
        let own = ports
            .iter()
            .find(|port| port.name.as_deref().unwrap_or("") == written.name);
        let said = own.and_then(|port| port.app_protocol.as_deref());
        if written.app_protocol.is_some() && written.app_protocol.as_deref() != said {
            findings.ignored(
                &format!("ports[{index}].appProtocol"),
                "the port of the Service says what is spoken",
            );
        }
    }
}

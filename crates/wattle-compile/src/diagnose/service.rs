//! Services and the workloads they select.

use wattle_api::{
    Address, Exposure, Protocol, Resource, Service, ServiceTraffic, TargetPort, TrafficDistribution,
    WorkloadEntry,
};

use super::Findings;
use crate::store::ISTIO_DEFAULTS;
use crate::view::View;
use crate::{endpoints, protocol};

pub(super) fn check(service: &Resource<Service>, view: &View<'_>, findings: &mut Findings<'_>) {
    if service.spec.exposure == Exposure::ExternalName {
        return;
    }
    without_effect(&service.spec.traffic, findings);
    let behind = view.selected(&service.meta.namespace, &service.spec.selector);
    if !service.spec.selector.is_empty() && behind.is_empty() {
        let reason = "no workload has these labels".to_owned();
        findings.warn(
            "selects-nothing",
            "spec.selector",
            reason,
            "compare them with the labels of your workloads",
        );
    }
    for (index, port) in service.spec.ports.iter().enumerate() {
        let field = format!("spec.ports[{index}]");
        if port.protocol != Protocol::Tcp {
            let reason = "only TCP is carried by the mesh".to_owned();
            findings.warn("port-not-carried", &format!("{field}.protocol"), reason, "");
            continue;
        }
        if let Some(text) = port
            .app_protocol
            .as_deref()
            .filter(|text| protocol::of_app_protocol(text).is_none())
        {
            let reason = format!("{text} is not known, so the protocol is taken from the name or detected");
            findings.warn(
                "unknown-protocol",
                &format!("{field}.appProtocol"),
                reason,
                "write http, http2, grpc, tls or tcp",
            );
        }
        let missing = behind
            .iter()
            .filter(|instance| endpoints::target(port, instance).is_none())
            .count();
        if let (TargetPort::Name(name), 1..) = (&port.target_port, missing) {
            let reason = format!(
                "{missing} of {} workloads have no port named {name}",
                behind.len()
            );
            findings.warn(
                "target-port-not-found",
                &format!("{field}.targetPort"),
                reason,
                "name the port there",
            );
        }
    }
}

fn without_effect(traffic: &ServiceTraffic, findings: &mut Findings<'_>) {
    if traffic.only_same_node {
        findings.no_effect(
            "spec.internalTrafficPolicy",
            "which endpoints are on the caller's node is not known, the field is not applied",
        );
    }
    // What is not written counts as this.
    if traffic.client_affinity_secs.is_some_and(|secs| secs != 10_800) {
        let field = "spec.sessionAffinityConfig.clientIP.timeoutSeconds";
        findings.ignored(
            field,
            "an address is hashed, so that it keeps its endpoint for as long as there is one",
        );
    }
    if traffic.distribution == Some(TrafficDistribution::PreferSameNode) {
        let reason = "nodes are not known: endpoints of the caller's zone are preferred".to_owned();
        findings.warn("node-not-known", "spec.trafficDistribution", reason, "");
    }
}

pub(super) fn check_entry(entry: &Resource<WorkloadEntry>, findings: &mut Findings<'_>) {
    if !matches!(entry.spec.address, Address::Ip(_)) {
        let reason = "only IP addresses are supported yet, so that nothing is sent there".to_owned();
        findings.error(
            "address-not-supported",
            "spec.address",
            reason,
            "write its IP address",
        );
    }
    if entry.spec.network.is_some() {
        findings.no_effect(
            "spec.network",
            "every address is dialled as it is, the field is not applied",
        );
    }
    if entry.spec.weight == Some(0) {
        let reason = "weight 0 counts as 1".to_owned();
        findings.warn(
            "weight-ignored",
            "spec.weight",
            reason,
            "delete the entry to send it nothing",
        );
    }
}

/// A label of ours with a value that means nothing.
pub(super) fn check_namespace(namespace: &Resource<wattle_api::Namespace>, findings: &mut Findings<'_>) {
    let said = namespace.meta.labels.get(ISTIO_DEFAULTS);
    if let Some(said) = said.filter(|said| !["enabled", "disabled"].contains(&said.as_str())) {
        let reason =
            format!("{ISTIO_DEFAULTS} is {said}, expected enabled or disabled; it counts as disabled");
        findings.warn("unknown-value", "metadata.labels", reason, "write enabled");
    }
}

//! Sidecars.

use wattle_api::Resource;
use wattle_api::istio::{CaptureMode, DefaultEndpoint, EgressHost, EgressNamespace, Host, Sidecar};

use super::super::Findings;
use crate::istio::scope::{self, InForce};
use crate::view::View;

pub(in super::super) fn check(sidecar: &Resource<Sidecar>, view: &View<'_>, findings: &mut Findings<'_>) {
    selection(sidecar, view, findings);
    for (index, listener) in sidecar.spec.egress.iter().enumerate() {
        let field = format!("spec.egress[{index}]");
        let reason = "what a workload sends is always redirected; no listener is opened for it to dial";
        without_listener(
            listener.bind.is_some(),
            listener.capture_mode,
            (&field, reason),
            findings,
        );
        if listener.port.as_ref().is_some_and(|port| port.protocol.is_some()) {
            findings.ignored(
                &format!("{field}.port.protocol"),
                "what is spoken is what the Service or ServiceEntry that is called says",
            );
        }
        for (position, host) in listener.hosts.iter().enumerate() {
            if names_nothing(host, &sidecar.meta.namespace, view) {
                let reason = format!("nothing is called {host}");
                let hint = "compare it with your Services and ServiceEntries";
                findings.warn(
                    "selects-nothing",
                    &format!("{field}.hosts[{position}]"),
                    reason,
                    hint,
                );
            }
        }
    }
    ingress(&sidecar.spec, findings);
    if let Some(pool) = &sidecar.spec.inbound_connection_pool {
        let field = "spec.inboundConnectionPool";
        super::destination_rule::pool_settings(pool, field, findings);
        if pool.http.is_some_and(|http| http.h2_upgrade_policy.is_some()) {
            let field = format!("{field}.http.h2UpgradePolicy");
            findings.ignored(&field, "the workload is sent the HTTP version of its caller");
        }
    }
    let policy = sidecar.spec.outbound_traffic_policy.as_ref();
    if policy.is_some_and(|policy| policy.egress_proxy.is_some()) {
        let field = "spec.outboundTrafficPolicy.egressProxy";
        findings.ignored(
            field,
            "what nothing describes goes where it was dialled, or nowhere",
        );
    }
}

fn selection(sidecar: &Resource<Sidecar>, view: &View<'_>, findings: &mut Findings<'_>) {
    match scope::in_force(sidecar, view) {
        InForce::Here => {}
        InForce::Nowhere => {
            let reason = "no workload of its namespace has these labels".to_owned();
            let hint = "compare them with the labels of your workloads";
            findings.warn("selects-nothing", "spec.workloadSelector", reason, hint);
        }
        InForce::Instead(winner) => {
            let reason = format!(
                "Sidecar {} is for the same workloads and wins: it is older, or first by name",
                winner.meta.name
            );
            findings.warn("policy-conflict", "", reason, "keep one of them");
        }
    }
}

fn ingress(sidecar: &Sidecar, findings: &mut Findings<'_>) {
    for (index, listener) in sidecar.ingress.iter().enumerate() {
        let field = format!("spec.ingress[{index}]");
        if listener.tls.is_some() {
            let reason =
                "TLS of other clients cannot be terminated yet; the port keeps the mesh's own".to_owned();
            findings.error(
                "unsupported-field",
                &format!("{field}.tls"),
                reason,
                "remove the field",
            );
        }
        if matches!(listener.default_endpoint, Some(DefaultEndpoint::Unix(_))) {
            let reason =
                "a Unix socket cannot be reached yet; the port of the workload is dialled".to_owned();
            findings.error(
                "unsupported-value",
                &format!("{field}.defaultEndpoint"),
                reason,
                "write an address",
            );
        }
        let reason = "what a workload is sent is always redirected, to the port that it was sent to";
        without_listener(
            listener.bind.is_some(),
            listener.capture_mode,
            (&field, reason),
            findings,
        );
        if listener.connection_pool.is_some() {
            let reason = "only inboundConnectionPool, for all ports, is applied";
            findings.ignored(&format!("{field}.connectionPool"), reason);
        }
    }
}

/// A listener is written with an address or without redirection, and none is opened.
fn without_listener(
    bound: bool,
    mode: CaptureMode,
    (field, reason): (&str, &str),
    findings: &mut Findings<'_>,
) {
    if bound {
        findings.ignored(&format!("{field}.bind"), reason);
    }
    if mode == CaptureMode::None {
        findings.ignored(&format!("{field}.captureMode"), reason);
    }
}

fn names_nothing(entry: &EgressHost, own: &str, view: &View<'_>) -> bool {
    let plain = !matches!(entry.namespace, EgressNamespace::Nowhere) && entry.host != Host::Any;
    plain
        && !view
            .known_hosts()
            .iter()
            .any(|(namespace, host)| scope::names(entry, own, namespace, host))
}

//! ServiceEntries.

use std::sync::Arc;

use wattle_api::istio::{AppProtocol, Host, Location, Resolution, ServiceEntry};
use wattle_api::{Address, Resource, WorkloadEntry};
use wattle_model::Protocol;
use wattle_model::traffic::UpstreamTls;

use super::super::Findings;
use super::elsewhere;
use crate::istio::{entry as compiled, frontend, host, policy};
use crate::view::View;

pub(in super::super) fn check(entry: &Resource<ServiceEntry>, view: &View<'_>, findings: &mut Findings<'_>) {
    hosts(entry, view, findings);
    if entry.spec.resolution == Resolution::DynamicDns {
        nameless(&entry.spec, findings);
    }
    for (index, port) in entry.spec.ports.iter().enumerate() {
        if port.protocol == Some(AppProtocol::Udp) {
            findings.ignored(
                &format!("spec.ports[{index}].protocol"),
                "datagrams are not carried by the mesh",
            );
        }
    }
    if entry.spec.location == Location::MeshInternal && !entry.spec.endpoints.is_empty() {
        findings.ignored(
            "spec.location",
            "endpoints written here have no proxy of the mesh; those of workloadSelector may have one",
        );
    }
    names(entry, view, findings);
    for (index, endpoint) in entry.spec.endpoints.iter().enumerate() {
        without_proxy(endpoint, &format!("spec.endpoints[{index}]"), findings);
        if matches!(endpoint.address, Address::Unix(_) | Address::Unknown) {
            let reason = "an endpoint without an address or a host cannot be reached".to_owned();
            let hint = "write an address or a host name";
            findings.error(
                "unsupported-value",
                &format!("spec.endpoints[{index}].address"),
                reason,
                hint,
            );
        }
    }
}

/// Ports on which no name is seen that could be resolved.
fn nameless(entry: &ServiceEntry, findings: &mut Findings<'_>) {
    for (index, port) in entry.ports.iter().enumerate() {
        let spoken = frontend::protocol(port);
        if spoken.is_some_and(|spoken| !spoken.is_http() && spoken != Protocol::Tls) {
            let reason = "a name to resolve is seen in HTTP requests and in TLS alone; connections are carried where other \
                          rules allow, or refused, but not by name";
            findings.warn(
                "unsupported-value",
                &format!("spec.ports[{index}].protocol"),
                reason.to_owned(),
                "write HTTP, HTTP2, GRPC, TLS or HTTPS",
            );
        }
    }
}

/// What of an endpoint only a proxy of the mesh there, or a gateway on the way, would heed.
fn without_proxy(endpoint: &WorkloadEntry, field: &str, findings: &mut Findings<'_>) {
    if endpoint.network.is_some() {
        findings.ignored(
            &format!("{field}.network"),
            "every address is dialled as it is, in whatever network",
        );
    }
}

/// Names of certificates count only where the callers' own proxies ask for a certificate; for mutual TLS of meshes exactly
/// one name can, and must.
fn names(entry: &Resource<ServiceEntry>, view: &View<'_>, findings: &mut Findings<'_>) {
    let says = |wanted: fn(&UpstreamTls) -> bool| {
        let says = |host: &Host| any_policy(entry, host, view, wanted);
        entry.spec.hosts.iter().any(says)
    };
    let names = &entry.spec.subject_alt_names;
    let mutual = says(|tls| *tls == UpstreamTls::MeshMutual);
    let endpoints = entry.spec.endpoints.iter().enumerate();
    let accounts = endpoints.filter_map(|(index, written)| Some((index, written.service_account.as_ref()?)));
    for (index, _) in accounts.clone().filter(|_| !mutual || !names.is_empty()) {
        findings.ignored(
            &format!("spec.endpoints[{index}].serviceAccount"),
            "it is asked for where a DestinationRule says tls.mode ISTIO_MUTUAL and subjectAltNames gives no name",
        );
    }
    let all_named = match &names[..] {
        [] => !entry.spec.endpoints.is_empty() && accounts.count() == entry.spec.endpoints.len(),
        _ => compiled::peer(&entry.spec).is_some(),
    };
    if mutual && entry.spec.workload_selector.is_none() && !all_named {
        findings.error(
            "no-peer-name",
            "spec.subjectAltNames",
            "a DestinationRule says tls.mode ISTIO_MUTUAL, for which the name of every server must be known; without it no \
             connection comes about"
                .to_owned(),
            "give exactly one name, of the form spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT, or none and every endpoint a \
             serviceAccount",
        );
    }
    let originates = says(|tls| matches!(tls, UpstreamTls::Origination { .. }));
    if !names.is_empty() && !originates && !mutual {
        findings.ignored(
            "spec.subjectAltNames",
            "no DestinationRule of the host says tls.mode SIMPLE, MUTUAL or ISTIO_MUTUAL, so that no certificate is looked at",
        );
    }
}

/// Does a policy for callers of this host say so of TLS?
fn any_policy(
    entry: &Resource<ServiceEntry>,
    host: &Host,
    view: &View<'_>,
    wanted: fn(&UpstreamTls) -> bool,
) -> bool {
    let frontend = frontend::of_entry(entry, &host.to_string().into());
    let ports = frontend
        .ports()
        .into_iter()
        .filter_map(|port| frontend.port(port));
    let mut backends =
        ports.filter_map(|port| policy::backend(&frontend, port, &entry.meta.namespace, view).ok());
    backends.any(|backend| {
        let callers = backend.callers.iter().filter_map(|caller| caller.seen.as_ref());
        let mut policies = callers.map(|seen| &seen.policy).chain([&backend.policy]);
        policies.any(|policy| wanted(&policy.tls))
    })
}

fn hosts(entry: &Resource<ServiceEntry>, view: &View<'_>, findings: &mut Findings<'_>) {
    for (index, written) in entry.spec.hosts.iter().enumerate() {
        let field = format!("spec.hosts[{index}]");
        let text: Arc<str> = written.to_string().into();
        if host::service(&text, view.settings).is_some_and(|name| view.service(&name).is_some()) {
            let reason = format!("{text} is a Service, which alone counts");
            findings.warn(
                "conflicting-hosts",
                &field,
                reason,
                "name a host that no Service has",
            );
        }
        elsewhere::declared(entry, &text, &field, view, findings);
        let others = view.entries_of(&text).into_iter();
        let mut before = others
            .filter(|other| other.meta.namespace == entry.meta.namespace)
            .take_while(|other| other.meta.name != entry.meta.name);
        let shared = |other: &&Arc<Resource<ServiceEntry>>| {
            let mut ports = entry.spec.ports.iter();
            ports.any(|port| other.spec.ports.iter().any(|theirs| theirs.number == port.number))
        };
        if let Some(first) = before.find(shared) {
            let reason = format!(
                "ServiceEntry {}/{} has a port of the same host, and counts there",
                first.meta.namespace, first.meta.name
            );
            findings.warn(
                "conflicting-hosts",
                &field,
                reason,
                "write each port of a host in one ServiceEntry",
            );
        }
    }
}

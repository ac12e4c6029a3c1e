//! Listings as text.

use crate::mesh::view::{EndpointView, ObjectView, ProxyStatus, ServiceView};
use crate::supervisor::status::Status;
use crate::view::number::seconds;
use crate::view::table::{numbers, render, words};

pub(super) fn processes(all: &[Status]) -> String {
    let columns = [
        words("NAMESPACE"),
        words("INSTANCE"),
        words("PHASE"),
        words("ADDRESS"),
        words("PROXY"),
        numbers("RESTARTS"),
        numbers("EXIT"),
        words("NOTE"),
    ];
    let row = |one: &Status| {
        vec![
            one.namespace.clone(),
            one.instance.clone(),
            one.phase.as_str().to_owned(),
            or_dash(one.address),
            proxy(one),
            one.restarts.to_string(),
            or_dash(one.exit.map(|exit| exit.code)),
            one.note.clone().unwrap_or_default(),
        ]
    };
    render(&columns, all.iter().map(row))
}

fn proxy(one: &Status) -> String {
    match &one.proxy {
        None => "none".to_owned(),
        Some(proxy) if proxy.ready => "ready".to_owned(),
        Some(proxy) if proxy.pid.is_some() => "starting".to_owned(),
        Some(_) => "down".to_owned(),
    }
}

pub(super) fn proxies(all: &[ProxyStatus]) -> String {
    let columns = [
        words("PROXY"),
        words("PROGRAM"),
        words("IDENTITY"),
        words("SYNCED"),
        numbers("PENDING"),
        numbers("REFUSED"),
        numbers("GAPS"),
        numbers("RESOURCES"),
        numbers("CONNECTED"),
    ];
    let row = |one: &ProxyStatus| {
        vec![
            one.node.clone(),
            one.agent.clone(),
            one.identity.clone(),
            yes_or_no(one.synced),
            one.pending.to_string(),
            one.refused.to_string(),
            one.gaps.len().to_string(),
            one.resources.len().to_string(),
            seconds(one.connected_secs),
        ]
    };
    render(&columns, all.iter().map(row))
}

pub(super) fn services(all: &[ServiceView]) -> String {
    let columns = [words("NAMESPACE"), words("NAME"), words("ADDRESS"), words("HOST")];
    let row = |one: &ServiceView| {
        vec![
            one.namespace.clone(),
            one.name.clone(),
            or_dash(one.address),
            one.host.clone(),
        ]
    };
    render(&columns, all.iter().map(row))
}

pub(super) fn endpoints(all: &[EndpointView]) -> String {
    let columns = [
        words("BACKEND"),
        words("ADDRESS"),
        words("WORKLOAD"),
        words("HEALTH"),
        words("MTLS"),
        numbers("WEIGHT"),
    ];
    let row = |one: &EndpointView| {
        vec![
            one.backend.clone(),
            one.address.clone(),
            one.workload.clone(),
            one.health.clone(),
            yes_or_no(one.mtls),
            one.weight.to_string(),
        ]
    };
    render(&columns, all.iter().map(row))
}

pub(super) fn objects(all: &[ObjectView]) -> String {
    let columns = [
        words("KIND"),
        words("NAMESPACE"),
        words("NAME"),
        words("STATUS"),
        words("WRITTEN AT"),
    ];
    let row = |one: &ObjectView| {
        vec![
            one.kind.clone(),
            one.namespace.clone(),
            one.name.clone(),
            one.status.clone(),
            written_at(one),
        ]
    };
    render(&columns, all.iter().map(row))
}

pub(super) fn object(one: &ObjectView) -> String {
    let manifest = serde_json::to_string_pretty(&one.manifest).unwrap_or_default();
    format!("# {}, written at {}\n{manifest}\n", one.status, written_at(one))
}

fn written_at(one: &ObjectView) -> String {
    format!("{}:{}", one.file, one.line)
}

fn yes_or_no(value: bool) -> String {
    if value { "yes".to_owned() } else { "no".to_owned() }
}

fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use crate::supervisor::status::{Exit, Phase, ProxyStatus};

    use super::*;

    #[test]
    fn a_process_is_shown_with_what_it_waits_for() {
        let status = Status {
            namespace: "shop".into(),
            process: "web".into(),
            instance: "web-0".into(),
            phase: Phase::BackingOff,
            pid: None,
            restarts: 3,
            exit: Some(Exit { code: 137 }),
            address: Some([10, 244, 0, 9].into()),
            proxy: Some(ProxyStatus {
                pid: Some(7),
                restarts: 0,
                ready: true,
            }),
            log: "/l".into(),
            proxy_log: None,
            note: Some("ended with 137".into()),
        };
        let expected = "\
NAMESPACE  INSTANCE  PHASE        ADDRESS     PROXY  RESTARTS  EXIT  NOTE
shop       web-0     backing-off  10.244.0.9  ready         3   137  ended with 137
";
        assert_eq!(processes(&[status]), expected);
    }
}

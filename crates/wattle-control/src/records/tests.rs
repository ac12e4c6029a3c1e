//! What lines and edges say.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use wattle_telemetry::{EdgeName, EdgeTotal, EdgeView};

use super::*;

fn line(more: &Value) -> Value {
    let mut line = json!({
        "reporter": "destination", "instance": "web-0", "start_time": "2026-01-01T00:00:00.000Z",
        "method": "POST", "path": "/pay", "authority": "web", "protocol": "HTTP/1.1",
        "response_code_details": "policy_denied", "reason_detail": null, "trace_id": null,
        "downstream_remote_address": "10.0.0.2:1234", "downstream_local_address": "10.0.0.3:80",
        "source_principal": "spiffe://td/ns/n/sa/b", "destination_principal": "spiffe://td/ns/n/sa/web",
    });
    for (name, value) in more.as_object().unwrap() {
        line[name] = value.clone();
    }
    line
}

#[test]
fn a_line_says_who_called_what_and_how_it_ended() {
    let record = of_line(&line(&json!({}))).unwrap();
    assert_eq!(record.then(), Then::Refused);
    assert_eq!(record.caller(), "td/ns/n/sa/b");
    assert_eq!(record.port(), Some(80));
    assert_eq!(record.facts.workload, "spiffe://td/ns/n/sa/web");
    assert_eq!(record.facts.request.unwrap().path, "/pay");
}

#[test]
fn how_it_ended_tells_what_policies_had_to_do_with_it() {
    for (reason, then) in [
        ("via_upstream", Then::LetIn),
        ("upstream_connect_failure", Then::LetIn),
        ("rate_limited", Then::LetIn),
        ("mtls_required", Then::Refused),
        ("policy_not_allowed", Then::Refused),
        ("external_denied", Then::NotAsked),
        ("token_invalid", Then::NotAsked),
        ("bad_request", Then::NotAsked),
        ("whatever_comes", Then::NotAsked),
    ] {
        let record = of_line(&line(&json!({"response_code_details": reason}))).unwrap();
        assert_eq!(record.then(), then, "{reason}");
    }
}

#[test]
fn a_line_of_the_calling_side_is_not_taken_for_one_of_the_called() {
    let calling = of_line(&line(&json!({"reporter": "source"})));
    assert_eq!(calling, Err(LineError::OtherSide));
    let older = json!({"reporter": null, "destination_service": "web.n.svc.cluster.local"});
    assert_eq!(of_line(&line(&older)), Err(LineError::OtherSide));
}

#[test]
fn a_line_that_cannot_be_read_is_refused_with_the_field() {
    let error = of_line(&line(&json!({"downstream_local_address": "web"}))).unwrap_err();
    assert!(
        error.to_string().contains("downstream_local_address") && error.to_string().contains("`web`"),
        "{error}"
    );
    assert_eq!(of_line(&json!([])), Err(LineError::Shape));
}

#[test]
fn an_opaque_connection_is_no_request() {
    let record = of_line(&line(&json!({"protocol": "TCP"}))).unwrap();
    assert_eq!(record.facts.request, None);
}

#[test]
fn equal_records_become_one_and_the_bound_is_kept_and_said() {
    let one = |path: &str, port: u16| {
        let remote = format!("10.0.0.2:{port}");
        of_line(&line(&json!({"path": path, "downstream_remote_address": remote}))).unwrap()
    };
    let (all, left_out) = gathered([one("/a", 1), one("/a", 2), one("/b", 1), one("/c", 1)], 2);
    let counts: Vec<u64> = all.iter().map(|record| record.count).collect();
    assert_eq!((counts, left_out), (vec![2, 1], 1));
}

#[test]
fn an_edge_counts_only_what_was_let_in_and_only_from_the_called_side() {
    let edge = |reporter: &str, successes, connections_opened, sent_bytes| EdgeView {
        name: EdgeName {
            reporter: reporter.to_owned(),
            source_principal: "spiffe://td/ns/n/sa/b".to_owned(),
            destination_principal: "spiffe://td/ns/n/sa/web".to_owned(),
            mtls: true,
            ..EdgeName::default()
        },
        total: EdgeTotal {
            requests: 9,
            successes,
            connections_opened,
            sent_bytes,
            ..EdgeTotal::default()
        },
    };
    let count = |edge| of_edge(&edge).map(|record| record.count);
    assert_eq!(count(edge("destination", 3, 0, 0)), Some(3));
    assert_eq!(count(edge("destination", 0, 4, 10)), Some(4));
    assert_eq!(count(edge("destination", 0, 4, 0)), None);
    assert_eq!(count(edge("source", 3, 0, 0)), None);
}

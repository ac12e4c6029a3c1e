//! Refusals of a small mesh, and what is said of them.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;

use wattle_telemetry::RefusedRequest;

use super::*;

const MESH: &str = "
apiVersion: wattle.io/v1alpha1
kind: Process
metadata: {name: web, labels: {app: web}}
spec: {command: [x], serviceAccountName: web, ports: [{port: 80}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: readers}
spec:
  selector: {matchLabels: {app: web}}
  rules:
  - from: [{source: {principals: [cluster.local/ns/default/sa/page]}}]
    to: [{operation: {methods: [GET]}}]
";

fn mesh(policies: &str) -> (tempfile::TempDir, Mesh) {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("mesh.yaml"), format!("{MESH}{policies}")).unwrap();
    let (mesh, _) = crate::offline::load(directory.path());
    (directory, mesh)
}

fn refusal(peer: Option<&str>, method: &str) -> Refusal {
    let address = SocketAddr::from(([10, 0, 0, 1], 80));
    Refusal {
        id: "0123456789abcdef".to_owned(),
        trace_id: None,
        time: String::new(),
        reason: "policy_not_allowed".to_owned(),
        detail: String::new(),
        policy: String::new(),
        workload: "spiffe://cluster.local/ns/default/sa/web".to_owned(),
        instance: "web-0".to_owned(),
        peer: peer.map(|account| format!("spiffe://cluster.local/ns/default/sa/{account}")),
        downstream: address,
        local: address,
        sni: None,
        request: Some(RefusedRequest {
            method: method.to_owned(),
            scheme: "http".to_owned(),
            authority: "web".to_owned(),
            path: "/a".to_owned(),
            ..RefusedRequest::default()
        }),
    }
}

fn remedies(policies: &str, refusal: &Refusal) -> Vec<String> {
    let (_kept, mut mesh) = mesh(policies);
    why(&mut mesh, refusal).unwrap().remedies
}

#[test]
fn another_caller_has_to_be_added_to_the_rule() {
    let found = remedies("", &refusal(Some("guest"), "GET"));
    assert_eq!(found.len(), 1);
    let remedy = &found[0];
    assert!(remedy.starts_with("add principal cluster.local/ns/default/sa/guest to rule 0 of AuthorizationPolicy default/readers ("), "{remedy}");
    assert!(remedy.contains("mesh.yaml:"), "{remedy}");
}

#[test]
fn another_method_is_either_not_used_or_allowed() {
    let found = remedies("", &refusal(Some("page"), "POST"));
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("call with method \"GET\", or allow method POST in rule 0 of "),
        "{found:?}"
    );
}

#[test]
fn a_deny_rule_has_to_make_an_exception() {
    let deny = "---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: none}
spec: {action: DENY, rules: [{to: [{operation: {paths: [/a]}}]}]}
";
    let found = remedies(deny, &refusal(Some("page"), "GET"));
    assert!(found[0].starts_with("except principal cluster.local/ns/default/sa/page from rule 0 of AuthorizationPolicy default/none"), "{found:?}");
}

#[test]
fn plaintext_on_a_strict_port_needs_a_proxy_or_a_milder_mode() {
    let strict = "---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict}
spec: {mtls: {mode: STRICT}}
";
    let found = remedies(strict, &refusal(None, "GET"));
    assert_eq!(found[0], "give the caller a proxy");
    assert!(
        found[1].starts_with("set port 80 to PERMISSIVE in PeerAuthentication default/strict"),
        "{found:?}"
    );
}

#[test]
fn a_change_since_then_is_said_with_both_answers() {
    let (_kept, mut mesh) = mesh("");
    let answer = why(&mut mesh, &refusal(Some("page"), "GET")).unwrap();
    assert!(answer.changed && answer.now.allowed && answer.remedies.is_empty());
    let text = answer.to_string();
    assert!(text.contains("refused     policy_not_allowed\n"), "{text}");
    assert!(
        text.contains("now         it would be let in, since the configuration has changed"),
        "{text}"
    );
}

#[test]
fn a_workload_that_is_gone_is_an_error_that_names_it() {
    let (_kept, mut mesh) = mesh("");
    let mut gone = refusal(None, "GET");
    gone.workload = "spiffe://cluster.local/ns/x/sa/y".to_owned();
    assert_eq!(
        why(&mut mesh, &gone),
        Err(WhyError::Workload(gone.workload.clone()))
    );
}

//! Records against policies, before and after.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use wattle_compile::Mesh;
use wattle_telemetry::RefusedRequest;

use super::*;
use crate::records::{Known, of_line};

const MESH: &str = "
apiVersion: wattle.io/v1alpha1
kind: Process
metadata: {name: web, labels: {app: web}}
spec: {command: [x], serviceAccountName: web, ports: [{port: 80}]}
---
";

fn policy(rules: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: readers}}\n\
         spec: {{selector: {{matchLabels: {{app: web}}}}, {rules}}}\n"
    )
}

fn mesh(policies: &str) -> Mesh {
    let parsed = wattle_api::parse(&format!("{MESH}{policies}"), "mesh.yaml");
    assert!(parsed.diagnostics.is_empty(), "{:?}", parsed.diagnostics);
    let mut mesh = Mesh::new(wattle_compile::Settings::default());
    mesh.reset(parsed.objects);
    mesh
}

fn seen(method: &str, reason: &str) -> Record {
    seen_at("/a", method, reason)
}

fn seen_at(path: &str, method: &str, reason: &str) -> Record {
    let line: Value = json!({
        "reporter": "destination", "instance": "web-0", "method": method, "path": path, "authority": "web",
        "protocol": "HTTP/1.1", "response_code_details": reason,
        "downstream_remote_address": "10.0.0.2:1234", "downstream_local_address": "10.0.0.3:80",
        "source_principal": "spiffe://cluster.local/ns/default/sa/page",
        "destination_principal": "spiffe://cluster.local/ns/default/sa/web",
    });
    of_line(&line).unwrap()
}

fn between(before: &str, after: &str, records: &[Record]) -> Replay {
    let now = decided(&mut mesh(before), records);
    compared(records, Some(&now), &decided(&mut mesh(after), records))
}

const GET_ONLY: &str = "rules: [{to: [{operation: {methods: [GET]}}]}]";
const BY_HEADER: &str = "rules: [{when: [{key: 'request.headers[x-role]', values: [admin]}]}]";

#[test]
fn only_the_decisions_that_change_are_listed_with_their_counts() {
    let mut posts = seen("POST", "via_upstream");
    posts.count = 7;
    let replay = between("", &policy(GET_ONLY), &[seen("GET", "via_upstream"), posts]);
    assert!(replay.untold.is_empty(), "{replay}");
    let [change] = &replay.changes[..] else {
        panic!("{replay}")
    };
    assert_eq!(
        (change.method.as_deref(), change.port, change.count),
        (Some("POST"), Some(80), 7)
    );
    assert_eq!((&*change.then, change.now.as_deref()), ("let in", Some("let in")));
    assert!(
        change
            .after
            .starts_with("refused policy_not_allowed by AuthorizationPolicy default/readers"),
        "{}",
        change.after
    );
    assert_eq!(replay.compared, 8);
}

#[test]
fn a_decision_that_depends_on_a_header_cannot_be_told_of_a_line() {
    let replay = between("", &policy(BY_HEADER), &[seen("GET", "via_upstream")]);
    assert!(replay.changes.is_empty() && !replay.is_same(), "{replay}");
    assert!(
        replay.untold[0].after.contains("request.headers[x-role]"),
        "{replay}"
    );
}

#[test]
fn a_header_that_does_not_matter_leaves_the_decision_certain() {
    let both = "rules: [{when: [{key: 'request.headers[x-role]', values: [admin]}]}, {to: [{operation: {methods: [GET]}}]}]";
    assert!(between("", &policy(both), &[seen("GET", "via_upstream")]).is_same());
    let none = "rules: [{from: [{source: {namespaces: [other]}}], when: [{key: 'request.headers[x-role]', values: [admin]}]}]";
    let replay = between("", &policy(none), &[seen("GET", "via_upstream")]);
    assert_eq!((replay.changes.len(), replay.untold.len()), (1, 0), "{replay}");
}

#[test]
fn rules_that_stay_the_same_decide_alike_whatever_is_not_known() {
    let moved = format!("# moved down\n\n{}", policy(BY_HEADER));
    assert!(between(&policy(BY_HEADER), &moved, &[seen("GET", "via_upstream")]).is_same());
}

#[test]
fn a_deny_rule_on_an_unknown_header_is_not_taken_for_harmless() {
    let deny = policy("action: DENY, rules: [{when: [{key: 'request.headers[x-role]', values: [guest]}]}]");
    let replay = between("", &deny, &[seen("GET", "via_upstream")]);
    assert_eq!((replay.changes.len(), replay.untold.len()), (0, 1), "{replay}");
}

#[test]
fn what_a_proxy_kept_of_headers_is_known_and_so_is_what_was_not_among_them() {
    let kept = |headers: &[(&str, &str)], names: &[&str]| {
        let mut record = seen("GET", "policy_not_allowed");
        record.known = Known::Kept;
        let request = record.facts.request.take().unwrap();
        record.facts.request = Some(RefusedRequest {
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()]))
                .collect(),
            header_names: names.iter().map(|name| (*name).to_owned()).collect(),
            ..request
        });
        record
    };
    let verdict = |record: Record| {
        let answers = decided(&mut mesh(&policy(BY_HEADER)), &[record]);
        answers[0].as_ref().unwrap().verdict.clone()
    };
    assert!(matches!(
        verdict(kept(&[("x-role", "admin")], &["x-role"])),
        Verdict::LetIn { .. }
    ));
    assert!(matches!(verdict(kept(&[], &["host"])), Verdict::Refused { .. }));
    let mut cut = kept(&[], &["host"]);
    cut.facts.request.as_mut().unwrap().cut = true;
    assert!(matches!(verdict(cut), Verdict::CannotTell { .. }));
    assert!(matches!(
        verdict(kept(&[], &["x-role"])),
        Verdict::CannotTell { .. }
    ));
}

#[test]
fn claims_matter_only_where_tokens_are_looked_at() {
    let claims = policy("rules: [{when: [{key: 'request.auth.claims[group]', values: [a]}]}]");
    let replay = between("", &claims, &[seen("GET", "via_upstream")]);
    assert_eq!((replay.changes.len(), replay.untold.len()), (1, 0), "{replay}");
    let tokens = "---\napiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: t}\n\
                  spec: {jwtRules: [{issuer: https://a, jwks: '{\"keys\": []}'}]}\n";
    let replay = between("", &format!("{claims}{tokens}"), &[seen("GET", "via_upstream")]);
    assert_eq!((replay.changes.len(), replay.untold.len()), (0, 1), "{replay}");
}

#[test]
fn of_an_edge_only_the_caller_is_known() {
    let mut edge = seen("GET", "");
    edge.known = Known::Edge;
    edge.facts.request = None;
    edge.facts.local.set_port(0);
    let shut = policy("rules: [{from: [{source: {namespaces: [other]}}]}]");
    let replay = between("", &shut, &[edge.clone()]);
    assert_eq!((replay.changes.len(), replay.untold.len()), (1, 0), "{replay}");
    let replay = between("", &policy(GET_ONLY), &[edge.clone()]);
    assert_eq!((replay.changes.len(), replay.untold.len()), (0, 1), "{replay}");
    let open = policy("rules: [{from: [{source: {namespaces: [default]}}]}]");
    assert!(between("", &open, &[edge]).is_same());
}

#[test]
fn what_already_changed_since_then_is_counted_and_not_blamed_on_the_candidate() {
    let replay = between(
        &policy(GET_ONLY),
        &policy(GET_ONLY),
        &[seen("POST", "via_upstream")],
    );
    assert!(replay.is_same());
    assert_eq!(replay.drifted, 1);
}

#[test]
fn what_ended_before_policies_were_asked_is_only_counted() {
    let replay = between("", &policy(GET_ONLY), &[seen("POST", "token_invalid")]);
    assert!(replay.is_same());
    assert_eq!((replay.compared, replay.undecided), (0, 1));
}

#[test]
fn a_workload_that_only_the_candidate_lacks_is_not_taken_for_unchanged() {
    let records = [seen("GET", "via_upstream")];
    let now = decided(&mut mesh(""), &records);
    let mut none = Mesh::new(wattle_compile::Settings::default());
    let replay = compared(&records, Some(&now), &decided(&mut none, &records));
    assert_eq!(replay.untold.len(), 1, "{replay}");
}

#[test]
fn a_path_that_the_log_may_have_cut_is_not_taken_for_whole() {
    let deny = policy("action: DENY, rules: [{to: [{operation: {paths: ['*/secret']}}]}]");
    let long = |length: usize| seen_at(&format!("/{}", "a".repeat(length - 1)), "GET", "via_upstream");
    let replay = between("", &deny, &[long(4_000)]);
    assert_eq!((replay.changes.len(), replay.untold.len()), (0, 0), "{replay}");
    let replay = between("", &deny, &[long(4_096)]);
    assert_eq!((replay.changes.len(), replay.untold.len()), (0, 1), "{replay}");
}

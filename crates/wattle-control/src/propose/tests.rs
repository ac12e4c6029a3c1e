//! What is proposed lets in what was seen, and nobody else.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use wattle_compile::Settings;

use super::*;
use crate::records::of_line;
use crate::replay::{Verdict, decided};

const MESH: &str = "
apiVersion: wattle.io/v1alpha1
kind: Process
metadata: {name: web, namespace: shop, labels: {app: web, tier: front}}
spec: {command: [x], serviceAccountName: web, ports: [{port: 80}, {port: 90}]}
---
apiVersion: wattle.io/v1alpha1
kind: Process
metadata: {name: db, namespace: shop, labels: {app: db}}
spec: {command: [x], serviceAccountName: db, ports: [{port: 5432, appProtocol: tcp}]}
---
";

fn mesh(policies: &str) -> Mesh {
    let parsed = wattle_api::parse(&format!("{MESH}{policies}"), "mesh.yaml");
    assert!(
        parsed.diagnostics.is_empty(),
        "{:?}\n{policies}",
        parsed.diagnostics
    );
    let mut mesh = Mesh::new(Settings::default());
    mesh.reset(parsed.objects);
    mesh
}

fn call(from: Option<&str>, to: &str, port: u16, what: Option<(&str, &str)>) -> Record {
    let (method, path) = what.unzip();
    let line: Value = json!({
        "reporter": "destination", "instance": format!("{to}-0"), "method": method, "path": path, "authority": to,
        "protocol": if what.is_some() { "HTTP/1.1" } else { "TCP" },
        "response_code_details": if what.is_some() { "via_upstream" } else { "" },
        "downstream_remote_address": "10.0.0.2:1234", "downstream_local_address": format!("10.0.0.3:{port}"),
        "source_principal": from.map(|from| format!("spiffe://cluster.local/ns/shop/sa/{from}")),
        "destination_principal": format!("spiffe://cluster.local/ns/shop/sa/{to}"),
    });
    of_line(&line).unwrap()
}

fn proposed(records: &[Record], paths: bool) -> Proposal {
    let scope = Scope {
        namespace: None,
        paths,
    };
    let records = records
        .iter()
        .cloned()
        .map(|record| reduced(record, &scope))
        .collect();
    propose(&mut mesh(""), &ProposalRequest { records, scope })
}

fn is_let_in(policies: &str, record: &Record) -> bool {
    let answers = decided(&mut mesh(policies), std::slice::from_ref(record));
    matches!(answers[0].as_ref().unwrap().verdict, Verdict::LetIn { .. })
}

#[test]
fn what_was_seen_is_let_in_and_nobody_else() {
    let odd = "/a/../b%2Fc\"\n: {x} *";
    let seen = [
        call(Some("page"), "web", 80, Some(("GET", "/"))),
        call(Some("page"), "web", 80, Some(("POST", "/pay"))),
        call(Some("cart"), "web", 80, Some(("GET", odd))),
        call(Some("cart"), "web", 90, Some(("GET", "/metrics"))),
        call(None, "web", 90, Some(("GET", "/health"))),
        call(Some("web"), "db", 5432, None),
    ];
    for paths in [false, true] {
        let text = proposed(&seen, paths).to_string();
        for record in &seen {
            assert!(is_let_in(&text, record), "{record:?}\n{text}");
        }
        for stranger in [
            call(Some("guest"), "web", 80, Some(("GET", "/"))),
            call(Some("page"), "web", 90, Some(("GET", "/metrics"))),
            call(Some("cart"), "web", 80, Some(("POST", "/pay"))),
            call(Some("page"), "db", 5432, None),
            call(None, "db", 5432, None),
        ] {
            assert!(!is_let_in(&text, &stranger), "{stranger:?}\n{text}");
        }
        let other = call(Some("page"), "web", 80, Some(("GET", "/pay")));
        assert_eq!(is_let_in(&text, &other), !paths, "{text}");
    }
}

#[test]
fn many_paths_are_told_by_their_beginning_and_that_is_said() {
    let seen: Vec<_> = (0..=20)
        .map(|item| call(Some("page"), "web", 80, Some(("GET", &format!("/items/{item}")))))
        .collect();
    let proposal = proposed(&seen, true);
    assert_eq!(proposal.policies[0].rules[0].operations[0].paths, ["/items/*"]);
    assert!(
        proposal
            .to_string()
            .contains("# 21 paths are told by their beginning"),
        "{proposal}"
    );
    let few = proposed(&seen[..20], true);
    assert_eq!(few.policies[0].rules[0].operations[0].paths.len(), 20);
}

#[test]
fn what_was_refused_is_no_reason_to_let_it_in() {
    let mut refused = call(Some("guest"), "web", 80, Some(("GET", "/")));
    refused.facts.reason = "policy_denied".to_owned();
    let request = ProposalRequest {
        records: vec![refused],
        scope: Scope::default(),
    };
    assert!(propose(&mut mesh(""), &request).policies.is_empty());
}

#[test]
fn callers_without_identity_are_named_and_not_cut_off() {
    let proposal = proposed(&[call(None, "web", 80, Some(("GET", "/")))], false);
    assert!(
        proposal
            .to_string()
            .contains("# callers without identity are let in by address: 10.0.0.2"),
        "{proposal}"
    );
    let mut edge = call(None, "web", 80, None);
    edge.known = Known::Edge;
    let proposal = proposed(&[edge], false);
    assert!(proposal.policies.is_empty());
    assert!(
        proposal.notes[0].starts_with("nothing is proposed for shop/web: it is called in plaintext"),
        "{proposal}"
    );
}

#[test]
fn a_selector_names_the_workload_and_no_other() {
    let second = "apiVersion: wattle.io/v1alpha1\nkind: Process\nmetadata: {name: web-next, namespace: shop, labels: {app: web, tier: next}}\n\
                  spec: {command: [x], serviceAccountName: web-next}\n";
    let records = vec![call(Some("page"), "web", 80, Some(("GET", "/")))];
    let request = ProposalRequest {
        records,
        scope: Scope::default(),
    };
    let alone = propose(&mut mesh(""), &request);
    assert_eq!(alone.policies[0].labels.keys().collect::<Vec<_>>(), ["app"]);
    let beside = propose(&mut mesh(second), &request);
    assert_eq!(
        beside.policies[0].labels.keys().collect::<Vec<_>>(),
        ["app", "tier"]
    );
}

#[test]
fn only_the_namespace_that_was_asked_for_gets_policies() {
    let scope = Scope {
        namespace: Some("other".to_owned()),
        paths: false,
    };
    let records = vec![call(Some("page"), "web", 80, Some(("GET", "/")))];
    assert_eq!(
        propose(&mut mesh(""), &ProposalRequest { records, scope }),
        Proposal::default()
    );
}

#[test]
fn where_a_path_may_have_been_cut_none_is_named() {
    let long = format!("/{}", "a".repeat(4_095));
    let proposal = proposed(&[call(Some("page"), "web", 80, Some(("GET", &long)))], true);
    let operation = &proposal.policies[0].rules[0].operations[0];
    assert!(operation.paths.is_empty());
    assert_eq!(operation.methods, ["GET"]);
    assert!(
        proposal.to_string().contains("longer than the log writes"),
        "{proposal}"
    );
}

//! Claims about a small mesh.
#![allow(clippy::unwrap_used)]

use super::*;

const MESH: &str = "
apiVersion: wattle.io/v1alpha1
kind: Process
metadata: {name: ledger, namespace: bank, labels: {app: ledger}}
spec: {command: [x], serviceAccountName: ledger, ports: [{port: 8080}]}
---
apiVersion: wattle.io/v1alpha1
kind: Process
metadata: {name: bare, namespace: bank}
spec: {command: [x], proxy: {enabled: false}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: tellers, namespace: bank}
spec:
  selector: {matchLabels: {app: ledger}}
  rules:
  - from: [{source: {namespaces: [shop]}}]
    to: [{operation: {methods: [GET], ports: ['8080']}}]
";

fn proved(claim: &str) -> Result<Reach, ClaimError> {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("mesh.yaml"), MESH).unwrap();
    let (mut mesh, _) = crate::offline::load(directory.path());
    prove(&mut mesh, &claim.parse()?)
}

#[test]
fn a_claim_holds_where_no_policy_lets_the_caller_in() {
    for claim in [
        "nothing in guests reaches bank/ledger",
        "nothing in shop reaches bank/ledger with POST",
        "nothing in shop reaches bank/ledger on 9090",
    ] {
        assert!(proved(claim).unwrap().holds, "{claim}");
    }
}

#[test]
fn a_claim_that_fails_shows_what_gets_in() {
    let reach = proved("nothing in shop reaches bank/ledger").unwrap();
    assert!(!reach.holds);
    let witness = reach.workloads[0].witness.clone().unwrap();
    assert!(witness.starts_with("cluster.local/ns/shop/sa/"), "{witness}");
    assert!(
        witness.contains(": GET /") && witness.ends_with(" on port 8080"),
        "{witness}"
    );
}

#[test]
fn a_workload_without_proxy_is_reached_by_anything() {
    let reach = proved("nothing reaches bank/*").unwrap();
    let bare = reach
        .workloads
        .iter()
        .find(|one| one.workload == "bank/bare")
        .unwrap();
    assert_eq!(bare.verdict, Verdict::Reached);
}

#[test]
fn a_workload_that_is_not_there_is_an_error_that_names_it() {
    let error = proved("nothing reaches bank/nobody");
    assert_eq!(error, Err(ClaimError::Target("bank/nobody".to_owned())));
}

#[test]
fn a_proof_reads_back_as_it_was_sent() {
    let reach = proved("nothing reaches bank/*").unwrap();
    let sent = serde_json::to_value(&reach).unwrap();
    assert_eq!(
        sent["workloads"][0]["verdict"],
        reach.workloads[0].verdict.to_string()
    );
    let read: Reach = serde_json::from_value(sent).unwrap();
    assert_eq!(read, reach);
}

#[test]
fn the_callers_are_those_of_the_meshs_own_trust_domain() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("mesh.yaml"), MESH).unwrap();
    let settings = wattle_compile::Settings {
        trust_domain: "prod.example".into(),
        ..wattle_compile::Settings::default()
    };
    let (mut mesh, _) = crate::offline::load_with(&directory.path().to_owned().into(), settings);
    let claim = "nothing in shop reaches bank/ledger".parse().unwrap();
    let reach = prove(&mut mesh, &claim).unwrap();
    let witness = reach.workloads[0].witness.clone().unwrap();
    assert!(witness.starts_with("prod.example/ns/shop/sa/"), "{witness}");
}

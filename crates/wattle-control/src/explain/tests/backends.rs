//! Backends that are not the same to all callers, or not where was dialled.

use super::{MESH, load};
use crate::explain::{Question, explain};

#[test]
fn the_policy_is_that_of_the_rule_that_selects_the_caller() {
    let rules = "
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: all}
spec: {host: store, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: page}
spec:
  host: store
  workloadSelector: {matchLabels: {app: page}}
  trafficPolicy: {loadBalancer: {simple: RANDOM}}
";
    let (_directory, mut mesh) = load(&[MESH, rules].concat());
    let mut first_origin = |from: &str| {
        let question = Question {
            from: from.to_owned(),
            method: "GET".to_owned(),
            url: "tcp://store:6379".to_owned(),
            ..Question::default()
        };
        let found = explain(&mut mesh, &question).unwrap();
        found.backends[0].policy[0].clone()
    };
    assert!(first_origin("page").starts_with("policy of DestinationRule default/page"));
    for other in ["store", "spiffe://cluster.local/ns/default/sa/page"] {
        assert!(first_origin(other).starts_with("policy of DestinationRule default/all"));
    }
}

#[test]
fn a_host_that_goes_by_name_is_said_and_another_at_its_address_is_refused() {
    let entry = "
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: e}
spec:
  hosts: ['*.a.example']
  addresses: [240.0.0.9]
  resolution: DYNAMIC_DNS
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}]
";
    let (_directory, mut mesh) = load(&[MESH, entry].concat());
    let mut asked = |host: &str| {
        let question = Question {
            from: "page".to_owned(),
            method: "GET".to_owned(),
            url: "http://240.0.0.9/".to_owned(),
            headers: vec![("host".to_owned(), host.to_owned())],
            ..Question::default()
        };
        let found = explain(&mut mesh, &question).unwrap();
        let [backend] = &found.backends[..] else { panic!() };
        (backend.name.clone(), backend.problem.clone())
    };
    let by_name = "what DNS gives for x.a.example, port 8080".to_owned();
    assert_eq!(asked("x.a.example"), (by_name, None));
    assert_eq!(asked("x.b.example").1.as_deref(), Some("unknown_destination"));
}

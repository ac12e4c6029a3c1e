//! Backends that are not the same to all callers, or not where was dialled.

use wattle_compile::Mesh;

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

const REVIEWS: &str = "
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
  - {name: none, labels: {version: v9}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - match: [{headers: {end-user: {exact: jason}}}]
    route: [{destination: {host: reviews, subset: v2}}]
  - match: [{headers: {end-user: {exact: nobody}}}]
    route: [{destination: {host: reviews, subset: none}}]
  - route: [{destination: {host: reviews, subset: v1}}]
";

/// The first backend's problem and the workloads behind it.
fn behind(mesh: &mut Mesh, url: &str, user: &str) -> (Option<String>, Vec<String>) {
    let question = Question {
        from: "page".to_owned(),
        method: "GET".to_owned(),
        url: url.to_owned(),
        headers: vec![("end-user".to_owned(), user.to_owned())],
        ..Question::default()
    };
    let found = explain(mesh, &question).unwrap();
    let [backend] = &found.backends[..] else { panic!() };
    let workloads = backend.workloads.iter();
    (
        backend.problem.clone(),
        workloads.map(|step| step.workload.clone()).collect(),
    )
}

#[test]
fn behind_a_subset_are_the_workloads_that_have_its_labels() {
    let (_directory, mut mesh) = load(&[MESH, REVIEWS].concat());
    let mut asked = |user: &str| behind(&mut mesh, "http://reviews:9080/", user);
    let one = |name: &str| (None, vec![name.to_owned()]);
    assert_eq!(asked("jason"), one("default/reviews-v2"));
    assert_eq!(asked("anybody"), one("default/reviews-v1"));
    assert_eq!(asked("nobody"), (Some("no_endpoints".to_owned()), vec![]));
}

#[test]
fn behind_an_entry_are_what_it_selects_and_what_it_writes_down() {
    let entries = "
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: selected}
spec:
  hosts: [selected.example]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 9080}]
  workloadSelector: {labels: {app: reviews}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: names}
spec:
  hosts: [api.example]
  resolution: DNS
  ports: [{number: 80, name: http, protocol: HTTP}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: addresses}
spec:
  hosts: [old.example]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}]
  endpoints: [{address: 192.0.2.7}]
";
    let (_directory, mut mesh) = load(&[MESH, entries].concat());
    let both = vec!["default/reviews-v1".to_owned(), "default/reviews-v2".to_owned()];
    assert_eq!(behind(&mut mesh, "http://selected.example/", "x"), (None, both));
    for (host, outside) in [
        ("api.example", "what DNS gives for api.example, port 80"),
        ("old.example", "192.0.2.7:8080"),
    ] {
        let question = Question {
            from: "page".to_owned(),
            method: "GET".to_owned(),
            url: format!("http://{host}/"),
            ..Question::default()
        };
        let found = explain(&mut mesh, &question).unwrap();
        assert!(found.answer.allowed, "{found}");
        assert_eq!(found.backends[0].outside, [outside]);
    }
}

#[test]
fn a_policy_without_tls_is_refused_where_mutual_tls_is_asked_for() {
    let rule = "
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec: {host: reviews, trafficPolicy: {tls: {mode: DISABLE}}}
";
    let (_directory, mut mesh) = load(&[MESH, rule].concat());
    let question = Question {
        from: "page".to_owned(),
        method: "GET".to_owned(),
        url: "http://reviews:9080/inner/".to_owned(),
        ..Question::default()
    };
    let found = explain(&mut mesh, &question).unwrap();
    let workload = &found.backends[0].workloads[0];
    assert_eq!(
        (workload.mtls, workload.reason.as_deref()),
        (false, Some("mtls_required")),
        "{found}"
    );
}

#[test]
fn a_policy_under_trial_is_told_of_and_decides_nothing() {
    let trial = "
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: trial, annotations: {istio.io/dry-run: 'true'}}
spec: {selector: {matchLabels: {app: reviews}}, action: DENY, rules: [{}]}
";
    let (_directory, mut mesh) = load(&[MESH, trial].concat());
    let question = Question {
        from: "page".to_owned(),
        method: "GET".to_owned(),
        url: "http://reviews:9080/reviews/1".to_owned(),
        ..Question::default()
    };
    let (_directory, mut without) = load(MESH);
    let explained = explain(&mut mesh, &question).unwrap();
    assert_eq!(explained.answer, explain(&mut without, &question).unwrap().answer);
    let workloads = explained.backends.iter().flat_map(|backend| &backend.workloads);
    let told: Vec<_> = workloads
        .flat_map(|workload| &workload.trace)
        .map(|line| &*line.detail)
        .collect();
    assert!(
        told.iter()
            .any(|line| line.starts_with("dry run: would be refused by AuthorizationPolicy default/trial")),
        "{told:?}"
    );
}

#[test]
fn a_connection_is_told_by_the_address_that_is_dialled_and_not_by_the_callers() {
    let rules = "
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: data}
spec:
  hosts: [data.example]
  addresses: [192.0.2.10, 192.0.2.20]
  resolution: STATIC
  ports: [{number: 5432, name: tcp, protocol: TCP}]
  endpoints: [{address: 198.51.100.1, labels: {at: one}}, {address: 198.51.100.2, labels: {at: two}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: data}
spec: {host: data.example, subsets: [{name: one, labels: {at: one}}, {name: two, labels: {at: two}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: data}
spec:
  hosts: [data.example]
  tcp:
  - match: [{destinationSubnets: [192.0.2.20/32]}]
    route: [{destination: {host: data.example, subset: two}}]
  - route: [{destination: {host: data.example, subset: one}}]
";
    let (_directory, mut mesh) = load(&[MESH, rules].concat());
    for (address, endpoint) in [
        ("192.0.2.10", "198.51.100.1:5432"),
        ("192.0.2.20", "198.51.100.2:5432"),
    ] {
        let question = Question {
            from: "page".to_owned(),
            method: "CONNECT".to_owned(),
            url: format!("tcp://{address}:5432"),
            ..Question::default()
        };
        let explained = explain(&mut mesh, &question).unwrap();
        assert_eq!(explained.backends[0].outside, [endpoint], "{address}");
    }
}

//! What a caller notices of backends that fail: retries, ejection, stickiness and weights, on real proxies.
#![allow(clippy::unwrap_used)]

#[path = "support/flaky.rs"]
mod flaky;

use std::collections::BTreeMap;

use flaky::{PATIENCE, World};
use serde_json::Value;
use wattle_testkit::{Conversation, Request, eventually};

#[test]
fn a_failure_is_repeated_as_often_as_the_route_says_and_only_where_that_is_safe() {
    let policy = "
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: flaky}
spec:
  hosts: [flaky]
  http:
  - match: [{uri: {prefix: /never}}]
    retries: {attempts: 0}
    route: [{destination: {host: flaky}}]
  - match: [{uri: {prefix: /slow}}]
    retries: {attempts: 1, perTryTimeout: 300ms, retryOn: gateway-error}
    route: [{destination: {host: flaky}}]
  - retries: {attempts: 3, retryOn: 5xx, backoff: 1ms}
    route: [{destination: {host: flaky}}]
";
    let Some(world) = World::start(&[("only", "")], "", policy) else {
        return;
    };
    let (status, body) = world.get("/?key=a&fail=2");
    assert_eq!((status, &body["asked"]), (200, &3.into()));
    // The backend's own last answer, not one of the proxy's.
    let (status, body) = world.get("/?key=b&fail=9");
    assert_eq!((status, &body["asked"]), (503, &4.into()));
    let (status, body) = world.send("POST", "/?key=c&fail=9", 10);
    assert_eq!((status, &body["asked"]), (503, &1.into()));
    let (status, body) = world.send("PUT", "/?key=d&fail=1", 40_000);
    assert_eq!(
        (status, &body["asked"], &body["length"]),
        (200, &2.into(), &40_000.into())
    );
    // Too large to be kept: it is sent once.
    let (status, body) = world.send("PUT", "/?key=e&fail=1", 300_000);
    assert_eq!((status, &body["asked"]), (503, &1.into()));
    let (status, body) = world.get("/never?key=f&fail=1");
    assert_eq!((status, &body["asked"]), (503, &1.into()));
    let (status, _) = world.get("/slow?key=g&delay=2");
    assert_eq!(status, 504);
    let (_, body) = world.get("/slow?key=g");
    assert_eq!(body["asked"], 3, "two tries were made before");
    world.mesh.stop();
}

#[test]
fn an_endpoint_that_fails_is_left_out_until_its_time_is_over() {
    let policy = "
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: flaky}
spec:
  host: flaky
  trafficPolicy:
    loadBalancer: {simple: ROUND_ROBIN}
    outlierDetection: {consecutive5xxErrors: 3, interval: 1s, baseEjectionTime: 3s, maxEjectionPercent: 50}
";
    let Some(world) = World::start(&[("one", ""), ("two", ""), ("three", "")], "", policy) else {
        return;
    };
    assert!(world.count(30).values().all(|count| *count == 10), "in turn");
    world.tell("two", true);
    eventually("it is left out", PATIENCE, || {
        let counts = world.count(30);
        let others = counts
            .keys()
            .all(|(name, status)| name != "two" && *status == 200);
        others.then_some(())
    });
    world.tell("two", false);
    eventually("it is back", PATIENCE, || {
        world
            .count(30)
            .contains_key(&("two".to_owned(), 200))
            .then_some(())
    });
    world.mesh.stop();
}

#[test]
fn requests_of_one_user_go_to_one_endpoint_and_weights_hold_within_a_point() {
    let policy = "
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: flaky}
spec:
  host: flaky
  trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user}}}
  subsets: [{name: one, labels: {version: one}}, {name: two, labels: {version: two}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: flaky}
spec:
  hosts: [flaky]
  http:
  - match: [{uri: {prefix: /weighted}}]
    route:
    - {destination: {host: flaky, subset: one}, weight: 70}
    - {destination: {host: flaky, subset: two}, weight: 30}
  - route: [{destination: {host: flaky}}]
";
    let Some(world) = World::start(&[("one", ""), ("two", "")], "", policy) else {
        return;
    };
    world.client().enter(|| {
        let mut kept = Conversation::tcp(world.server).unwrap();
        let mut name = |target: &str, user: &str| {
            let request = Request {
                headers: vec![("x-user".to_owned(), user.to_owned())],
                ..Request::get("flaky:8000", target)
            };
            let answer = kept.send(&request).unwrap();
            assert_eq!(answer.status, 200, "{} {:?}", answer.text(), answer.headers);
            let body: Value = serde_json::from_slice(&answer.body).unwrap();
            body["name"].as_str().unwrap().to_owned()
        };
        let mut seen: BTreeMap<String, u32> = BTreeMap::new();
        for user in 0..40 {
            let user = format!("user-{user}");
            let first = name("/", &user);
            assert!((0..5).all(|_| name("/", &user) == first), "{user} stays");
            *seen.entry(first).or_default() += 1;
        }
        assert_eq!(seen.len(), 2, "users are spread: {seen:?}");
        let first = (0..20_000).filter(|_| name("/weighted", "") == "one").count();
        assert!(
            (13_800..=14_200).contains(&first),
            "{first} of 20,000 for a weight of 70%"
        );
    });
    world.mesh.stop();
}

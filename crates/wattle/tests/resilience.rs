//! What a caller notices of backends that fail: retries, ejection, stickiness and weights, on real proxies.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use wattle_testkit::{Conversation, Mesh, Need, Request, Spot, ask, eventually, lacks};

const WATTLE: &str = env!("CARGO_BIN_EXE_wattle");
/// Longest wait for anything, on a busy machine and without optimisation.
const PATIENCE: Duration = Duration::from_secs(60);

/// Copies of one flaky service, and a client.
struct World {
    mesh: Mesh,
    directory: TempDir,
    server: SocketAddr,
}

fn copy(name: &str) -> String {
    format!(
        "apiVersion: wattle.io/v1alpha1\nkind: Process\nmetadata: {{name: {name}, labels: {{app: flaky, version: {name}}}}}\n\
         spec:\n  command: [python3, flaky.py, {name}, '8000']\n  serviceAccountName: flaky\n  \
         ports: [{{name: http, port: 8000}}]\n  \
         readiness: {{httpGet: {{path: /health, port: 8000}}, periodSeconds: 1, failureThreshold: 60}}\n---\n"
    )
}

const REST: &str = "
apiVersion: v1
kind: Service
metadata: {name: flaky}
spec: {selector: {app: flaky}, ports: [{name: http, port: 8000}]}
---
apiVersion: wattle.io/v1alpha1
kind: Process
metadata: {name: client, labels: {app: client}}
spec: {command: [sleep, '86400'], serviceAccountName: client}
";

impl World {
    /// Starts these copies under these policies; nothing where the machine lacks what that needs.
    fn start(copies: &[&str], policies: &str) -> Option<Self> {
        if lacks(&[Need::Root, Need::Program("python3")]) {
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/flaky.py");
        std::fs::copy(script, directory.path().join("flaky.py")).unwrap();
        let processes: String = copies.iter().map(|name| copy(name)).collect();
        std::fs::write(
            directory.path().join("mesh.yaml"),
            format!("{processes}{REST}---\n{policies}"),
        )
        .unwrap();
        let mesh = Mesh::up(WATTLE, directory.path());
        copies.iter().for_each(|name| drop(mesh.wait_ready(name)));
        mesh.wait_ready("client");
        let server = SocketAddr::new(mesh.service("flaky"), 8000);
        let world = Self {
            mesh,
            directory,
            server,
        };
        eventually("every copy answers, and nobody else", PATIENCE, || {
            let answers: Vec<_> = (0..copies.len() * 8)
                .map(|number| world.try_get(&format!("/?key=warm-{number}")))
                .collect::<Option<_>>()?;
            let seen: BTreeSet<_> = answers.iter().map(|(_, body)| body["name"].to_string()).collect();
            let well = answers.iter().all(|(status, _)| *status == 200);
            (well && seen.len() == copies.len()).then_some(())
        });
        Some(world)
    }

    fn client(&self) -> Spot {
        Spot::of(self.mesh.proxy("client").pid)
    }

    fn try_get(&self, target: &str) -> Option<(u16, Value)> {
        let answer = self
            .client()
            .enter(|| ask(self.server, &Request::get("flaky:8000", target)))
            .ok()?;
        Some((
            answer.status,
            serde_json::from_slice(&answer.body).unwrap_or_default(),
        ))
    }

    /// Status and body of a request on a connection of its own.
    fn send(&self, method: &str, target: &str, body: usize) -> (u16, Value) {
        let request = Request {
            method: method.to_owned(),
            body: vec![b'x'; body],
            ..Request::get("flaky:8000", target)
        };
        let answer = self.client().enter(|| ask(self.server, &request)).unwrap();
        (
            answer.status,
            serde_json::from_slice(&answer.body).unwrap_or_default(),
        )
    }

    fn get(&self, target: &str) -> (u16, Value) {
        self.send("GET", target, 0)
    }
}

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
    let Some(world) = World::start(&["only"], policy) else {
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
    let Some(world) = World::start(&["one", "two", "three"], policy) else {
        return;
    };
    let counts = || {
        let mut counts: BTreeMap<(String, u16), u32> = BTreeMap::new();
        for _ in 0..30 {
            let (status, body) = world.get("/?key=count");
            *counts
                .entry((body["name"].as_str().unwrap().to_owned(), status))
                .or_default() += 1;
        }
        counts
    };
    assert!(counts().values().all(|count| *count == 10), "in turn");
    let sick = world.get("/?key=sick&sick=1").1["name"]
        .as_str()
        .unwrap()
        .to_owned();
    eventually("it is left out", PATIENCE, || {
        counts()
            .keys()
            .all(|(name, status)| *name != sick && *status == 200)
            .then_some(())
    });
    // It alone knows that it is well again, and nobody asks it but whoever goes past the Service.
    let address = SocketAddr::new(world.mesh.process(&sick).address.unwrap(), 8000);
    let well = world
        .client()
        .enter(|| ask(address, &Request::get("flaky:8000", "/?key=sick&sick=0")))
        .unwrap();
    assert_eq!(well.status, 200);
    eventually("it is back", PATIENCE, || {
        counts().contains_key(&(sick.clone(), 200)).then_some(())
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
    let Some(world) = World::start(&["one", "two"], policy) else {
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
    assert!(world.directory.path().exists());
    world.mesh.stop();
}

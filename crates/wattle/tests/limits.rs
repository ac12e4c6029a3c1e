//! How much workloads take: limits that their proxies count, and limits that a rate limit service counts, on real proxies.
#![allow(clippy::unwrap_used)]

#[path = "support/limiter.rs"]
mod limiter;
mod support;

use std::net::SocketAddr;
use std::time::Duration;

use limiter::{Limiter, RESET};
use support::{Manifests, STRICT, bare_workload, workload};
use wattle_testkit::{Answer, Conversation, Echo, Mesh, Need, Request, ask, eventually, lacks};

const WATTLE: &str = env!("CARGO_BIN_EXE_wattle");
/// Longest wait for anything, on a busy machine and without optimisation.
const PATIENCE: Duration = Duration::from_secs(60);

/// `shop`, whose limits are tested, and who calls it, each under its own identity.
struct World {
    mesh: Mesh,
    echo: Echo,
    _manifests: Manifests,
}

impl World {
    /// With these callers and policies; nothing where the machine lacks what that needs.
    fn start(callers: &[&str], policies: &str, arguments: &[&str]) -> Option<Self> {
        if lacks(&[Need::Root]) {
            return None;
        }
        let manifests = Manifests::new(&[
            ("shop.yaml", &workload("shop", "{}")),
            ("policies.yaml", policies),
        ]);
        for caller in callers {
            manifests.write(&format!("{caller}.yaml"), &bare_workload(caller, "{}"));
        }
        let mesh = Mesh::up_with(WATTLE, manifests.path(), arguments);
        for name in callers.iter().chain(&["shop"]) {
            mesh.wait_ready(name);
        }
        mesh.wait_endpoint("shop");
        let echo = Echo::start(&mesh.spot("shop"), 8080, "shop").unwrap();
        let world = Self {
            mesh,
            echo,
            _manifests: manifests,
        };
        for caller in callers {
            eventually(&format!("{caller} is served"), PATIENCE, || {
                (world.ask(caller, "GET", "/unlimited").status == 200).then_some(())
            });
        }
        Some(world)
    }

    fn service(&self) -> SocketAddr {
        SocketAddr::new(self.mesh.service("shop"), 80)
    }

    /// An answer to a request on a connection of its own.
    fn ask(&self, caller: &str, method: &str, target: &str) -> Answer {
        self.ask_as(caller, &request(method, target, &[]))
    }

    fn ask_as(&self, caller: &str, request: &Request) -> Answer {
        let service = self.service();
        self.mesh.spot(caller).enter(|| ask(service, request)).unwrap()
    }

    /// The statuses of so many requests, each on a connection of its own.
    fn statuses(&self, caller: &str, (method, target): (&str, &str), requests: usize) -> Vec<u16> {
        (0..requests)
            .map(|_| self.ask(caller, method, target).status)
            .collect()
    }
}

fn request(method: &str, target: &str, headers: &[(&str, &str)]) -> Request {
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Request {
        method: method.to_owned(),
        headers: headers.collect(),
        ..Request::get("shop", target)
    }
}

/// Refused by a limit, with a time to come again that is no longer than this.
#[track_caller]
fn assert_limited(answer: &Answer, longest: u64) {
    assert_eq!(
        (answer.status, answer.header("wattle-reason")),
        (429, Some("rate_limited")),
        "{answer:?}"
    );
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=longest).contains(&wait), "retry-after: {wait}");
}

#[test]
fn a_workload_takes_no_more_than_its_limit_counted_over_all_workers_of_its_proxy_and_all_callers() {
    let policies = "
apiVersion: wattle.io/v1alpha1
kind: RateLimit
metadata: {name: in-all}
spec:
  targetRefs: [{group: '', kind: Service, name: shop}]
  rules: [{matches: [{path: {value: /cart}}], local: {requests: 20, unit: hour}}]
---
apiVersion: wattle.io/v1alpha1
kind: Process
metadata: {name: outsider}
spec: {command: [sleep, '86400'], proxy: {enabled: false}}
";
    let Some(world) = World::start(&["ann"], policies, &["--proxy-workers", "4"]) else {
        return;
    };
    world.mesh.wait_ready("outsider");
    // Past any other proxy: each connection is one of the limited proxy, whose workers the kernel spreads them over.
    let address = SocketAddr::new(world.mesh.process("shop").address.unwrap(), 8080);
    let before = world.echo.requests();
    let statuses: Vec<u16> = world.mesh.spot("outsider").enter(|| {
        let request = request("GET", "/cart", &[]);
        (0..60).map(|_| ask(address, &request).unwrap().status).collect()
    });
    assert_eq!(statuses, [vec![200; 20], vec![429; 40]].concat());
    assert_eq!(world.echo.requests() - before, 20, "no more reach the workload");
    assert_limited(&world.ask("ann", "GET", "/cart/1"), 180);
    assert_eq!(world.ask("ann", "GET", "/cartoons").status, 200, "another path");
    world.mesh.stop();
}

#[test]
fn a_limit_of_a_route_counts_each_identity_for_itself_and_one_for_named_clients_nobody_else() {
    let policies = format!(
        "{STRICT}---
apiVersion: wattle.io/v1alpha1
kind: RateLimit
metadata: {{name: by-caller}}
spec:
  targetRefs: [{{group: '', kind: Service, name: shop}}]
  rules:
  - matches: [{{method: POST, path: {{value: /cart}}}}]
    local: {{requests: 3, unit: hour, per: identity}}
  - matches: [{{path: {{value: /reports}}}}]
    clients: [cluster.local/ns/default/sa/bob]
    local: {{requests: 60, unit: hour, burst: 1}}
"
    );
    let Some(world) = World::start(&["ann", "bob"], &policies, &[]) else {
        return;
    };
    assert_eq!(world.statuses("ann", ("POST", "/cart"), 3), [200; 3]);
    assert_limited(&world.ask("ann", "POST", "/cart"), 1200);
    assert_eq!(
        world.statuses("ann", ("GET", "/cart"), 5),
        [200; 5],
        "another method"
    );
    assert_eq!(
        world.statuses("ann", ("POST", "/pay"), 5),
        [200; 5],
        "another path"
    );
    assert_eq!(
        world.statuses("bob", ("POST", "/cart"), 4),
        [200, 200, 200, 429],
        "another identity has its own count"
    );
    assert_eq!(world.ask("bob", "GET", "/reports").status, 200);
    assert_limited(&world.ask("bob", "GET", "/reports"), 60);
    assert_eq!(
        world.statuses("ann", ("GET", "/reports"), 5),
        [200; 5],
        "not named"
    );
    world.mesh.stop();
}

#[test]
fn a_limit_written_for_linkerd_holds_for_each_identity_and_its_overrides() {
    let policies = format!(
        "{STRICT}---
apiVersion: policy.linkerd.io/v1beta3
kind: Server
metadata: {{name: shop}}
spec:
  podSelector: {{matchLabels: {{app: shop}}}}
  port: 8080
  proxyProtocol: HTTP/1
  accessPolicy: all-authenticated
---
apiVersion: policy.linkerd.io/v1alpha1
kind: HTTPLocalRateLimitPolicy
metadata: {{name: shop}}
spec:
  targetRef: {{group: policy.linkerd.io, kind: Server, name: shop}}
  identity: {{requestsPerSecond: 8}}
  overrides: [{{requestsPerSecond: 1000000, clientRefs: [{{kind: ServiceAccount, name: bob}}]}}]
"
    );
    let Some(world) = World::start(&["ann", "bob", "eve"], &policies, &[]) else {
        return;
    };
    let service = world.service();
    // Its tokens come back by the second, so that nothing is said of how many pass before one is refused.
    let refused = world.mesh.spot("ann").enter(|| {
        let mut kept = Conversation::tcp(service).unwrap();
        let mut answers = (0..10_000).map(|_| kept.send(&request("GET", "/", &[])).unwrap());
        answers.find(|answer| answer.status != 200)
    });
    assert_limited(&refused.expect("one is too many"), 1);
    assert_eq!(
        world.statuses("eve", ("GET", "/"), 4),
        [200; 4],
        "another identity"
    );
    assert_eq!(
        world.statuses("bob", ("GET", "/"), 100),
        [200; 100],
        "an override"
    );
    world.mesh.stop();
}

const GLOBAL: &str = "
apiVersion: wattle.io/v1alpha1
kind: Process
metadata: {name: limits, labels: {app: limits}}
spec:
  command: [sleep, '86400']
  serviceAccountName: limits
  ports: [{name: grpc, port: 8081, appProtocol: grpc}]
---
apiVersion: v1
kind: Service
metadata: {name: limits}
spec: {selector: {app: limits}, ports: [{name: grpc, port: 8081, appProtocol: grpc}]}
---
apiVersion: wattle.io/v1alpha1
kind: RateLimit
metadata: {name: asked}
spec:
  targetRefs: [{group: '', kind: Service, name: shop}]
  rules:
  - matches: [{path: {value: /cart}}]
    global:
      service: {name: limits, port: 8081}
      domain: shop
      timeout: 10s
      descriptors:
      - {key: who, clientIdentity: true}
      - {key: tenant, header: x-tenant}
      - {key: path, path: true}
      - {key: method, method: true}
      - {key: kind, value: fixed}
  - matches: [{path: {value: /open}}]
    global:
      service: {name: limits, port: 8081}
      domain: open
      timeout: 10s
      onFailure: Allow
      descriptors: [{key: all, value: open}]
  - matches: [{path: {value: /slow}}]
    global:
      service: {name: limits, port: 8081}
      domain: slow
      timeout: 50ms
      descriptors: [{key: never, value: answered}]
";

#[test]
fn a_rate_limit_service_is_asked_with_what_is_written_and_without_it_requests_are_refused_unless_told_otherwise()
 {
    let Some(world) = World::start(&["ann"], &format!("{STRICT}---{GLOBAL}"), &[]) else {
        return;
    };
    world.mesh.wait_ready("limits");
    let cart = |tenant| world.ask_as("ann", &request("PUT", "/cart?of=me", &[("x-tenant", tenant)]));
    let failed = |answer: Answer| {
        let reason = answer.header("wattle-reason");
        assert_eq!(
            (answer.status, reason),
            (500, Some("rate_limit_service_failure")),
            "{answer:?}"
        );
    };
    let before = world.echo.requests();
    failed(cart("gold"));
    failed(world.ask("ann", "GET", "/slow"));
    assert_eq!(world.echo.requests(), before, "nothing reached the workload");
    assert_eq!(
        world.ask("ann", "GET", "/open").status,
        200,
        "told to let it pass"
    );

    let limiter = Limiter::start(&world.mesh.spot("limits"), 8081, 2);
    let asked = |domain: &str, entries: &[(&str, &str)]| {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let key = (domain.to_owned(), entries.iter().map(owned).collect());
        limiter.asked().get(&key).copied()
    };
    assert_eq!([cart("gold").status, cart("gold").status], [200, 200]);
    let refused = cart("gold");
    assert_limited(&refused, RESET.unsigned_abs());
    assert_eq!(
        refused.header("x-limited-by"),
        Some("shop"),
        "the service's own words"
    );
    let described = |tenant| {
        [
            ("who", "cluster.local/ns/default/sa/ann"),
            ("tenant", tenant),
            ("path", "/cart"),
            ("method", "PUT"),
            ("kind", "fixed"),
        ]
    };
    assert_eq!(
        asked("shop", &described("gold")),
        Some(3),
        "{:?}",
        limiter.asked()
    );
    assert_eq!(cart("iron").status, 200, "another descriptor");
    assert_eq!(asked("shop", &described("iron")), Some(1));
    assert_eq!(
        world.statuses("ann", ("PUT", "/cart"), 5),
        [200; 5],
        "without an entry it is not asked"
    );
    assert_eq!(limiter.asked().len(), 2, "{:?}", limiter.asked());
    assert_eq!(world.statuses("ann", ("GET", "/open"), 3), [200, 200, 429]);

    failed(world.ask("ann", "GET", "/slow"));
    world.mesh.wait_log("default.shop.proxy.log", "cause=\"timeout\"");
    drop(limiter);
    failed(cart("iron"));
    assert_eq!(world.statuses("ann", ("GET", "/open"), 5), [200; 5]);
    world.mesh.stop();
}

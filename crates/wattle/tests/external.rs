//! Services that are asked who may in, on real processes: over gRPC and HTTP, through the mesh.
#![allow(clippy::unwrap_used)]

#[path = "support/authorizer.rs"]
mod authorizer;
mod support;

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use support::Manifests;
use wattle_testkit::{Answer, Conversation, Echo, Mesh, Need, Request, ask, eventually, lacks};

const WATTLE: &str = env!("CARGO_BIN_EXE_wattle");
const PATIENCE: Duration = Duration::from_secs(60);

fn workload(name: &str, port: u16, protocol: &str) -> String {
    format!(
        "apiVersion: wattle.io/v1alpha1\nkind: Process\nmetadata: {{name: {name}, labels: {{app: {name}}}}}\n\
         spec:\n  command: [sleep, '86400']\n  serviceAccountName: {name}\n  \
         ports: [{{name: main, port: {port}, appProtocol: {protocol}}}]\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\n\
         spec: {{selector: {{app: {name}}}, ports: [{{name: main, port: {port}, appProtocol: {protocol}}}]}}\n"
    )
}

/// The MeshConfig with a provider of either protocol; `more` are further fields of the first.
fn providers(more: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: istio, namespace: istio-system}}\ndata:\n  mesh: |\n    \
         extensionProviders:\n    \
         - name: over-grpc\n      \
         envoyExtAuthzGrpc: {{service: default/oracle, port: 9000, timeout: 300ms, statusOnError: '503'{more}}}\n    \
         - name: over-http\n      \
         envoyExtAuthzHttp: {{service: gate.default.svc.cluster.local, port: 8000, pathPrefix: /gate, \
         includeRequestHeadersInCheck: [cookie], headersToUpstreamOnAllow: [x-user], \
         headersToDownstreamOnDeny: [x-asked]}}\n"
    )
}

/// What goes below `/checked` is asked of this provider.
fn asking(provider: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: asking}}\nspec:\n  \
         selector: {{matchLabels: {{app: server}}}}\n  action: CUSTOM\n  provider: {{name: {provider}}}\n  \
         rules: [{{to: [{{operation: {{paths: ['/checked/*']}}}}]}}]\n"
    )
}

/// `web` calls `server`, whose proxy asks `oracle` or `gate`.
struct World {
    mesh: Mesh,
    manifests: Manifests,
    echo: Echo,
}

impl World {
    fn start(provider: &str) -> Self {
        let manifests = Manifests::new(&[
            ("web.yaml", &workload("web", 8080, "http")),
            ("server.yaml", &workload("server", 8080, "http")),
            ("oracle.yaml", &workload("oracle", 9000, "grpc")),
            ("gate.yaml", &workload("gate", 8000, "http")),
            ("mesh.yaml", &providers("")),
            ("policy.yaml", &asking(provider)),
        ]);
        let mesh = Mesh::up(WATTLE, manifests.path());
        for name in ["web", "server", "oracle", "gate"] {
            mesh.wait_ready(name);
        }
        authorizer::over_grpc(&mesh.spot("oracle"), 9000);
        authorizer::over_http(&mesh.spot("gate"), 8000);
        let echo = Echo::start(&mesh.spot("server"), 8080, "server").unwrap();
        Self {
            mesh,
            manifests,
            echo,
        }
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::new(self.mesh.service("server"), 8080)
    }

    fn ask(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        let request = request(target, headers);
        let asked = self.mesh.spot("web").enter(|| ask(self.address(), &request));
        asked.unwrap_or_default()
    }

    #[track_caller]
    fn until(&self, status: u16, target: &str) -> Answer {
        eventually(&format!("{target} is answered {status}"), PATIENCE, || {
            Some(self.ask(target, &[])).filter(|answer| answer.status == status)
        })
    }
}

fn request(target: &str, headers: &[(&str, &str)]) -> Request {
    let headers = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Request {
        headers: headers.collect(),
        ..Request::get("server", target)
    }
}

/// What the application saw.
fn seen(answer: &Answer, name: &str) -> Vec<String> {
    let body: Value = serde_json::from_slice(&answer.body).unwrap();
    let headers = body["headers"].as_array().unwrap().iter();
    let named = headers.filter(|pair| pair[0] == name);
    named.map(|pair| pair[1].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_service_that_is_asked_over_grpc_decides_and_its_absence_refuses() {
    if lacks(&[Need::Root]) {
        return;
    }
    let world = World::start("over-grpc");
    world.until(200, "/checked/a");
    let answer = world.ask(
        "/checked/a",
        &[("authorization", "Basic x"), ("x-user", "mallory")],
    );
    assert_eq!(seen(&answer, "x-user"), ["ann"]);
    assert!(seen(&answer, "authorization").is_empty());
    assert_eq!(answer.header("x-checked"), Some("yes"));
    assert_eq!(world.ask("/free", &[("x-user", "me")]).header("x-checked"), None);

    let before = world.echo.requests();
    let refused = world.ask("/checked/deny", &[]);
    assert_eq!((refused.status, refused.text().as_str()), (401, "not today"));
    let caller = "spiffe://cluster.local/ns/default/sa/web";
    assert_eq!(refused.header("x-denied"), Some(caller));
    assert_eq!(refused.header("wattle-reason"), Some("external_denied"));
    let failed = world.ask("/checked/silent", &[]);
    assert_eq!(
        (failed.status, failed.header("wattle-reason")),
        (503, Some("external_failure"))
    );
    assert_eq!(world.echo.requests(), before, "the application saw one of them");

    world.manifests.write("mesh.yaml", &providers(", failOpen: true"));
    world.until(200, "/checked/silent");
    assert_eq!(
        world.ask("/checked/deny", &[]).status,
        401,
        "an answer is an answer"
    );
}

#[test]
fn a_policy_applies_to_connections_that_are_open_and_an_unknown_provider_closes_the_workload() {
    if lacks(&[Need::Root]) {
        return;
    }
    let world = World::start("over-grpc");
    world.until(401, "/checked/deny");
    let spot = world.mesh.spot("web");
    let mut kept = spot.enter(|| Conversation::tcp(world.address())).unwrap();
    let mut until = |status: u16, target: &str| {
        eventually(
            &format!("{target} is answered {status} on the same connection"),
            PATIENCE,
            || {
                let answer = kept.send(&request(target, &[])).unwrap();
                (answer.status == status).then_some(())
            },
        );
    };
    until(401, "/checked/deny");
    world.manifests.write("policy.yaml", &asking("nobody"));
    until(403, "/free");
    world.manifests.remove("policy.yaml");
    until(200, "/checked/deny");
    world.manifests.write("policy.yaml", &asking("over-grpc"));
    until(401, "/checked/deny");
    until(200, "/free");
    world.manifests.remove("mesh.yaml");
    until(403, "/free");
}

#[test]
fn a_service_that_is_asked_over_http_sees_and_says_only_what_is_named() {
    if lacks(&[Need::Root]) {
        return;
    }
    let world = World::start("over-http");
    let refused = eventually("the gate is asked", PATIENCE, || {
        Some(world.ask("/checked/a?b=c", &[("x-private", "p")]))
            .filter(|answer| answer.header("x-asked").is_some())
    });
    assert_eq!((refused.status, refused.text().as_str()), (403, "who"));
    assert_eq!(
        refused.header("x-asked"),
        Some("GET /gate/checked/a?b=c HTTP/1.1 false")
    );
    assert_eq!(refused.header("x-secret"), None);
    let answer = world.ask("/checked/a", &[("cookie", "c=1"), ("x-user", "mallory")]);
    assert_eq!(
        (answer.status, seen(&answer, "x-user")),
        (200, vec!["bob".to_owned()])
    );
    assert!(seen(&answer, "x-secret").is_empty());
}

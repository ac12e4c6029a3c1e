//! What is spoken on a port that nobody declared, told by real proxies.
#![allow(clippy::unwrap_used)]

mod support;

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use support::{Manifests, STRICT};
use wattle_testkit::{Conversation, Echo, Mesh, Need, Request, eventually, lacks};

const WATTLE: &str = env!("CARGO_BIN_EXE_wattle");
/// Longest wait for anything, on a busy machine and without optimisation.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often the client is late.
const ATTEMPTS: usize = 10;

/// A server whose port has no protocol, a policy that only requests can meet, and a client.
const MESH: &str = "
apiVersion: wattle.io/v1alpha1
kind: Process
metadata: {name: server, labels: {app: server}}
spec: {command: [sleep, '86400'], serviceAccountName: server}
---
apiVersion: v1
kind: Service
metadata: {name: server}
spec: {selector: {app: server}, ports: [{port: 8080}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: server}
spec:
  selector: {matchLabels: {app: server}}
  action: ALLOW
  rules: [{to: [{operation: {methods: [GET]}}]}]
---
apiVersion: wattle.io/v1alpha1
kind: Process
metadata: {name: client, labels: {app: client}}
spec: {command: [sleep, '86400'], serviceAccountName: client}
";

#[test]
fn a_client_that_speaks_http_after_the_server_refused_opaque_bytes_is_heard_on_an_undeclared_port() {
    if lacks(&[Need::Root]) {
        return;
    }
    let manifests = Manifests::new(&[("mesh.yaml", MESH), ("strict.yaml", STRICT)]);
    let mesh = Mesh::up(WATTLE, manifests.path());
    for name in ["server", "client"] {
        mesh.wait_ready(name);
    }
    mesh.wait_endpoint("server");
    let echo = Echo::start(&mesh.spot("server"), 8080, "server").unwrap();
    let address = SocketAddr::new(mesh.service("server"), 8080);
    let refusals = || {
        let log = mesh.log("default.server.proxy.log");
        log.lines()
            .filter(|line| line.contains("connection refused"))
            .count()
    };
    let heard = || {
        let before = refusals();
        let stream = mesh.spot("client").enter(|| TcpStream::connect(address)).unwrap();
        eventually("the server's proxy refused opaque bytes", PATIENCE, || {
            (refusals() > before).then_some(())
        });
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let answer = Conversation::on(stream).send(&Request::get("server", "/late"));
        answer.is_ok_and(|answer| answer.status == 200)
    };
    // Now and then this test is too late even for that, or so early that the client's proxy hears it before the refusal.
    let times = (0..ATTEMPTS).filter(|_| heard()).count();
    assert!(times * 2 > ATTEMPTS, "heard {times} of {ATTEMPTS} times");
    assert_eq!(echo.requests(), times as u64);

    let refused = mesh.spot("client").enter(|| {
        let request = Request {
            method: "POST".to_owned(),
            ..Request::get("server", "/early")
        };
        Conversation::tcp(address).unwrap().send(&request).unwrap()
    });
    assert_eq!(refused.status, 403, "{}", refused.text());
    mesh.stop();
}

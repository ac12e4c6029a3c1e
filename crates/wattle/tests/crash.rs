//! What a mesh made goes with it, however it ends; what it needs stays.
#![allow(clippy::unwrap_used)]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use support::Manifests;
use wattle_testkit::{Echo, Mesh, Need, Request, ask, eventually, lacks};

const WATTLE: &str = env!("CARGO_BIN_EXE_wattle");
const PATIENCE: Duration = Duration::from_secs(30);

const MESH: &str = "
apiVersion: wattle.io/v1alpha1
kind: Process
metadata: {name: server, labels: {app: server}}
spec: {command: [sleep, '86400'], ports: [{name: http, port: 8080, appProtocol: http}]}
---
apiVersion: wattle.io/v1alpha1
kind: Process
metadata: {name: client}
spec: {command: [sleep, '86400']}
---
apiVersion: v1
kind: Service
metadata: {name: server}
spec: {selector: {app: server}, ports: [{name: http, port: 80, targetPort: 8080, appProtocol: http}]}
";

#[test]
fn a_mesh_that_was_killed_leaves_no_process_and_the_next_start_clears_what_it_kept() {
    if lacks(&[Need::Root]) {
        return;
    }
    let manifests = Manifests::new(&[("mesh.yaml", MESH)]);
    let mut mesh = Mesh::up(WATTLE, manifests.path());
    assert_serves(&mesh);
    let before = mesh.runs();
    mesh.crash_and_start_again();
    assert_serves(&mesh);
    let after = mesh.runs();
    assert_eq!((before.len(), after.len()), (1, 1), "{before:?}, then {after:?}");
    assert_ne!(before, after);
    mesh.stop();
}

#[test]
fn a_killed_proxy_comes_back_and_serves() {
    if lacks(&[Need::Root]) {
        return;
    }
    let manifests = Manifests::new(&[("mesh.yaml", MESH)]);
    let mesh = Mesh::up(WATTLE, manifests.path());
    assert_serves(&mesh);
    for instance in ["server", "client"] {
        let killed = mesh.proxy(instance);
        killed.kill();
        mesh.wait_for(instance, "served by another proxy", PATIENCE, |process| {
            process.proxy_ready && process.proxy_pid.is_some_and(|pid| pid != killed.inner_pid)
        });
        assert_serves(&mesh);
    }
    mesh.stop();
}

/// The client reaches the server by its name.
#[track_caller]
fn assert_serves(mesh: &Mesh) {
    for instance in ["server", "client"] {
        mesh.wait_ready(instance);
    }
    let address = SocketAddr::new(mesh.service("server"), 80);
    // After a kill of the proxy alone the one of before still listens.
    let echo = Echo::start(&mesh.spot("server"), 8080, "server");
    assert!(echo.is_ok() || echo.is_err_and(|error| error.kind() == std::io::ErrorKind::AddrInUse));
    let answer = eventually("the server answers", PATIENCE, || {
        let answer = mesh
            .spot("client")
            .enter(|| ask(address, &Request::get("server", "/")));
        answer.ok().filter(|answer| answer.status == 200)
    });
    assert!(answer.text().contains("\"name\":\"server\""));
}

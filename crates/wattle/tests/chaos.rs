//! Whatever happens around it, a request that could be saved is not lost.
#![allow(clippy::unwrap_used)]

#[path = "support/load.rs"]
mod load;
mod support;

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use load::Load;
use support::Manifests;
use wattle_testkit::{Conversation, Echo, Mesh, Need, Request, ask, eventually, lacks};

const WATTLE: &str = env!("CARGO_BIN_EXE_wattle");
const PATIENCE: Duration = Duration::from_secs(60);
/// Edits that land under load, and requests between two of them.
const EDITS: u32 = 50;
const BETWEEN: u64 = 2_000;

const MESH: &str = "
apiVersion: wattle.io/v1alpha1
kind: Process
metadata: {name: load}
spec: {command: [sleep, '86400'], serviceAccountName: load}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080, appProtocol: http}]
---
apiVersion: v1
kind: Service
metadata: {name: web-v1}
spec:
  selector: {app: web, version: v1}
  ports: [{name: http, port: 80, targetPort: 8080, appProtocol: http}]
---
apiVersion: v1
kind: Service
metadata: {name: web-v2}
spec:
  selector: {app: web, version: v2}
  ports: [{name: http, port: 80, targetPort: 8080, appProtocol: http}]
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: base}
spec:
  selector: {matchLabels: {app: web}}
  rules: [{from: [{source: {principals: [cluster.local/ns/default/sa/load]}}]}]
";

/// A version of the server; another `build` of it replaces the copies that run.
fn version(name: &str, replicas: usize, build: u32) -> String {
    format!(
        "apiVersion: wattle.io/v1alpha1\nkind: Process\nmetadata: {{name: web-{name}, labels: {{app: web, version: {name}}}}}\n\
         spec:\n  command: [sh, server.sh]\n  env: [{{name: VERSION, value: {name}}}, {{name: BUILD, value: '{build}'}}]\n\
         \x20 replicas: {replicas}\n  serviceAccountName: web\n  ports: [{{name: http, port: 8080, appProtocol: http}}]\n\
         \x20 readiness: {{httpGet: {{path: /, port: 8080}}, periodSeconds: 1, failureThreshold: 60}}\n"
    )
}

/// A route that marks its requests with the number of the edit.
fn route(edit: u32, v1: u32, v2: u32) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n\
         metadata: {{name: web, annotations: {{generation: '{edit}'}}}}\n\
         spec:\n  parentRefs: [{{group: '', kind: Service, name: web}}]\n  rules:\n\
         \x20 - filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {{set: [{{name: x-edit, value: '{edit}'}}]}}}}]\n\
         \x20   backendRefs: [{{name: web-v1, port: 80, weight: {v1}}}, {{name: web-v2, port: 80, weight: {v2}}}]\n"
    )
}

/// A further policy that changes nothing for whoever is allowed.
fn policy(edit: u32) -> String {
    let action = if edit.is_multiple_of(2) { "ALLOW" } else { "DENY" };
    format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: extra-{edit}, annotations: {{generation: '{edit}'}}}}\n\
         spec: {{selector: {{matchLabels: {{app: web}}}}, action: {action}, rules: [{{to: [{{operation: {{paths: [/never/{edit}]}}}}]}}]}}\n"
    )
}

fn start(load: bool) -> (Manifests, Mesh, SocketAddr) {
    let manifests = Manifests::new(&[
        ("server.sh", include_str!("support/server.sh")),
        ("mesh.yaml", MESH),
        ("v1.yaml", &version("v1", 1, 0)),
        ("route.yaml", &route(0, 1, 0)),
    ]);
    let mesh = Mesh::up(WATTLE, manifests.path());
    mesh.wait_ready("web-v1");
    mesh.wait_ready("load");
    let address = SocketAddr::new(mesh.service("web"), 80);
    eventually("a first answer", PATIENCE, || {
        let answer = mesh
            .spot("load")
            .enter(|| ask(address, &Request::get("web", "/")))
            .ok();
        answer.filter(|answer| answer.status == 200 && (load || answer.text() == "v1 0\n"))
    });
    (manifests, mesh, address)
}

#[test]
fn not_one_of_a_hundred_thousand_requests_fails_whatever_happens_around_them() {
    if lacks(&[Need::Root, Need::Program("nginx")]) {
        return;
    }
    let (manifests, mesh, address) = start(true);
    let load = Load::start(mesh.spot("load"), address);
    for edit in 1..=EDITS {
        load.pass(BETWEEN);
        match edit {
            10 => kill_control(&mesh),
            18 => mesh.renew_certificate("load"),
            20 => mesh.renew_certificate("web-v1"),
            25 => {
                manifests.write("v2.yaml", &version("v2", 2, 0));
                let _ = ["web-v2-0", "web-v2-1"].map(|copy| mesh.wait_ready(copy));
            }
            42 => {
                manifests.remove("v1.yaml");
                eventually("v1 is gone", PATIENCE, || {
                    copies(&mesh, "web-v1").is_empty().then_some(())
                });
            }
            30 => spoil(&manifests, &mesh, &load),
            46 => roll(&manifests, &mesh),
            _ => {}
        }
        // From the 28th edit on the second version takes over, and has everything by the 40th.
        let v2 = edit.saturating_sub(27).min(12);
        manifests.write("route.yaml", &route(edit, 12 - v2, v2));
        if edit.is_multiple_of(5) {
            manifests.write(&format!("policy-{edit}.yaml"), &policy(edit));
        }
        mesh.wait_generation("HTTPRoute", "web", &edit.to_string());
        let last = if v2 == 12 { "v2" } else { "v1" };
        load.see(&format!("{last} {edit}"));
    }
    load.pass(BETWEEN);
    let answers = load.answers();
    assert_eq!(
        answers.keys().filter(|text| text.starts_with("v2")).count() as u32,
        EDITS - 27,
        "{answers:?}"
    );
    let sent = load.finish();
    assert!(sent >= 100_000, "only {sent} requests");
    eprintln!("{sent} requests, none failed");
    mesh.stop();
}

#[test]
fn a_proxy_serves_from_its_saved_state_while_there_is_no_control_plane() {
    if lacks(&[Need::Root, Need::Program("nginx")]) {
        return;
    }
    let (_manifests, mesh, address) = start(false);
    let load = Load::start(mesh.spot("load"), address);
    load.pass(500);
    let keep_down = keep_control_down(&mesh);
    load.pass(2_000);
    let _ = load.finish();
    for instance in ["load", "web-v1"] {
        let before = mesh.proxy(instance);
        before.kill();
        mesh.wait_for(instance, "served by a new proxy", PATIENCE, |process| {
            process.proxy_ready && process.proxy_pid.is_some_and(|pid| pid != before.inner_pid)
        });
        let load = Load::start(mesh.spot("load"), address);
        load.pass(500);
        let _ = load.finish();
    }
    drop(keep_down);
    eventually(
        "the control plane is back and all proxies with it",
        PATIENCE,
        || {
            let status = mesh.control("/status")?;
            let proxies = status["proxies"].as_array()?;
            (proxies.len() == 2 && proxies.iter().all(|proxy| proxy["synced"] == true)).then_some(())
        },
    );
    mesh.stop();
}

#[test]
fn a_request_that_meets_a_connection_just_closed_is_sent_again() {
    if lacks(&[Need::Root]) {
        return;
    }
    let (_manifests, mesh, address) = quiet("http");
    let echo = Echo::start_curt(&mesh.spot("web-v1"), 8080, "web").unwrap();
    let load = mesh.spot("load");
    let mut conversation = load.enter(|| Conversation::tcp(address)).unwrap();
    for number in 0..600 {
        let (method, body) = [
            ("GET", ""),
            ("HEAD", ""),
            ("PUT", "a small body is kept"),
            ("DELETE", ""),
        ][number % 4];
        let answer = conversation
            .send(&Request {
                method: method.to_owned(),
                body: body.into(),
                ..Request::get("web", "/")
            })
            .unwrap();
        assert_eq!(
            answer.status,
            200,
            "request {number}: {:?}",
            answer.header("wattle-reason")
        );
    }
    assert_eq!(echo.requests(), 600, "each was answered once");
    mesh.stop();
}

#[test]
fn a_long_connection_outlives_certificates_config_and_the_control_plane() {
    if lacks(&[Need::Root]) {
        return;
    }
    let (manifests, mesh, address) = quiet("tcp");
    let _echo = Echo::start(&mesh.spot("web-v1"), 8080, "web").unwrap();
    let mut connection = mesh.spot("load").enter(|| Conversation::tcp(address)).unwrap();
    let mut talk = |when: &str| {
        let answer = connection
            .send(&Request::get("web", "/"))
            .unwrap_or_else(|error| panic!("{when}: {error}"));
        assert_eq!(answer.status, 200, "{when}");
    };
    talk("at first");
    mesh.renew_certificate("load");
    talk("after a new certificate of the client");
    mesh.renew_certificate("web-v1");
    talk("after a new certificate of the server");
    // One that denies by path would deny a connection whose paths nobody sees, and end it.
    let other = policy(1).replace(
        "to: [{operation: {paths: [/never/1]}}]",
        "from: [{source: {principals: [nobody]}}]",
    );
    assert!(other.contains("nobody"));
    manifests.write("policy-1.yaml", &other);
    mesh.wait_generation("AuthorizationPolicy", "extra-1", "1");
    mesh.wait_synced(2);
    talk("after a new policy");
    kill_control(&mesh);
    talk("after another control plane");
    drop(connection);
    mesh.stop();
}

/// The mesh with a server that the test itself is to start, on a port of this protocol.
fn quiet(protocol: &str) -> (Manifests, Mesh, SocketAddr) {
    let server = "apiVersion: wattle.io/v1alpha1\nkind: Process\nmetadata: {name: web-v1, labels: {app: web, version: v1}}\n\
                  spec: {command: [sleep, '86400'], serviceAccountName: web, ports: [{port: 8080, appProtocol: http}]}\n";
    let spoken = |text: &str| text.replace("appProtocol: http", &format!("appProtocol: {protocol}"));
    let manifests = Manifests::new(&[("mesh.yaml", &spoken(MESH)), ("server.yaml", &spoken(server))]);
    let mesh = Mesh::up(WATTLE, manifests.path());
    mesh.wait_ready("load");
    mesh.wait_ready("web-v1");
    mesh.wait_endpoint("web-v1");
    let address = SocketAddr::new(mesh.service("web"), 80);
    (manifests, mesh, address)
}

/// Process ids of the copies of a process that are there, ready or not.
fn copies(mesh: &Mesh, name: &str) -> Vec<Option<u32>> {
    let all = mesh
        .processes()
        .into_iter()
        .filter(|process| process.instance.starts_with(name));
    all.map(|process| process.pid.filter(|_| process.phase == "ready"))
        .collect()
}

/// Replaces both copies of the second version, which have all the traffic, by another build.
fn roll(manifests: &Manifests, mesh: &Mesh) {
    let old = copies(mesh, "web-v2");
    manifests.write("v2.yaml", &version("v2", 2, 1));
    eventually("both copies are replaced", PATIENCE, || {
        let new = copies(mesh, "web-v2");
        (new.len() == 2 && new.iter().all(|pid| pid.is_some() && !old.contains(pid))).then_some(())
    });
}

/// Makes the route unreadable; what was last good stays in force, and the mistake is told.
fn spoil(manifests: &Manifests, mesh: &Mesh, load: &Load) {
    manifests.write("route.yaml", "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: web}\nspec: {rules: 7}\n");
    eventually("the mistake is told", PATIENCE, || {
        let told = mesh.control("/diagnostics")?;
        told.as_array()?
            .iter()
            .any(|one| one["severity"] == "error" && one["field"] == "spec.rules")
            .then_some(())
    });
    load.pass(BETWEEN);
}

/// Kills the control plane and waits for the next one.
fn kill_control(mesh: &Mesh) {
    let first = mesh.role("control").unwrap();
    first.kill();
    eventually("another control plane runs", PATIENCE, || {
        mesh.role("control").filter(|next| next.pid != first.pid)
    });
    mesh.wait_synced(2);
}

/// Kills the control plane and holds its port, so that none can start until this is dropped.
fn keep_control_down(mesh: &Mesh) -> TcpListener {
    let taken = eventually("its port is taken", PATIENCE, || {
        if let Some(control) = mesh.role("control") {
            control.kill();
        }
        mesh.bridge().enter(|| TcpListener::bind("10.244.0.1:15012")).ok()
    });
    eventually("no control plane answers", PATIENCE, || {
        mesh.control("/status").is_none().then_some(())
    });
    taken
}

//! Years of certificates in a minute: leaves, issuer and root are replaced under load, then all of them have ended, and one
//! command repairs the mesh.
//!
//! The clock is everybody's own; what is short is the life of what is signed, by the same settings that anybody may use.
#![allow(clippy::unwrap_used)]

#[path = "support/load.rs"]
#[allow(dead_code)]
mod load;
mod support;

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, SystemTime};

use load::Load;
use serde_json::Value;
use support::Manifests;
use wattle_testkit::{Mesh, Need, Request, ask, eventually, lacks};

const WATTLE: &str = env!("CARGO_BIN_EXE_wattle");
const PATIENCE: Duration = Duration::from_secs(90);
/// 24 hours, 1 year and 10 years otherwise; the issuer is due at half of its life, the root at four fifths.
const LIVES: [(&str, &str); 3] = [
    ("WATTLE_CONTROL_CERTIFICATE_TTL", "6s"),
    ("WATTLE_CONTROL_ISSUER_TTL", "16s"),
    ("WATTLE_CONTROL_ROOT_TTL", "24s"),
];

const MESH: &str = "
apiVersion: wattle.io/v1alpha1
kind: Process
metadata: {name: load}
spec: {command: [sleep, '86400'], serviceAccountName: load}
---
apiVersion: wattle.io/v1alpha1
kind: Process
metadata: {name: web, labels: {app: web}}
spec:
  command: [sh, server.sh]
  env: [{name: VERSION, value: v1}, {name: BUILD, value: '0'}]
  serviceAccountName: web
  ports: [{name: http, port: 8080, appProtocol: http}]
  readiness: {httpGet: {path: /, port: 8080}, periodSeconds: 1, failureThreshold: 60}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: 8080, appProtocol: http}]
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}
";

/// Every issuer and root that signed so far.
#[derive(Default)]
struct Signed {
    issuers: BTreeSet<String>,
    roots: BTreeSet<String>,
}

impl Signed {
    fn look(&mut self, mesh: &Mesh) {
        if let Some(found) = mesh.control("/rotation") {
            self.issuers.insert(text(&found["signing"]["issuer"]));
            self.roots.insert(text(&found["signing"]["root"]));
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[test]
fn years_of_rotation_lose_no_request_and_one_command_repairs_what_has_ended() {
    if lacks(&[Need::Root, Need::Program("nginx")]) {
        return;
    }
    let manifests = Manifests::new(&[
        ("server.sh", include_str!("support/server.sh")),
        ("mesh.yaml", MESH),
    ]);
    let mesh = Mesh::up_in(WATTLE, manifests.path(), &LIVES);
    mesh.wait_ready("web");
    mesh.wait_ready("load");
    let address = SocketAddr::new(mesh.service("web"), 80);

    let call = || {
        mesh.spot("load")
            .enter(|| ask(address, &Request::get("web", "/")))
    };
    eventually("a first answer", PATIENCE, || {
        call().ok().filter(|answer| answer.status == 200)
    });

    let load = Load::start(mesh.spot("load"), address);
    let mut signed = Signed::default();
    eventually("two more roots, each gone through to its end", PATIENCE, || {
        load.assert_unharmed();
        signed.look(&mesh);
        let steady = mesh.control("/rotation")?["stage"] == "steady";
        (signed.roots.len() >= 3 && steady).then_some(())
    });
    let listed = mesh.wattle_json(&["certs"]);
    let requests = load.finish();
    let renewals: u64 = ["load", "web"].iter().map(|name| renewals(&mesh, name)).sum();
    eprintln!(
        "{requests} requests, {} roots, {} issuers, {renewals} certificates of two workloads",
        signed.roots.len(),
        signed.issuers.len()
    );
    assert!(signed.issuers.len() >= 5, "{} issuers", signed.issuers.len());
    assert!(renewals >= 16, "{renewals} certificates");
    let names: BTreeSet<String> = listed["certificates"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| text(&one["identity"]))
        .collect();
    let expected = ["load", "web"].map(|name| format!("spiffe://cluster.local/ns/default/sa/{name}"));
    assert_eq!(names, BTreeSet::from(expected));

    let ends = mesh.control("/rotation").unwrap()["signing"]["rootNotAfterSecs"]
        .as_u64()
        .unwrap();
    let keep_down = keep_control_down(&mesh);
    eventually("everything has ended", PATIENCE, || {
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        (now > ends + 1).then_some(())
    });
    eventually("nobody is let in with what has ended", PATIENCE, || {
        call().ok().filter(|answer| answer.status == 503)
    });
    drop(keep_down);
    eventually("the control plane says so", PATIENCE, || {
        (mesh.control("/rotation")?["expired"] == true).then_some(())
    });
    assert!(!mesh.wattle(&["certs"]).status.success());
    let repaired = mesh.wattle(&["repair"]);
    assert!(
        repaired.status.success(),
        "{}",
        String::from_utf8_lossy(&repaired.stderr)
    );
    eventually("requests are answered again", PATIENCE, || {
        call().ok().filter(|answer| answer.status == 200)
    });
    let load = Load::start(mesh.spot("load"), address);
    load.pass(500);
    let _ = load.finish();
    mesh.stop();
}

/// Certificates that an instance's proxy has obtained.
fn renewals(mesh: &Mesh, instance: &str) -> u64 {
    let status = SocketAddr::new(mesh.wait_ready(instance).address.unwrap(), 15020);
    let page = mesh
        .bridge()
        .enter(|| ask(status, &Request::get("proxy", "/metrics")))
        .unwrap()
        .text();
    let value = |line: &str| {
        line.strip_prefix("wattle_proxy_certificate_renewals ")?
            .parse()
            .ok()
    };
    page.lines().find_map(value).unwrap()
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

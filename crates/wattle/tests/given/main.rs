//! Workloads whose certificates come from SPIRE or from a certificate service, not from the control plane.
#![allow(clippy::unwrap_used)]

mod agent;
mod authority;
#[path = "../support/load.rs"]
#[allow(dead_code)]
mod load;
mod signer;
#[path = "../support/mod.rs"]
mod support;

use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use agent::Agent;
use authority::{authority, id, roots, svid};
use load::Load;
use signer::Signer;
use support::{Manifests, STRICT, bare_workload, workload};
use wattle_identity::{Authority, Svid};
use wattle_testkit::{Conversation, Echo, Mesh, Need, Request, ask, eventually, lacks};

const WATTLE: &str = env!("CARGO_BIN_EXE_wattle");
const PATIENCE: Duration = Duration::from_secs(60);
const PORT: u16 = 8080;
const SIGNER: u16 = 15012;

/// A directory that proxies may look into, of any user.
struct Shown(tempfile::TempDir);

impl Shown {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::set_permissions(directory.path(), Permissions::from_mode(0o755)).unwrap();
        Self(directory)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let fresh = self.at(&format!("{name}.new"));
        std::fs::write(&fresh, text).unwrap();
        std::fs::set_permissions(&fresh, Permissions::from_mode(0o644)).unwrap();
        std::fs::rename(&fresh, self.at(name)).unwrap();
        self.at(name)
    }
}

fn up(manifests: &Manifests, accepted: &Path) -> Mesh {
    Mesh::up_with(
        WATTLE,
        manifests.path(),
        &["--accepted-roots", accepted.to_str().unwrap()],
    )
}

/// Certificates of both workloads.
fn pair(authority: &Authority) -> Vec<Svid> {
    ["client", "web"]
        .map(|account| svid(authority, account, SystemTime::now(), Duration::ZERO))
        .into()
}

/// What a proxy says of its certificate.
fn certificate(mesh: &Mesh, instance: &str) -> serde_json::Value {
    let page = mesh.spot(instance).enter(|| {
        let status = SocketAddr::from(([127, 0, 0, 1], 15020));
        ask(status, &Request::get("proxy", "/status")).unwrap().text()
    });
    serde_json::from_str::<serde_json::Value>(&page).unwrap()["certificate"].clone()
}

#[track_caller]
fn wait_renewals(mesh: &Mesh, at_least: u64) {
    for instance in ["client", "web"] {
        eventually(
            &format!("{instance} took certificate {at_least}"),
            PATIENCE,
            || (certificate(mesh, instance)["renewals"].as_u64()? >= at_least).then_some(()),
        );
    }
}

#[test]
fn workloads_with_certificates_from_the_workload_api_meet_and_every_push_takes_effect_in_mid_traffic() {
    if lacks(&[Need::Root]) {
        return;
    }
    let shown = Shown::new();
    let socket = shown.at("agent.sock");
    let (first, second) = (authority(), authority());
    let accepted = shown.write("accepted.pem", &roots(&[&first]));
    let by_agent = format!("{{certificate: {{workloadAPI: 'unix://{}'}}}}", socket.display());
    let manifests = Manifests::new(&[
        ("web.yaml", &workload("web", &by_agent)),
        (
            "rest.yaml",
            &(bare_workload("client", &by_agent) + &bare_workload("nobody", &by_agent) + STRICT),
        ),
    ]);
    let agent = Agent::start(&socket, &pair(&first), &[&first]);
    let mesh = up(&manifests, &accepted);
    for instance in ["client", "web"] {
        mesh.wait_ready(instance);
        let source = format!("Workload API at {}", socket.display());
        assert_eq!(certificate(&mesh, instance)["source"], *source);
    }
    mesh.wait_log(
        "default.nobody.proxy.log",
        "the Workload API offers spiffe://cluster.local/ns/default/sa/client, \
         spiffe://cluster.local/ns/default/sa/web, expected spiffe://cluster.local/ns/default/sa/nobody",
    );
    assert!(!mesh.process("nobody").proxy_ready);

    let _web = Echo::start(&mesh.spot("web"), PORT, "web").unwrap();
    let address = SocketAddr::new(mesh.service("web"), 80);
    mesh.wait_endpoint("web");
    let load = Load::start(mesh.spot("client"), address);
    load.pass(500);
    agent.push(&pair(&first), &[&first]);
    wait_renewals(&mesh, 2);
    load.pass(500);

    // A new root: known to all, then in use, then alone.
    shown.write("accepted.pem", &roots(&[&first, &second]));
    agent.push(&pair(&first), &[&first, &second]);
    wait_renewals(&mesh, 3);
    load.pass(500);
    agent.push(&pair(&second), &[&first, &second]);
    wait_renewals(&mesh, 4);
    load.pass(500);
    shown.write("accepted.pem", &roots(&[&second]));
    agent.push(&pair(&second), &[&second]);
    wait_renewals(&mesh, 5);
    load.pass(500);

    // The agent's end is nobody's end, and its return no news.
    drop(agent);
    mesh.wait_log("default.client.proxy.log", "the stream of the Workload API broke");
    load.pass(500);
    let _agent = Agent::start(&socket, &pair(&second), &[&second]);
    wait_renewals(&mesh, 6);
    load.pass(500);
    assert!(load.finish() > 3000);
    for instance in ["client", "web"] {
        let state = mesh.state().join(format!("proxies/default.{instance}"));
        assert!(state.is_dir());
        assert!(!state.join("svid.pem").exists(), "nothing of it is written down");
        assert!(!state.join("token").exists(), "nobody gave it a token");
    }
    mesh.stop();
}

#[test]
fn the_last_certificate_of_an_agent_that_is_gone_counts_until_its_end() {
    if lacks(&[Need::Root]) {
        return;
    }
    let shown = Shown::new();
    let socket = shown.at("agent.sock");
    let spire = authority();
    let accepted = shown.write("accepted.pem", &roots(&[&spire]));
    let by_agent = format!("{{certificate: {{workloadAPI: 'unix://{}'}}}}", socket.display());
    let manifests = Manifests::new(&[
        // Certificates of the mesh's own authority and of the other one meet.
        (
            "web.yaml",
            &workload("web", "{}").replace("appProtocol: http", "appProtocol: tcp"),
        ),
        ("rest.yaml", &(bare_workload("client", &by_agent) + STRICT)),
    ]);
    let agent = Agent::start(&socket, &pair(&spire), &[&spire]);
    let mesh = up(&manifests, &accepted);
    for instance in ["client", "web"] {
        mesh.wait_ready(instance);
    }
    mesh.wait_endpoint("web");
    let _web = Echo::start(&mesh.spot("web"), PORT, "web").unwrap();
    let address = SocketAddr::new(mesh.service("web"), 80);
    let client = mesh.spot("client");
    // Each on a connection of its own, and so under a handshake of its own.
    let call = || {
        client
            .enter(|| ask(address, &Request::get("web", "/")).ok())
            .map(|answer| answer.status)
    };
    eventually("it is let in", PATIENCE, || (call() == Some(200)).then_some(()));

    let short = svid(&spire, "client", SystemTime::now(), Duration::from_secs(15));
    agent.push(&[short], &[&spire]);
    eventually("the short one is taken", PATIENCE, || {
        (certificate(&mesh, "client")["renewals"] == 2).then_some(())
    });
    drop(agent);
    assert_eq!(call(), Some(200), "it is valid yet");
    eventually("it is refused after its end", PATIENCE * 3, || {
        call().is_none().then_some(())
    });
    let _agent = Agent::start(&socket, &pair(&spire), &[&spire]);
    eventually("it is let in again", PATIENCE, || {
        (call() == Some(200)).then_some(())
    });
    mesh.stop();
}

#[test]
fn a_certificate_service_beside_the_mesh_certifies_whoever_has_the_token() {
    if lacks(&[Need::Root, Need::Envoy]) {
        return;
    }
    let shown = Shown::new();
    let beside = authority();
    let accepted = shown.write("accepted.pem", &roots(&[&beside]));
    let manifests = Manifests::new(&[(
        "signer.yaml",
        "apiVersion: wattle.io/v1alpha1\nkind: Process\n\
         metadata: {name: signer, labels: {wattle.io/inject: disabled}}\nspec: {command: [sleep, '86400']}\n",
    )]);
    let mesh = up(&manifests, &accepted);
    let address = mesh.wait_ready("signer").address.unwrap();
    let callers = ["client", "web"].map(|name| (format!("token-of-{name}"), id(name)));
    let signer = Signer::start(
        &mesh.spot("signer"),
        (address, SIGNER),
        beside,
        callers.into_iter().collect(),
    );
    shown.write("signer.pem", &signer.root);
    shown.write("web.token", "token-of-web");
    // It may speak for somebody else only.
    shown.write("client.token", "token-of-web\n");
    let by_signer = |name: &str, kind: &str| {
        let [roots, token] = ["signer.pem".to_owned(), format!("{name}.token")].map(|name| shown.at(&name));
        format!(
            "{{kind: {kind}, certificate: {{service: {{address: '{address}:{SIGNER}', roots: '{}', token: '{}'}}}}}}",
            roots.display(),
            token.display()
        )
    };
    manifests.write("web.yaml", &workload("web", &by_signer("web", "envoy")));
    manifests.write(
        "rest.yaml",
        &(bare_workload("client", &by_signer("client", "wattle")) + STRICT),
    );
    mesh.wait_ready("web");
    mesh.wait_log("default.client.proxy.log", "certificate request refused");
    assert!(!mesh.process("client").proxy_ready);

    shown.write("client.token", "token-of-client\n");
    mesh.wait_ready("client");
    assert_eq!(
        certificate(&mesh, "client")["source"],
        *format!("certificate service at {address}:{SIGNER}")
    );
    mesh.wait_endpoint("web");
    let listed = mesh.wattle_json(&["certs"])["certificates"].clone();
    for account in ["client", "web"] {
        let is_it = |one: &&serde_json::Value| one["identity"] == *id(account).as_str();
        let listed = listed.as_array().unwrap().iter().find(is_it).unwrap();
        assert_eq!(
            (&listed["issuer"], &listed["connected"]),
            (&"accepted roots".into(), &true.into())
        );
    }
    let _web = Echo::start(&mesh.spot("web"), PORT, "web").unwrap();
    let service = SocketAddr::new(mesh.service("web"), 80);
    let client = mesh.spot("client");
    let mut conversation = client.enter(|| Conversation::tcp(service).unwrap());
    let served = eventually("it is let in", PATIENCE, || {
        let answer = conversation.send(&Request::get("web", "/")).unwrap();
        (answer.status == 200).then_some(answer)
    });
    assert!(served.text().contains("\"name\":\"web\""), "{}", served.text());
    // Renewal needs no more than the token.
    for (instance, number) in [("client", 2), ("web", 2)] {
        mesh.renew_certificate(instance);
        eventually("it is renewed", PATIENCE, || {
            (certificate(&mesh, instance)["renewals"] == number).then_some(())
        });
    }
    assert_eq!(conversation.send(&Request::get("web", "/")).unwrap().status, 200);
    mesh.stop();
    drop(signer);
}

//! Envoys as proxies of a mesh, beside workloads whose proxy is ours.
#![allow(clippy::unwrap_used)]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use support::{Manifests, STRICT, bare_workload, workload};
use wattle_testkit::{Echo, Mesh, Need, Request, Spot, ask, eventually, lacks};

const WATTLE: &str = env!("CARGO_BIN_EXE_wattle");
/// Longest wait for anything, on a busy machine and without optimisation.
const PATIENCE: Duration = Duration::from_secs(60);
const ADMIN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 15000);

fn route(to: &str) -> String {
    format!(
        "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: far}}\nspec:\n  \
         parentRefs: [{{group: '', kind: Service, name: far}}]\n  rules: [{{backendRefs: [{{name: {to}, port: 80}}]}}]\n"
    )
}

/// A workload beside an Envoy (`near`), and others beside proxies of ours.
struct World {
    mesh: Mesh,
    manifests: Manifests,
    _echoes: Vec<Echo>,
}

impl World {
    fn start(others: &[&str]) -> Option<Self> {
        if lacks(&[Need::Root, Need::Envoy]) {
            return None;
        }
        let manifests = Manifests::new(&[("strict.yaml", STRICT)]);
        manifests.write("near.yaml", &workload("near", "{kind: envoy}"));
        for other in others {
            manifests.write(&format!("{other}.yaml"), &workload(other, "{kind: wattle}"));
        }
        let mesh = Mesh::up(WATTLE, manifests.path());
        let all = std::iter::once(&"near").chain(others);
        let echoes = all.map(|name| {
            mesh.wait_ready(name);
            Echo::start(&mesh.spot(name), 8080, name).unwrap()
        });
        Some(Self {
            _echoes: echoes.collect(),
            mesh,
            manifests,
        })
    }

    /// Asks a service; gives the status, and who answered.
    fn call(&self, from: &str, to: &str) -> Option<(u16, String)> {
        let address = SocketAddr::new(self.mesh.service(to), 80);
        let answer = self
            .mesh
            .spot(from)
            .enter(|| ask(address, &Request::get(to, "/")))
            .ok()?;
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        Some((
            answer.status,
            body["name"].as_str().unwrap_or_default().to_owned(),
        ))
    }

    fn until_answered(&self, from: &str, to: &str, by: &str) {
        let mut last = None;
        eventually(&format!("{to}, called from {from}, is {by}"), PATIENCE, || {
            let answer = self.call(from, to);
            if answer != last {
                eprintln!("{from} -> {to}: {answer:?}");
                last.clone_from(&answer);
            }
            answer.filter(|answer| *answer == (200, by.to_owned()))
        });
    }

    /// What the agent says of itself.
    fn agent(&self) -> Value {
        let spot = Spot::of(self.mesh.proxy("near").pid);
        let page = spot
            .enter(|| ask(ADMIN, &Request::get("agent", "/status")))
            .unwrap();
        serde_json::from_slice(&page.body).unwrap()
    }
}

#[test]
fn an_envoy_and_a_proxy_of_ours_call_each_other_over_mutual_tls_and_strangers_are_refused() {
    let Some(world) = World::start(&["far"]) else {
        return;
    };
    world.until_answered("near", "far", "far");
    world.until_answered("far", "near", "near");

    world
        .manifests
        .write("outsider.yaml", &bare_workload("outsider", "{enabled: false}"));
    world.mesh.wait_ready("outsider");
    let address = SocketAddr::new(world.mesh.process("near").address.unwrap(), 8080);
    let outsider = world.mesh.spot("outsider");
    let answer = outsider.enter(|| ask(address, &Request::get("near", "/")));
    assert!(
        !answer.as_ref().is_ok_and(|answer| answer.status == 200),
        "plaintext is refused: {answer:?}"
    );

    let proxies = world.mesh.wattle_json(&["get", "proxies"]);
    let listed = proxies.to_string();
    assert!(listed.contains("default/near"), "{listed}");
    world.mesh.wait_synced(2);
    let check = world.mesh.wattle(&["check"]);
    assert!(
        check.status.success(),
        "{}",
        String::from_utf8_lossy(&check.stdout)
    );
    world.mesh.stop();
}

#[test]
fn a_workload_beside_an_envoy_finds_the_names_of_the_mesh() {
    let Some(world) = World::start(&["far"]) else {
        return;
    };
    let near = world.mesh.spot("near");
    let found = |name: &str| {
        let output = near.command("getent").args(["ahostsv4", name]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.split_whitespace().next().map(ToOwned::to_owned)
    };
    let address = world.mesh.service("far").to_string();
    for name in ["far", "far.default", "far.default.svc.cluster.local"] {
        assert_eq!(found(name).as_ref(), Some(&address), "{name}");
    }
    assert_eq!(found("late"), None);
    world
        .manifests
        .write("late.yaml", &workload("late", "{kind: wattle}"));
    let late = eventually("a new name is found", PATIENCE, || found("late"));
    assert_eq!(late, world.mesh.service("late").to_string());

    let agent = Spot::of(world.mesh.proxy("near").pid);
    let page = agent.enter(|| ask(ADMIN, &Request::get("agent", "/metrics")));
    let page = page.unwrap().text();
    assert!(
        page.contains("\nwattle_dns_queries_total{outcome=\"answered\"} "),
        "{page}"
    );
    world.mesh.stop();
}

#[test]
fn routes_and_services_change_under_a_running_envoy() {
    let Some(world) = World::start(&["far", "canary"]) else {
        return;
    };
    world.manifests.write("route.yaml", &route("far"));
    world.until_answered("near", "far", "far");
    let before = world.agent()["envoy"].clone();

    world.manifests.write("route.yaml", &route("canary"));
    world.until_answered("near", "far", "canary");
    world.manifests.remove("route.yaml");
    world.until_answered("near", "far", "far");

    let address = SocketAddr::new(world.mesh.service("canary"), 80);
    world.until_answered("near", "canary", "canary");
    world
        .manifests
        .write("canary.yaml", &bare_workload("canary", "{kind: wattle}"));
    let near = world.mesh.spot("near");
    eventually("the removed service is not answered any more", PATIENCE, || {
        let answer = near.enter(|| ask(address, &Request::get("canary", "/")));
        (!answer.is_ok_and(|answer| answer.status == 200)).then_some(())
    });
    assert_eq!(
        world.agent()["envoy"],
        before,
        "the same process, never started again"
    );
    world.mesh.stop();
}

#[test]
fn a_renewed_certificate_reaches_a_running_envoy_and_interrupts_nothing() {
    let Some(world) = World::start(&["far"]) else {
        return;
    };
    world.until_answered("near", "far", "far");
    world.until_answered("far", "near", "near");
    let serial = || {
        let spot = Spot::of(world.mesh.proxy("near").pid);
        let page = spot
            .enter(|| ask(ADMIN, &Request::get("agent", "/certs")))
            .unwrap();
        let certificates: Value = serde_json::from_slice(&page.body).unwrap();
        certificates["certificates"]
            .as_array()?
            .iter()
            .find_map(|one| Some(one["cert_chain"][0]["serial_number"].as_str()?.to_owned()))
    };
    let before = eventually("Envoy shows its certificate", PATIENCE, serial);
    let envoy = world.agent()["envoy"].clone();
    world.mesh.renew_certificate("near");
    eventually("Envoy has the new certificate", PATIENCE, || {
        assert_eq!(world.call("near", "far"), Some((200, "far".to_owned())));
        assert_eq!(world.call("far", "near"), Some((200, "near".to_owned())));
        serial().filter(|now| *now != before)
    });
    assert_eq!(world.agent()["envoy"], envoy);
    world.mesh.stop();
}

#[test]
fn without_an_envoy_the_process_says_what_to_do() {
    if lacks(&[Need::Root]) {
        return;
    }
    let manifests = Manifests::new(&[("near.yaml", &workload("near", "{kind: envoy}"))]);
    let mesh = Mesh::up_in(WATTLE, manifests.path(), &[("ENVOY_BIN", "/nonexistent/envoy")]);
    mesh.wait_for("near", "failed", PATIENCE, |process| process.phase == "failed");
    let said = mesh.supervisor("/processes").unwrap().to_string();
    assert!(
        said.contains("Process default/near: spec.proxy.kind is envoy, and ENVOY_BIN is /nonexistent/envoy"),
        "{said}"
    );
    mesh.stop();
}

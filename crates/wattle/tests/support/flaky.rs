//! A service of copies that fail on request, and a client: `flaky.py` in a mesh.
// Each test uses a part of it.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use wattle_testkit::{Mesh, Need, Request, Spot, ask, eventually, lacks};

const WATTLE: &str = env!("CARGO_BIN_EXE_wattle");
/// Longest wait for anything, on a busy machine and without optimisation.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Copies of one flaky service, and a client.
pub(crate) struct World {
    pub(crate) mesh: Mesh,
    directory: TempDir,
    pub(crate) server: SocketAddr,
}

/// A server; `labels` are further ones, each with a comma in front, and `next` is whom it asks in turn.
pub(crate) fn process(app: &str, name: &str, labels: &str, next: &str) -> String {
    format!(
        "apiVersion: wattle.io/v1alpha1\nkind: Process\nmetadata: {{name: {name}, labels: {{app: {app}, version: {name}{labels}}}}}\n\
         spec:\n  command: [python3, flaky.py, {name}, '8000', '{next}']\n  serviceAccountName: {app}\n  \
         ports: [{{name: http, port: 8000}}]\n  \
         readiness: {{httpGet: {{path: /health, port: 8000}}, periodSeconds: 1, failureThreshold: 60}}\n---\n"
    )
}

/// A Service for the servers of an app.
pub(crate) fn service(app: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {app}}}\n\
         spec: {{selector: {{app: {app}}}, ports: [{{name: http, port: 8000}}]}}\n---\n"
    )
}

/// Who asks; `labels` as above.
pub(crate) fn client(labels: &str) -> String {
    format!(
        "apiVersion: wattle.io/v1alpha1\nkind: Process\nmetadata: {{name: client, labels: {{app: client{labels}}}}}\n\
         spec: {{command: [sleep, '86400'], serviceAccountName: client}}\n---\n"
    )
}

impl World {
    /// Starts copies of `flaky`, each with its further labels, and a client under these policies; nothing where the
    /// machine lacks what that needs.
    pub(crate) fn start(copies: &[(&str, &str)], client_labels: &str, policies: &str) -> Option<Self> {
        let copy = |(name, labels): &(&str, &str)| process("flaky", name, labels, "");
        let servers: String = copies.iter().map(copy).collect();
        let names: Vec<_> = copies.iter().map(|(name, _)| *name).collect();
        let rest = service("flaky") + &client(client_labels) + policies;
        let world = Self::of(&(servers + &rest), &names)?;
        world.wait_until_all_answer(copies.len() * 8);
        Some(world)
    }

    /// Starts a mesh of these manifests, which has a Service `flaky` and a client, and waits for the servers named.
    pub(crate) fn of(manifests: &str, servers: &[&str]) -> Option<Self> {
        if lacks(&[Need::Root, Need::Program("python3")]) {
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/flaky.py");
        std::fs::copy(script, directory.path().join("flaky.py")).unwrap();
        std::fs::write(directory.path().join("mesh.yaml"), manifests).unwrap();
        let mesh = Mesh::up(WATTLE, directory.path());
        for name in servers {
            mesh.wait_ready(name);
            mesh.wait_endpoint(name);
        }
        mesh.wait_ready("client");
        let server = SocketAddr::new(mesh.service("flaky"), 8000);
        Some(Self {
            mesh,
            directory,
            server,
        })
    }

    /// Waits until that many requests in a row are answered well.
    pub(crate) fn wait_until_all_answer(&self, requests: usize) {
        eventually(&format!("{requests} requests are answered"), PATIENCE, || {
            let well = |number| {
                let answer = self.try_get(&format!("/?key=warm-{number}"));
                answer.is_some_and(|(status, _)| status == 200)
            };
            (0..requests).all(well).then_some(())
        });
    }

    /// Deletes a file of manifests of the mesh.
    pub(crate) fn remove(&self, name: &str) {
        std::fs::remove_file(self.directory.path().join(name)).unwrap();
    }

    /// Adds a file of manifests to the mesh.
    pub(crate) fn write(&self, name: &str, manifests: &str) {
        std::fs::write(self.directory.path().join(name), manifests).unwrap();
    }

    pub(crate) fn client(&self) -> Spot {
        Spot::of(self.mesh.proxy("client").pid)
    }

    pub(crate) fn try_get(&self, target: &str) -> Option<(u16, Value)> {
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
    pub(crate) fn send(&self, method: &str, target: &str, body: usize) -> (u16, Value) {
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

    pub(crate) fn get(&self, target: &str) -> (u16, Value) {
        self.send("GET", target, 0)
    }

    /// How often each server gave each status to `requests` requests.
    pub(crate) fn count(&self, requests: usize) -> BTreeMap<(String, u16), u32> {
        let mut counts = BTreeMap::new();
        for _ in 0..requests {
            let (status, body) = self.get("/?key=count");
            let name = body["name"].as_str().unwrap_or_default().to_owned();
            *counts.entry((name, status)).or_default() += 1;
        }
        counts
    }

    /// Tells a server to fail, or to be well again, past the Service: nobody else reaches one that is left out.
    pub(crate) fn tell(&self, name: &str, sick: bool) {
        let address = SocketAddr::new(self.mesh.process(name).address.unwrap(), 8000);
        let target = format!("/?key=tell&sick={}", u8::from(sick));
        let told = self
            .client()
            .enter(|| ask(address, &Request::get("flaky:8000", &target)))
            .unwrap();
        assert_eq!(told.status, 200);
    }

    /// How often a server was asked for a key, told by itself past the Service.
    pub(crate) fn asked(&self, name: &str, key: &str) -> u64 {
        let address = SocketAddr::new(self.mesh.process(name).address.unwrap(), 8000);
        let request = Request::get("flaky:8000", &format!("/health?key={key}"));
        let told = self.client().enter(|| ask(address, &request)).unwrap();
        assert_eq!(told.status, 200, "{name}: {}", told.text());
        let body: Value = serde_json::from_slice(&told.body).unwrap();
        body["asked"].as_u64().unwrap() - 1
    }
}

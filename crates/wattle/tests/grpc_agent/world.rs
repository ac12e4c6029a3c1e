//! A mesh, and in it workloads without a proxy: their agents, and their programs.

use std::fs::{self, File};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use wattle_testkit::{Mesh, Request, ask, eventually};

use crate::support::{Manifests, STRICT, bare_workload};

const WATTLE: &str = env!("CARGO_BIN_EXE_wattle");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/xds.py");
/// Longest wait for anything, on a busy machine and without optimisation.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);
/// Rounds of calls in which a program that looks for new files every second has looked.
const ROUNDS: usize = 60;

/// Calls are taken of `program` and `other` alone.
const ONLY_THESE: &str = "
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: only-these}
spec:
  action: ALLOW
  rules:
  - from: [{source: {principals: [cluster.local/ns/default/sa/program, cluster.local/ns/default/sa/other]}}]
";

const ONE: &str = "
apiVersion: wattle.io/v1alpha1
kind: Process
metadata: {name: one, labels: {app: one}}
spec:
  command: [sh, -c, 'exec \"$WATTLE_PYTHON\" xds.py serve one 9000']
  serviceAccountName: one
  ports: [{name: calls, port: 9000, appProtocol: grpc}]
  readiness: {tcpSocket: {port: 9000}, periodSeconds: 1, failureThreshold: 60}
---
apiVersion: v1
kind: Service
metadata: {name: one}
spec: {selector: {app: one}, ports: [{name: calls, port: 9000, appProtocol: grpc}]}
";

/// An agent, and where it runs; it ends when it is dropped.
pub(crate) struct Agent<'a> {
    mesh: &'a Mesh,
    place: &'static str,
    child: Child,
    home: TempDir,
}

impl<'a> Agent<'a> {
    /// In the place of a workload without a proxy, for an instance of this name and account.
    pub(crate) fn start(mesh: &'a Mesh, place: &'static str, instance: &str, account: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let token = home.path().join("token");
        fs::write(&token, join_token(mesh, account)).unwrap();
        let words = mesh.proxy("one").words;
        let control = words.iter().skip_while(|word| *word != "--control").nth(1);
        let child = mesh
            .spot(place)
            .command(WATTLE)
            .args([
                "agent",
                "--id",
                &format!("spiffe://cluster.local/ns/default/sa/{account}"),
            ])
            .args(["--instance", instance, "--control", control.unwrap()])
            .arg("--roots")
            .arg(mesh.state().join("roots.pem"))
            .arg("--token")
            .arg(token)
            .arg("--state")
            .arg(home.path().join("state"))
            .stderr(File::create(home.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let agent = Self {
            mesh,
            place,
            child,
            home,
        };
        eventually("the agent is ready", PATIENCE, || {
            (agent.page("GET", "/ready")?.0 == 200).then_some(())
        });
        agent
    }

    fn page(&self, method: &str, path: &str) -> Option<(u16, Vec<u8>)> {
        let request = Request {
            method: method.to_owned(),
            ..Request::get("agent", path)
        };
        let admin = SocketAddr::from(([127, 0, 0, 1], 15000));
        let answer = self.mesh.spot(self.place).enter(|| ask(admin, &request)).ok()?;
        Some((answer.status, answer.body))
    }

    fn renewals(&self) -> Option<u64> {
        let (_, body) = self.page("GET", "/status")?;
        serde_json::from_slice::<Value>(&body).ok()?["certificate"]["renewals"].as_u64()
    }

    pub(crate) fn renew(&self) {
        let before = self.renewals().unwrap();
        assert_eq!(self.page("POST", "/renew").unwrap().0, 200);
        eventually("a new certificate", PATIENCE, || {
            self.renewals().filter(|now| *now > before)
        });
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.home.path().join("state")
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.home.path().join("log")).unwrap()
    }
}

impl Drop for Agent<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- agent ---\n{}", self.log());
        }
    }
}

fn join_token(mesh: &Mesh, account: &str) -> String {
    let given = mesh.wattle(&["token", &format!("default/{account}"), "--ttl", "1m"]);
    assert!(given.status.success(), "{given:?}");
    String::from_utf8(given.stdout).unwrap().trim().to_owned()
}

/// A program; it ends when it is dropped.
pub(crate) struct Program {
    child: Child,
    said: tempfile::NamedTempFile,
}

impl Program {
    /// Runs the script with these arguments, in the agent's place and under its bootstrap.
    pub(crate) fn start(agent: &Agent<'_>, arguments: &[&str]) -> Self {
        let bootstrap = agent.state().join("programs/grpc.json");
        Self::start_at(agent.mesh, agent.place, &bootstrap, arguments)
    }

    /// The same in a workload's place, with whatever bootstrap is there.
    pub(crate) fn start_at(mesh: &Mesh, place: &str, bootstrap: &Path, arguments: &[&str]) -> Self {
        let said = tempfile::NamedTempFile::new().unwrap();
        let python = std::env::var("WATTLE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let child = mesh
            .spot(place)
            .command(&python)
            .arg(SCRIPT)
            .args(arguments)
            .env("GRPC_XDS_BOOTSTRAP", bootstrap)
            .stdin(Stdio::null())
            .stdout(said.reopen().unwrap())
            .spawn()
            .unwrap();
        Self { child, said }
    }

    /// Whole lines: one for each round of calls that has ended.
    pub(crate) fn rounds(&self) -> Vec<String> {
        let said = fs::read_to_string(self.said.path()).unwrap();
        let whole = said.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(str::to_owned).collect()
    }

    #[track_caller]
    pub(crate) fn calls_on(&self) {
        let before = self.rounds().len();
        eventually("the program calls on", PATIENCE, || {
            (self.rounds().len() >= before + ROUNDS).then_some(())
        });
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A workload `guard` at this address, that is reached by mutual TLS without a proxy, and its Service.
pub(crate) fn guard(address: IpAddr) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata:\n  name: guard\n  labels: {{app: guard}}\n  \
         annotations: {{wattle.io/proxy: enabled}}\nspec:\n  address: {address}\n  serviceAccount: guard\n  \
         labels: {{app: guard}}\n  ports: {{calls: 9000}}\n---\napiVersion: v1\nkind: Service\nmetadata: {{name: guard}}\n\
         spec: {{selector: {{app: guard}}, ports: [{{name: calls, port: 9000, appProtocol: grpc}}]}}\n"
    )
}

/// A mesh in which all take calls of `program` and `other` alone, and `program`, `stranger` and `vm` have no proxy.
pub(crate) fn mesh(manifests: &Manifests) -> Mesh {
    fs::copy(SCRIPT, manifests.path().join("xds.py")).unwrap();
    let mesh = Mesh::up(WATTLE, manifests.path());
    for name in ["one", "other", "program", "stranger", "vm"] {
        mesh.wait_ready(name);
    }
    mesh.wait_synced(2);
    mesh
}

pub(crate) fn manifests() -> Manifests {
    Manifests::new(&[
        ("strict.yaml", STRICT),
        ("policy.yaml", ONLY_THESE),
        ("one.yaml", ONE),
        ("other.yaml", &bare_workload("other", "{enabled: true}")),
        ("program.yaml", &bare_workload("program", "{enabled: false}")),
        ("stranger.yaml", &bare_workload("stranger", "{enabled: false}")),
        ("vm.yaml", &bare_workload("vm", "{enabled: false}")),
    ])
}

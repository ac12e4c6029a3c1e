//! A gRPC program without a proxy, with `wattle agent` beside it: Python's grpcio finds discovery, certificate and key by the
//! bootstrap alone, and misses nothing when they are replaced.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;
use support::{Manifests, STRICT, bare_workload};
use tempfile::TempDir;
use wattle_testkit::{Conversation, Mesh, Need, Request, ask, eventually, lacks};

const WATTLE: &str = env!("CARGO_BIN_EXE_wattle");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/xds.py");
/// Longest wait for anything, on a busy machine and without optimisation.
const PATIENCE: Duration = Duration::from_secs(90);
/// Rounds of calls in which a program that looks for new files every second has looked.
const ROUNDS: usize = 60;

/// Calls are taken of `program` alone.
const ONLY_PROGRAM: &str = "
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: only-program}
spec:
  action: ALLOW
  rules: [{from: [{source: {principals: [cluster.local/ns/default/sa/program]}}]}]
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

/// The agent, in the place of the workload `program`; it ends when it is dropped.
struct Agent<'a> {
    mesh: &'a Mesh,
    child: Child,
    home: TempDir,
}

impl<'a> Agent<'a> {
    fn start(mesh: &'a Mesh) -> Self {
        let home = tempfile::tempdir().unwrap();
        let token = home.path().join("token");
        fs::write(&token, join_token(mesh, "program")).unwrap();
        let words = mesh.proxy("one").words;
        let control = words.iter().skip_while(|word| *word != "--control").nth(1);
        let child = mesh
            .spot("program")
            .command(WATTLE)
            .args(["agent", "--id", "spiffe://cluster.local/ns/default/sa/program"])
            // A workload without a proxy has no identity in the mesh, and so nobody may speak in its name.
            .args(["--instance", "grpc-program", "--control", control.unwrap()])
            .arg("--roots")
            .arg(mesh.state().join("roots.pem"))
            .arg("--token")
            .arg(token)
            .arg("--state")
            .arg(home.path().join("state"))
            .stderr(File::create(home.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let agent = Self { mesh, child, home };
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
        let answer = self.mesh.spot("program").enter(|| ask(admin, &request)).ok()?;
        Some((answer.status, answer.body))
    }

    fn renewals(&self) -> Option<u64> {
        let (_, body) = self.page("GET", "/status")?;
        serde_json::from_slice::<Value>(&body).ok()?["certificate"]["renewals"].as_u64()
    }

    fn renew(&self) {
        let before = self.renewals().unwrap();
        assert_eq!(self.page("POST", "/renew").unwrap().0, 200);
        eventually("a new certificate", PATIENCE, || {
            self.renewals().filter(|now| *now > before)
        });
    }

    fn state(&self) -> std::path::PathBuf {
        self.home.path().join("state")
    }

    fn log(&self) -> String {
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
    let request = Request {
        method: "POST".to_owned(),
        body: format!(r#"{{"namespace":"default","serviceAccount":"{account}"}}"#).into_bytes(),
        ..Request::get("wattle", "/tokens")
    };
    let socket = mesh.state().join("control/admin.sock");
    let answer = Conversation::unix(&socket).unwrap().send(&request).unwrap();
    let given: Value = serde_json::from_slice(&answer.body).unwrap();
    given["token"].as_str().unwrap().to_owned()
}

/// The program; it ends when it is dropped.
struct Program {
    child: Child,
    said: tempfile::NamedTempFile,
}

impl Program {
    /// Runs the script with these arguments, in the place of the workload `program` and under the agent's bootstrap.
    fn start(agent: &Agent<'_>, arguments: &[&str]) -> Self {
        let said = tempfile::NamedTempFile::new().unwrap();
        let python = std::env::var("WATTLE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let child = agent
            .mesh
            .spot("program")
            .command(&python)
            .arg(SCRIPT)
            .args(arguments)
            .env("GRPC_XDS_BOOTSTRAP", agent.state().join("programs/grpc.json"))
            .stdin(Stdio::null())
            .stdout(said.reopen().unwrap())
            .spawn()
            .unwrap();
        Self { child, said }
    }

    /// Whole lines: one for each round of calls that has ended.
    fn rounds(&self) -> Vec<String> {
        let said = fs::read_to_string(self.said.path()).unwrap();
        let whole = said.rsplit_once('\n').map_or("", |(whole, _)| whole);
        whole.lines().map(str::to_owned).collect()
    }

    #[track_caller]
    fn calls_on(&self) {
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

/// A mesh in which `one` takes calls of `program` alone; that has no proxy.
fn mesh(manifests: &Manifests) -> Mesh {
    fs::copy(SCRIPT, manifests.path().join("xds.py")).unwrap();
    let mesh = Mesh::up(WATTLE, manifests.path());
    for name in ["one", "other", "program"] {
        mesh.wait_ready(name);
    }
    mesh.wait_synced(2);
    mesh
}

fn manifests() -> Manifests {
    Manifests::new(&[
        ("strict.yaml", STRICT),
        ("policy.yaml", ONLY_PROGRAM),
        ("one.yaml", ONE),
        ("other.yaml", &bare_workload("other", "{enabled: true}")),
        ("program.yaml", &bare_workload("program", "{enabled: false}")),
    ])
}

/// Everything below a directory that others than its owner may read, by its name.
fn open_to_others(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
    let mut found = Vec::new();
    for entry in entries {
        let metadata = entry.metadata().unwrap();
        if !metadata.is_symlink() && metadata.permissions().mode() & 0o077 != 0 {
            found.push(entry.path().display().to_string());
        }
        if metadata.is_dir() {
            found.extend(open_to_others(&entry.path()));
        }
    }
    found
}

#[test]
fn a_program_calls_over_mutual_tls_and_no_call_fails_while_its_certificate_and_the_root_are_replaced() {
    if lacks(&[Need::Root, Need::Python("grpc")]) {
        return;
    }
    let manifests = manifests();
    let mesh = mesh(&manifests);
    let agent = Agent::start(&mesh);
    assert_eq!(open_to_others(agent.home.path().join("state").as_path()), [""; 0]);
    let program = Program::start(&agent, &["keep", "one:9000"]);
    program.calls_on();

    agent.renew();
    program.calls_on();

    let begun = mesh.wattle(&["rotate", "root"]);
    assert!(
        begun.status.success(),
        "{}",
        String::from_utf8_lossy(&begun.stderr)
    );
    eventually("the new issuer signs", PATIENCE, || {
        (mesh.control("/rotation")?["stage"] == "renewing").then_some(())
    });
    agent.renew();
    program.calls_on();
    for instance in ["one", "other"] {
        mesh.renew_certificate(instance);
    }
    eventually("the new root alone is believed", PATIENCE, || {
        (mesh.control("/rotation")?["stage"] == "steady").then_some(())
    });
    program.calls_on();

    let mut rounds = program.rounds();
    rounds.dedup();
    assert_eq!(rounds, ["one one"]);
    assert!(!agent.log().contains("PRIVATE KEY"));
    drop(program);
    drop(agent);
    mesh.stop();
}

#[test]
fn a_server_that_leaves_its_security_to_the_mesh_takes_no_plaintext() {
    if lacks(&[Need::Root, Need::Python("grpc")]) {
        return;
    }
    let manifests = manifests();
    let mesh = mesh(&manifests);
    let agent = Agent::start(&mesh);
    let server = Program::start(&agent, &["guard", "9000"]);
    eventually("the server has started", PATIENCE, || {
        (server.rounds() == ["started"]).then_some(())
    });
    let caller = Program::start(&agent, &["knock", "127.0.0.1:9000"]);
    caller.calls_on();
    assert!(!caller.rounds().iter().any(|round| round.contains("guard")));
    drop((caller, server, agent));
    mesh.stop();
}

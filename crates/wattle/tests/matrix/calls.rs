//! gRPC by a library of others, Python's grpcio: who calls with it, and what a call comes to.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;
use wattle_envoy::bootstrap;
use wattle_testkit::Spot;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/xds.py");
/// Where the script brings discovery to in its own network namespace.
const DISCOVERY: ([u8; 4], u16) = ([127, 0, 0, 1], 15010);

/// What a call came to.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Said {
    /// The application's answer.
    pub(crate) answer: Option<String>,
    /// Otherwise the status, by its name.
    pub(crate) code: Option<String>,
    /// Why, where the mesh says so.
    pub(crate) reason: Option<String>,
    details: Option<String>,
}

impl Said {
    /// The status and the mesh's reason, or the answer.
    pub(crate) fn outcome(&self) -> String {
        match &self.answer {
            Some(answer) => format!("answered {answer}"),
            None => [&self.code, &self.reason]
                .into_iter()
                .flatten()
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(" "),
        }
    }
}

/// One process that makes call after call; it ends when it is dropped.
pub(crate) struct Caller {
    child: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Under which discovery is had.
    _genuine: Option<TempDir>,
}

impl Caller {
    /// At this place; with discovery of the control plane at `control` under the genuine certificate in a directory, if it
    /// is to call over xDS.
    pub(crate) fn start(spot: &Spot, discovery: Option<(&str, TempDir)>) -> Self {
        let mut command = script(spot);
        command.arg("ask");
        if let Some((control, genuine)) = &discovery {
            command.arg(control).arg(genuine.path());
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            questions: child.stdin.take().unwrap(),
            answers: BufReader::new(child.stdout.take().unwrap()),
            child,
            _genuine: discovery.map(|(_, genuine)| genuine),
        }
    }

    /// In the clear, as far as the library knows.
    pub(crate) fn call(&mut self, address: SocketAddr) -> Said {
        self.ask(&json!({ "target": address.to_string() }))
    }

    /// With the library's TLS and the certificate in a directory, without discovery.
    pub(crate) fn call_over_tls(&mut self, address: SocketAddr, certificates: &Path) -> Said {
        let read = |name| fs::read_to_string(certificates.join(name)).unwrap();
        self.ask(&json!({
            "target": address.to_string(),
            "roots": read("ca.crt"),
            "chain": read("tls.crt"),
            "key": read("tls.key"),
        }))
    }

    /// As the mesh says over xDS, with the certificate in a directory: mutual TLS to exactly the expected name.
    pub(crate) fn call_over_xds(&mut self, service: &str, certificates: &Path) -> Said {
        let program = bootstrap::Grpc {
            // Nobody's: who has a workload's name has its proxy too.
            node: "default/grpc-caller",
            server: SocketAddr::from(DISCOVERY),
            certificates: Some(certificates),
        };
        let bootstrap = program.bootstrap().to_string();
        self.ask(&json!({ "target": format!("xds:///{service}"), "bootstrap": bootstrap }))
    }

    fn ask(&mut self, question: &Value) -> Said {
        writeln!(self.questions, "{question}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: `{line}`"))
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// A server that says its name, and keeps count of its calls; it ends when it is dropped.
pub(crate) struct Answering {
    child: Child,
    calls: tempfile::NamedTempFile,
}

impl Answering {
    pub(crate) fn start(spot: &Spot, name: &str, port: u16) -> Self {
        let calls = tempfile::NamedTempFile::new().unwrap();
        let mut command = script(spot);
        command.args(["serve", name, &port.to_string()]).arg(calls.path());
        let child = command.stdin(Stdio::null()).spawn().unwrap();
        Self { child, calls }
    }

    pub(crate) fn calls(&self) -> u64 {
        let written = fs::read_to_string(self.calls.path()).unwrap();
        u64::try_from(written.lines().count()).unwrap()
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn script(spot: &Spot) -> Command {
    let python = std::env::var("WATTLE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut command = spot.command(&python);
    command.arg(SCRIPT);
    command
}

fn end(child: &mut Child) {
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}

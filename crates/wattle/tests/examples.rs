//! Real programs nobody here wrote talk through the mesh, unchanged; nothing of what they say can be read on the wire.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use wattle_testkit::{Mesh, Need, Request, Spot, ask, eventually, lacks};

const WATTLE: &str = env!("CARGO_BIN_EXE_wattle");
/// Longest wait for a client to finish, on a busy machine and without optimisation.
const PATIENCE: Duration = Duration::from_secs(240);

fn directory(example: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../examples")
        .join(example)
        .canonicalize()
        .unwrap()
}

/// Starts an example, waits for these clients and asserts that each ended well.
#[track_caller]
fn run(example: &str, clients: &[&str]) -> Mesh {
    let mesh = Mesh::up(WATTLE, &directory(example));
    for client in clients {
        assert_eq!(
            mesh.wait_exit(client, PATIENCE),
            0,
            "{client}: {}",
            mesh.log(&format!("default.{client}.log"))
        );
    }
    mesh
}

/// Asserts that `wattle stat` shows the edge, that it was secured and that something passed.
#[track_caller]
fn assert_secured_edge(mesh: &Mesh, destination: &str, protocol: &str) {
    let stat = mesh.wattle_json(&["stat"]);
    let edges = stat["edges"]
        .as_array()
        .unwrap_or_else(|| panic!("no edges in {stat}"));
    let is_it = |edge: &&Value| {
        edge["source"] == "client" && edge["destination"] == destination && edge["protocol"] == protocol
    };
    let found: Vec<_> = edges.iter().filter(is_it).collect();
    assert!(
        !found.is_empty(),
        "no {protocol} edge from client to {destination} in {stat:#}"
    );
    assert!(found.iter().all(|edge| edge["mtls"] == true), "{found:#?}");
}

#[test]
fn redis_runs_through_the_mesh_and_an_intruder_is_cut_off() {
    if lacks(&[
        Need::Root,
        Need::Program("redis-server"),
        Need::Program("redis-cli"),
        Need::Program("tshark"),
    ]) {
        return;
    }
    let mesh = run("redis", &["client", "intruder"]);
    assert_secured_edge(&mesh, "redis", "tcp");
    let secret = "cardamom-4711";
    let server = SocketAddr::new(mesh.service("redis"), 6379);
    let wire = Wire::record(&mesh);
    let answer = Spot::of(mesh.proxy("client").pid).enter(|| {
        let mut stream = TcpStream::connect(server).unwrap();
        let command = format!("*2\r\n$4\r\nECHO\r\n${}\r\n{secret}\r\n", secret.len());
        stream.write_all(command.as_bytes()).unwrap();
        let mut answer = vec![0; secret.len() + 7];
        stream.read_exact(&mut answer).unwrap();
        String::from_utf8(answer).unwrap()
    });
    assert!(answer.contains(secret), "{answer}");
    wire.assert_secret(&mesh, "redis", secret);
    mesh.stop();
}

#[test]
fn nginx_runs_through_the_mesh_and_policy_holds() {
    if lacks(&[
        Need::Root,
        Need::Program("nginx"),
        Need::Program("h2load"),
        Need::Program("curl"),
        Need::Program("tshark"),
    ]) {
        return;
    }
    let mesh = run("nginx", &["client"]);
    assert_secured_edge(&mesh, "nginx", "http");
    let server = SocketAddr::new(mesh.service("nginx"), 80);
    let secret = "saffron-4711";
    let request = Request {
        headers: vec![("X-One".to_owned(), secret.to_owned())],
        ..Request::get("nginx", "/headers")
    };
    let wire = Wire::record(&mesh);
    // A kept connection would show no handshake; one with the old certificate is not kept.
    mesh.renew_certificate("client");
    let answer = Spot::of(mesh.proxy("client").pid)
        .enter(|| ask(server, &request))
        .unwrap();
    assert_eq!((answer.status, answer.text().trim()), (200, "saffron-4711|nginx"));
    wire.assert_secret(&mesh, "nginx", secret);
    assert_no_spelling_gets_around(&mesh, server);
    mesh.stop();
}

/// nginx serves `/private/diary` under each of these spellings, so each must be denied.
#[track_caller]
fn assert_no_spelling_gets_around(mesh: &Mesh, server: SocketAddr) {
    let client = Spot::of(mesh.proxy("client").pid);
    for target in [
        "/private/diary",
        "/x/../private/diary",
        "/./private/diary",
        "//private/diary",
        "/%70rivate/diary",
        "/private%2fdiary",
        "/x/%2e%2e/private/diary",
        "http://nginx/private/diary",
    ] {
        let answer = client
            .enter(|| ask(server, &Request::get("nginx", target)))
            .unwrap();
        assert_eq!(
            (answer.status, answer.header("wattle-reason")),
            (403, Some("policy_denied")),
            "{target}"
        );
    }
}

#[test]
fn postgres_runs_through_the_mesh() {
    if lacks(&[
        Need::Root,
        Need::Postgres,
        Need::Program("psql"),
        Need::Program("pgbench"),
    ]) {
        return;
    }
    let mesh = run("postgres", &["client"]);
    assert_secured_edge(&mesh, "postgres", "tcp");
    mesh.stop();
}

#[test]
fn mariadb_which_speaks_first_runs_through_the_mesh_without_a_stall() {
    if lacks(&[Need::Root, Need::Program("mariadbd"), Need::Program("mariadb")]) {
        return;
    }
    let mesh = run("mariadb", &["client"]);
    assert_secured_edge(&mesh, "mariadb", "tcp");
    mesh.stop();
}

#[test]
fn grpc_of_every_kind_runs_through_the_mesh() {
    if lacks(&[Need::Root, Need::Python("grpc_tools")]) {
        return;
    }
    let mesh = run("grpc", &["client"]);
    assert_secured_edge(&mesh, "grpc", "grpc");
    mesh.stop();
}

#[test]
fn websockets_run_through_the_mesh() {
    if lacks(&[Need::Root, Need::Python("websockets")]) {
        return;
    }
    let mesh = run("websocket", &["client"]);
    assert_secured_edge(&mesh, "websocket", "http");
    mesh.stop();
}

/// What passes the bridge between workloads, as tshark records it there.
struct Wire {
    tshark: Child,
    file: PathBuf,
    _directory: tempfile::TempDir,
}

impl Wire {
    /// Starts recording.
    fn record(mesh: &Mesh) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("wire.pcapng");
        let mut command = Command::new("tshark");
        command.args(["-Q", "-i", "any", "-w"]).arg(&file);
        let mut tshark = mesh.bridge().enter(|| {
            command
                .stderr(Stdio::piped())
                .stdout(Stdio::null())
                .process_group(0)
                .spawn()
                .unwrap()
        });
        // A capture has begun when its file has its first block.
        eventually("tshark records", Duration::from_secs(30), || {
            assert!(
                tshark.try_wait().unwrap().is_none(),
                "tshark: {}",
                stderr(&mut tshark)
            );
            fs::metadata(&file).ok().filter(|found| found.len() > 0).map(drop)
        });
        Self {
            tshark,
            file,
            _directory: directory,
        }
    }

    /// Ends the recording; asserts that this instance chose TLS 1.3 in it, and that what was said is nowhere in it.
    #[track_caller]
    fn assert_secret(mut self, mesh: &Mesh, instance: &str, secret: &str) {
        let server = format!("ip.src == {}", mesh.process(instance).address.unwrap());
        let hello = format!("{server} && tls.handshake.type == 2");
        let version = "tls.handshake.extensions.supported_version";
        eventually(
            "the server's greeting is recorded",
            Duration::from_secs(30),
            || (!self.select(&hello, version).is_empty()).then_some(()),
        );
        interrupt(&self.tshark);
        self.tshark.wait().unwrap();
        let versions = self.select(&hello, version);
        assert!(
            versions.lines().all(|version| version == "0x0304"),
            "versions that it chose: {versions}"
        );
        let data = self.select(&format!("{server} && tls.app_data"), "frame.number");
        assert!(data.lines().count() > 0, "no application data");
        let recorded = fs::read(&self.file).unwrap();
        assert!(
            !is_in(secret, &recorded),
            "`{secret}` passed the bridge in the clear"
        );
        // What is never encrypted is found, so the search works.
        assert!(is_in("istio", &recorded), "the names of protocols in a greeting");
    }

    fn select(&self, filter: &str, field: &str) -> String {
        let mut command = Command::new("tshark");
        command
            .arg("-r")
            .arg(&self.file)
            .args(["-Y", filter, "-T", "fields", "-e", field]);
        // Nothing but the ports of workloads: TLS is looked for wherever bytes look like it.
        let output = command
            .args(["-o", "tcp.try_heuristic_first:TRUE"])
            .stderr(Stdio::null())
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

fn is_in(text: &str, bytes: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn interrupt(child: &Child) {
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw)
        .unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
}

fn stderr(child: &mut Child) -> String {
    let lines = child.stderr.take().map(|pipe| {
        BufReader::new(pipe)
            .lines()
            .map_while(Result::ok)
            .collect::<Vec<_>>()
    });
    lines.unwrap_or_default().join("\n")
}

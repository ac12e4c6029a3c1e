//! Questions about what a running mesh lets in are answered with what it really does.
#![allow(clippy::unwrap_used)]

mod support;

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use support::{Manifests, STRICT, workload};
use wattle_testkit::{Answer, Echo, Mesh, Need, Request, ask, eventually, lacks};

const WATTLE: &str = env!("CARGO_BIN_EXE_wattle");
const PATIENCE: Duration = Duration::from_secs(30);
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Only `page` may read.
const READERS: &str = "
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: readers}
spec:
  selector: {matchLabels: {app: server}}
  rules:
  - from: [{source: {principals: [cluster.local/ns/default/sa/page]}}]
    to: [{operation: {methods: [GET]}}]
";

struct World {
    mesh: Mesh,
    manifests: Manifests,
    server: SocketAddr,
}

impl World {
    fn start() -> Self {
        let all = ["server", "page", "guest"]
            .map(|name| workload(name, "{}"))
            .concat();
        let manifests = Manifests::new(&[
            ("mesh.yaml", &all),
            ("strict.yaml", STRICT),
            ("readers.yaml", READERS),
        ]);
        let mesh = Mesh::up_with(WATTLE, manifests.path(), &["--access-log"]);
        for name in ["server", "page", "guest"] {
            mesh.wait_ready(name);
        }
        mesh.wait_endpoint("server");
        Echo::start(&mesh.spot("server"), 8080, "server").unwrap();
        let server = SocketAddr::new(mesh.service("server"), 80);
        let world = Self {
            mesh,
            manifests,
            server,
        };
        eventually("the policy lets the reader in", PATIENCE, || {
            (world.send("page", &Request::get("server", "/")).status == 200).then_some(())
        });
        world
    }

    fn send(&self, from: &str, request: &Request) -> Answer {
        let server = self.server;
        self.mesh.spot(from).enter(|| ask(server, request)).unwrap()
    }

    /// A request of the guest that is refused; gives the id.
    fn refused(&self) -> String {
        let traceparent = format!("00-{TRACE}-00f067aa0ba902b7-01");
        let request = Request {
            headers: vec![("traceparent".to_owned(), traceparent)],
            ..Request::get("server", "/secret")
        };
        let answer = self.send("guest", &request);
        assert_eq!(
            (answer.status, answer.header("wattle-reason")),
            (403, Some("policy_not_allowed"))
        );
        answer.header("wattle-refusal").unwrap().to_owned()
    }

    /// The line of a workload's log with this refusal.
    fn line(&self, of: &str, refusal: &str) -> String {
        eventually(&format!("{of} has logged the refusal"), PATIENCE, || {
            let log = self.mesh.log(&format!("default.{of}.access.log"));
            log.lines().find(|line| line.contains(refusal)).map(str::to_owned)
        })
    }

    /// A command that reads this.
    fn reading(&self, arguments: &[&str], input: &str) -> Output {
        let mut child = Command::new(WATTLE)
            .args(arguments)
            .env("WATTLE_RUN_DIR", self.mesh.state().parent().unwrap())
            .env("WATTLE_MESH", self.mesh.state().file_name().unwrap())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }
}

fn said(output: &Output) -> String {
    let texts = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    texts.concat()
}

#[test]
fn what_was_refused_is_explained_by_id_by_trace_and_by_a_line_of_either_side() {
    if lacks(&[Need::Root]) {
        return;
    }
    let world = World::start();
    let id = world.refused();
    let asked = [
        world.mesh.wattle(&["why", &id]),
        world.mesh.wattle(&["why", TRACE]),
        world.reading(&["why", "-"], &world.line("server", &id)),
        world.reading(&["why", "-"], &world.line("guest", &id)),
    ];
    for answer in asked {
        let text = said(&answer);
        assert!(answer.status.success(), "{text}");
        for part in [
            &*id,
            "policy_not_allowed by AuthorizationPolicy default/readers",
            "readers.yaml:",
            "spiffe://cluster.local/ns/default/sa/guest",
            "GET server/secret",
            "add principal cluster.local/ns/default/sa/guest to rule 0 of AuthorizationPolicy default/readers",
            "now         the same",
        ] {
            assert!(text.contains(part), "no `{part}` in\n{text}");
        }
    }
    let line: Value = serde_json::from_str(&world.line("server", &id)).unwrap();
    assert_eq!(
        (&line["trace_id"], &line["reporter"]),
        (&TRACE.into(), &"destination".into())
    );
    let unknown = world.mesh.wattle(&["why", "0000000000000000"]);
    assert_eq!(unknown.status.code(), Some(1));
    world.mesh.stop();
}

#[test]
fn a_claim_is_proved_or_its_witness_gets_in() {
    if lacks(&[Need::Root]) {
        return;
    }
    let world = World::start();
    let prove = |claim: &str| world.mesh.wattle(&["policy", "prove", claim]);
    let proved = prove("nothing from default/guest reaches default/server on 8080");
    assert_eq!(proved.status.code(), Some(0), "{}", said(&proved));
    world.refused();
    let claim = "nothing from default/page reaches default/server on 8080";
    let refuted = prove(claim);
    assert_eq!(refuted.status.code(), Some(1), "{}", said(&refuted));
    let reach = world.mesh.wattle_json(&["policy", "prove", claim]);
    let witness = reach["workloads"][0]["witness"].as_str().unwrap().to_owned();
    // `PRINCIPAL: METHOD PATH on port PORT`
    let (who, what) = witness.split_once(": ").unwrap();
    assert_eq!(who, "cluster.local/ns/default/sa/page");
    let words: Vec<&str> = what.split(' ').collect();
    let [method, path, "on", "port", "8080"] = words[..] else {
        panic!("{witness}");
    };
    let request = Request {
        method: method.to_owned(),
        ..Request::get("server", path)
    };
    assert_eq!(world.send("page", &request).status, 200, "{witness}");
    // What is in force counts, not what the files say when they cannot be read.
    world.manifests.remove("readers.yaml");
    eventually("without the policy the guest gets in", PATIENCE, || {
        (world.send("guest", &Request::get("server", "/")).status == 200).then_some(())
    });
    let open = prove("nothing from default/guest reaches default/server on 8080");
    assert_eq!(open.status.code(), Some(1), "{}", said(&open));
    world.mesh.stop();
}

#[test]
fn a_candidate_is_checked_against_what_was_seen_and_what_was_seen_becomes_policies() {
    if lacks(&[Need::Root]) {
        return;
    }
    let world = World::start();
    let id = world.refused();
    let log = world.mesh.state().join("logs/default.server.access.log");
    world.line("server", &id);
    let check = |directory: &Manifests, log: Option<&str>| {
        let mut arguments = vec!["policy", "check", directory.path().to_str().unwrap()];
        arguments.extend(log.map(|log| ["--log", log]).into_iter().flatten());
        world.mesh.wattle(&arguments)
    };
    let all = ["server", "page", "guest"]
        .map(|name| workload(name, "{}"))
        .concat();
    let log = log.to_str().unwrap();
    let same = Manifests::new(&[
        ("mesh.yaml", &all),
        ("strict.yaml", STRICT),
        ("readers.yaml", READERS),
    ]);
    let unchanged = check(&same, Some(log));
    assert_eq!(unchanged.status.code(), Some(0), "{}", said(&unchanged));
    let open = Manifests::new(&[("mesh.yaml", &all), ("strict.yaml", STRICT)]);
    for seen in [Some(log), None] {
        let changed = check(&open, seen);
        let text = said(&changed);
        assert_eq!(changed.status.code(), Some(1), "{text}");
        assert!(
            text.contains("cluster.local/ns/default/sa/guest → default/server:8080 GET /secret"),
            "{text}"
        );
        assert!(text.contains("after  let in"), "{text}");
    }

    let generated = world.mesh.wattle(&["policy", "generate", "--log", log]);
    let policies = String::from_utf8_lossy(&generated.stdout).into_owned();
    assert!(generated.status.success(), "{}", said(&generated));
    let by_edges = world.mesh.wattle(&["policy", "generate"]);
    assert!(
        said(&by_edges).contains("cluster.local/ns/default/sa/page"),
        "{}",
        said(&by_edges)
    );
    assert!(!said(&by_edges).contains("sa/guest"), "{}", said(&by_edges));
    world.manifests.write("readers.yaml", &policies);
    let post = Request {
        method: "POST".to_owned(),
        ..Request::get("server", "/")
    };
    let proxied = || {
        world
            .mesh
            .wattle_json(&["get", "authorizationpolicies"])
            .to_string()
            .contains("observed-server")
    };
    eventually("the generated policy is in force", PATIENCE, || {
        proxied().then_some(())
    });
    world.mesh.wait_synced(3);
    assert_eq!(
        world.send("page", &Request::get("server", "/")).status,
        200,
        "{policies}"
    );
    assert_eq!(world.send("page", &post).status, 403, "{policies}");
    world.refused();
    world.mesh.stop();
}

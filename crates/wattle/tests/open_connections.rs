//! What is open when the mesh changes its mind about it: it ends, and nothing else does.
#![allow(clippy::unwrap_used)]

#[path = "support/forge.rs"]
mod forge;
mod support;

use std::io::{BufReader, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, SystemTime};

use forge::{Forger, Shameless, elsewhere};
use support::{Manifests, turned_away};
use wattle_identity::Svid;
use wattle_testkit::{Conversation, Echo, Mesh, Need, Request, Spot, eventually, lacks};

const WATTLE: &str = env!("CARGO_BIN_EXE_wattle");
const PATIENCE: Duration = Duration::from_secs(30);
const PORT: u16 = 8080;

const MESH: &str = "
apiVersion: wattle.io/v1alpha1
kind: Process
metadata: {name: server, labels: {app: server}}
spec:
  command: [sleep, '86400']
  serviceAccountName: server
  ports: [{name: http, port: 8080, appProtocol: http}, {name: raw, port: 9090, appProtocol: tcp}]
---
apiVersion: wattle.io/v1alpha1
kind: Process
metadata: {name: client}
spec: {command: [sleep, '86400'], serviceAccountName: client}
---
apiVersion: v1
kind: Service
metadata: {name: server}
spec:
  selector: {app: server}
  ports: [{name: http, port: 80, targetPort: 8080, appProtocol: http}]
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}
";

const NO_CHAT: &str = "
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: no-chat}
spec:
  selector: {matchLabels: {app: server}}
  action: DENY
  rules: [{to: [{operation: {paths: [/chat]}}]}]
";

#[test]
fn a_websocket_ends_when_policy_denies_the_request_that_it_began_as_and_no_other_does() {
    if lacks(&[Need::Root]) {
        return;
    }
    let manifests = Manifests::new(&[("mesh.yaml", MESH)]);
    let mesh = Mesh::up(WATTLE, manifests.path());
    mesh.wait_ready("server");
    mesh.wait_ready("client");
    say_back(&mesh.spot("server"));
    let address = SocketAddr::new(mesh.service("server"), 80);
    let open = |path: &str| {
        eventually("the server is reached", PATIENCE, || {
            let stream = mesh.spot("client").enter(|| TcpStream::connect(address)).ok()?;
            switched(stream, path)
        })
    };
    let (mut chat, mut other) = (open("/chat"), open("/other"));
    assert!(repeats(&mut chat) && repeats(&mut other));

    manifests.write("policy.yaml", NO_CHAT);
    match chat.read(&mut [0]) {
        Ok(bytes) => assert_eq!(bytes, 0),
        // Not the end of our patience.
        Err(error) => assert_ne!(error.kind(), ErrorKind::WouldBlock),
    }
    assert!(repeats(&mut other));
    let log = "default.server.proxy.log";
    mesh.wait_log(log, "connection ended: it is not let in any more");
    mesh.wait_log(log, "reason=\"policy_denied\"");
    mesh.stop();
}

/// A server that switches protocols on request, and then says everything back.
fn say_back(spot: &Spot) {
    let listener = spot.enter(|| TcpListener::bind(("0.0.0.0", PORT))).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                if head(&mut reader).is_some() {
                    let yes = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
                    stream.write_all(yes.as_bytes()).unwrap();
                    let _ = std::io::copy(&mut reader, &mut stream);
                }
            });
        }
    });
}

/// Asks for a WebSocket; `None` when there is none.
fn switched(mut stream: TcpStream, path: &str) -> Option<TcpStream> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let ask =
        format!("GET {path} HTTP/1.1\r\nhost: server\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n");
    stream.write_all(ask.as_bytes()).ok()?;
    // A byte at a time: what follows the head is not to be read ahead.
    let answer = head(&mut BufReader::with_capacity(1, stream.try_clone().unwrap()))?;
    answer.starts_with("HTTP/1.1 101").then_some(stream)
}

fn head(reader: &mut impl std::io::BufRead) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    Some(head)
}

fn repeats(stream: &mut TcpStream) -> bool {
    let mut word = [0];
    stream.write_all(b"x").is_ok() && stream.read_exact(&mut word).is_ok() && word == *b"x"
}

#[test]
fn connections_of_a_foreign_domain_end_when_its_roots_are_withdrawn_and_no_others_do() {
    if lacks(&[Need::Root]) {
        return;
    }
    let (roots, stranger) = elsewhere("elsewhere.example", "client");
    let (others, _) = elsewhere("elsewhere.example", "client");
    let federated = Manifests::new(&[("roots.pem", &roots.to_pem())]);
    let file = federated.path().join("roots.pem");
    let variable = format!("elsewhere.example={}", file.display());
    let manifests = Manifests::new(&[("mesh.yaml", MESH)]);
    let mesh = Mesh::up_in(
        WATTLE,
        manifests.path(),
        &[("WATTLE_CONTROL_FEDERATED", &variable)],
    );
    let addresses = [(PORT, "istio-http/1.1"), (9090, "istio")].map(|(port, token)| (at(&mesh, port), token));
    let _echoes = [PORT, 9090].map(|port| Echo::start(&mesh.spot("server"), port, "server").unwrap());
    let forger = Forger::of(&mesh);
    let genuine = forger.svid("client", SystemTime::now());
    let open = |svid: &Svid| {
        addresses.map(|(address, token)| {
            let stream = mesh.bridge().enter(|| TcpStream::connect(address).unwrap());
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            Conversation::on(forger.secure(stream, svid, "server", token))
        })
    };
    let request = Request::get("server", "/");
    let (mut ours, mut theirs) = (open(&genuine), open(&stranger));
    for conversation in ours.iter_mut().chain(&mut theirs) {
        assert_eq!(conversation.send(&request).unwrap().status, 200);
    }

    federated.write("roots.pem", &others.to_pem());
    for conversation in &mut theirs {
        eventually("the stranger's connection ends", PATIENCE, || {
            conversation.send(&request).err()
        });
    }
    for conversation in &mut ours {
        assert_eq!(conversation.send(&request).unwrap().status, 200);
    }
    let log = "default.server.proxy.log";
    mesh.wait_log(log, "peer is not believed any more: its connections end");
    mesh.wait_log(log, "connection ended: it is not let in any more peer=");
    assert!(forger.call(&mesh, addresses[0].0, &stranger).is_err());
    mesh.stop();
}

#[test]
fn a_federated_root_that_vouches_for_a_name_of_ours_is_not_believed() {
    if lacks(&[Need::Root]) {
        return;
    }
    let foreign = Shameless::new();
    let federated = Manifests::new(&[("roots.pem", foreign.pem())]);
    let variable = format!(
        "elsewhere.example={}",
        federated.path().join("roots.pem").display()
    );
    let manifests = Manifests::new(&[("mesh.yaml", MESH)]);
    let mesh = Mesh::up_in(
        WATTLE,
        manifests.path(),
        &[("WATTLE_CONTROL_FEDERATED", &variable)],
    );
    let address = at(&mesh, PORT);
    let echo = Echo::start(&mesh.spot("server"), PORT, "server").unwrap();
    let forger = Forger::of(&mesh);
    let own = foreign.svid("elsewhere.example", "client");
    eventually("it is believed for its own names", PATIENCE, || {
        forger
            .call(&mesh, address, &own)
            .ok()
            .filter(|status| *status == 200)
    });
    let served = echo.requests();
    let before = turned_away(&mesh, "server", "untrusted_issuer").unwrap_or(0);
    let pretended = foreign.svid("cluster.local", "client");
    assert!(forger.call(&mesh, address, &pretended).is_err());
    eventually("it is counted", PATIENCE, || {
        (turned_away(&mesh, "server", "untrusted_issuer")? == before + 1).then_some(())
    });
    assert_eq!(echo.requests(), served);
    mesh.stop();
}

fn at(mesh: &Mesh, port: u16) -> SocketAddr {
    SocketAddr::new(mesh.wait_ready("server").address.unwrap(), port)
}

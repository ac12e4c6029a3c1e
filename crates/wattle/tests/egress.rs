//! What leaves the mesh: a caller is taken at its word for a host only as far as DNS bears it out.
#![allow(clippy::unwrap_used)]

#[path = "egress/names.rs"]
mod names;
mod support;

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;
use support::Manifests;
use wattle_testkit::{
    Answer, Conversation, Echo, Mesh, Need, Request, Spot, ask, eventually, holds_for, lacks,
};

const WATTLE: &str = env!("CARGO_BIN_EXE_wattle");
const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than a client of an undeclared port is waited for.
const SILENCE: Duration = Duration::from_millis(200);
/// Where every mesh of a directory has its bridge, and here a resolver.
const BRIDGE: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 1);
/// Two addresses outside: of the bridge's network, and of nothing that the mesh knows.
const GOOD: Ipv4Addr = Ipv4Addr::new(10, 244, 250, 5);
const EVIL: Ipv4Addr = Ipv4Addr::new(10, 244, 250, 6);

const MESH: &str = "
apiVersion: wattle.io/v1alpha1
kind: Process
metadata: {name: client}
spec: {command: [sleep, '86400'], serviceAccountName: client}
---
apiVersion: wattle.io/v1alpha1
kind: EgressPolicy
metadata: {name: client}
spec:
  mode: RegistryOnly
  allow:
  - hosts: [good.test, '*.unknown.test']
    ports: [{port: 8080, protocol: HTTP}, {port: 8443, protocol: HTTPS}]
";

/// A program beside the test; ended when dropped.
struct Program(Child);

impl Program {
    fn start(spot: &Spot, program: &str, arguments: &[&str]) -> Self {
        let mut command = spot.command(program);
        let child = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null());
        Self(child.spawn().unwrap())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A resolver that knows these hosts.
fn resolver(mesh: &Mesh, hosts: &[(&str, IpAddr)]) -> Program {
    resolver_with(mesh, hosts, &[])
}

fn resolver_with(mesh: &Mesh, hosts: &[(&str, IpAddr)], more: &[&str]) -> Program {
    let listen = format!("--listen-address={BRIDGE}");
    let records = hosts
        .iter()
        .map(|(host, address)| format!("--host-record={host},{address}"));
    let records: Vec<_> = records.collect();
    let mut arguments = vec![
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--no-resolv",
        "--no-hosts",
        "--pid-file=",
        "--user=root",
        "--bind-interfaces",
        "--local=/test/",
        &listen,
    ];
    arguments.extend(records.iter().map(String::as_str));
    arguments.extend(more);
    Program::start(&mesh.bridge(), "dnsmasq", &arguments)
}

/// A server of HTTP and one of TLS, at an address that nobody in the mesh knows.
fn outside(bridge: &Spot, name: &str, address: Ipv4Addr) -> (Echo, Program) {
    let added = bridge.shell(&format!(
        "ip address add {address}/32 dev lo && ip link set lo up"
    ));
    assert!(
        added.status.success(),
        "{}",
        String::from_utf8_lossy(&added.stderr)
    );
    let script = format!(
        "cd $(mktemp -d) && openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key -out crt \
         -subj /CN={name} 2>/dev/null && exec openssl s_server -accept {address}:8443 -key key -cert crt -quiet"
    );
    let secured = Program::start(bridge, "sh", &["-c", &script]);
    (
        Echo::start_at(bridge, (address, 8080).into(), name).unwrap(),
        secured,
    )
}

fn name(answer: &Answer) -> String {
    let told: Value = serde_json::from_str(&answer.text()).unwrap_or_default();
    told["name"].as_str().unwrap_or_default().to_owned()
}

/// Whose certificate a client is shown that dials this address and asks for this name.
fn shown(spot: &Spot, address: SocketAddr, server_name: &str) -> String {
    let script = format!(
        "echo | timeout 10 openssl s_client -connect {address} -servername {server_name} 2>/dev/null | openssl x509 -noout -subject"
    );
    String::from_utf8(spot.shell(&script).stdout).unwrap()
}

#[test]
fn a_host_that_is_allowed_is_reached_where_dns_says_whatever_address_was_dialled() {
    let programs = ["dnsmasq", "openssl"].map(Need::Program);
    if lacks(&[&[Need::Root][..], &programs].concat()) {
        return;
    }
    let manifests = Manifests::new(&[("mesh.yaml", MESH)]);
    let mesh = Mesh::up_with(WATTLE, manifests.path(), &["--resolver", &BRIDGE.to_string()]);
    mesh.wait_ready("client");
    let _resolver = resolver(&mesh, &[("good.test", GOOD.into())]);
    let servers =
        [("good", GOOD), ("evil", EVIL)].map(|(name, address)| outside(&mesh.bridge(), name, address));
    let client = mesh.spot("client");
    let call = |address: Ipv4Addr, host: &str| {
        client.enter(|| ask(SocketAddr::from((address, 8080)), &Request::get(host, "/")))
    };

    eventually("the host is reached at its own address", PATIENCE, || {
        call(GOOD, "good.test")
            .ok()
            .filter(|answer| name(answer) == "good")
    });
    for host in ["good.test", "GOOD.test:8080"] {
        let answer = call(EVIL, host).unwrap();
        assert_eq!((answer.status, &*name(&answer)), (200, "good"), "{host}");
    }
    let late = client.enter(|| {
        let stream = TcpStream::connect((EVIL, 8080)).unwrap();
        stream.set_nonblocking(true).unwrap();
        holds_for("a silent client is waited for", SILENCE, || {
            let peeked = stream.peek(&mut [0]);
            peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
        });
        stream.set_nonblocking(false).unwrap();
        let request = Request::get("good.test", "/");
        Conversation::on(stream).send(&request).unwrap()
    });
    assert_eq!(
        (late.status, &*name(&late)),
        (200, "good"),
        "a client that is slow to begin"
    );
    let table = [
        ("evil.test", 502, "unknown_destination"),
        ("a.unknown.test", 503, "upstream_name_failure"),
    ];
    for (host, status, reason) in table {
        let answer = call(EVIL, host).unwrap();
        let told = answer.header("wattle-reason");
        assert_eq!((answer.status, told), (status, Some(reason)), "{host}");
    }
    eventually("TLS to the host is carried", PATIENCE, || {
        shown(&client, SocketAddr::from((GOOD, 8443)), "good.test")
            .contains("good")
            .then_some(())
    });
    let secured = SocketAddr::from((EVIL, 8443));
    assert!(shown(&client, secured, "good.test").contains("good"));
    for refused in ["evil.test", "a.unknown.test"] {
        assert_eq!(shown(&client, secured, refused), "", "{refused}");
    }
    assert_eq!(servers[1].0.requests(), 0, "nothing came to the other address");
    mesh.stop();
}

const BY_NAME: &str = include_str!("egress/by_name.yaml");

/// Where hosts of `addressed.test` are dialled, and where nobody is.
const VIRTUAL: Ipv4Addr = Ipv4Addr::new(10, 244, 251, 1);

#[test]
fn a_host_that_goes_by_name_is_reached_where_dns_says_but_never_inside() {
    let programs = ["dnsmasq", "openssl"].map(Need::Program);
    if lacks(&[&[Need::Root][..], &programs].concat()) {
        return;
    }
    let manifests = Manifests::new(&[("mesh.yaml", BY_NAME)]);
    let mesh = Mesh::up_with(WATTLE, manifests.path(), &["--resolver", &BRIDGE.to_string()]);
    let [own, workload] = ["client", "inner"].map(|name| mesh.wait_ready(name).address.unwrap());
    let hosts: [(&str, IpAddr); 9] = [
        ("a.open.test", GOOD.into()),
        ("a.addressed.test", GOOD.into()),
        ("both.open.test", Ipv4Addr::LOCALHOST.into()),
        ("both.open.test", GOOD.into()),
        ("home.open.test", Ipv4Addr::LOCALHOST.into()),
        ("link.open.test", Ipv4Addr::new(169, 254, 169, 254).into()),
        ("own.open.test", own),
        ("workload.open.test", workload),
        ("service.open.test", mesh.service("inner")),
    ];
    let hosts = [&hosts[..], &[("virtual.open.test", VIRTUAL.into())]].concat();
    let _resolver = resolver(&mesh, &hosts);
    let servers =
        [("good", GOOD), ("evil", EVIL)].map(|(name, address)| outside(&mesh.bridge(), name, address));
    let client = mesh.spot("client");
    let call = |address: Ipv4Addr, port: u16, host: &str| {
        client.enter(|| ask(SocketAddr::from((address, port)), &Request::get(host, "/")))
    };
    eventually("the host is reached where DNS says", PATIENCE, || {
        let answer = call(EVIL, 8080, "a.open.test").ok()?;
        (name(&answer) == "good").then_some(())
    });
    for (address, port, host) in [
        (EVIL, 8080, "A.open.test:8080"),
        (EVIL, 8080, "both.open.test"),
        (VIRTUAL, 80, "a.addressed.test"),
    ] {
        let answer = call(address, port, host).unwrap();
        assert_eq!((answer.status, &*name(&answer)), (200, "good"), "{host}");
    }
    let inside = ["home", "link", "own", "workload", "service", "virtual"];
    for host in inside.map(|name| format!("{name}.open.test")) {
        let answer = call(EVIL, 8080, &host).unwrap();
        let told = answer.header("wattle-reason");
        assert_eq!(
            (answer.status, told),
            (502, Some("upstream_address_refused")),
            "{host}"
        );
        let secured = shown(&client, SocketAddr::from((EVIL, 8443)), &host);
        assert_eq!(secured, "", "{host}");
    }
    for (port, host, status, reason) in [
        (8080, "gone.open.test", 503, "upstream_name_failure"),
        (80, "a.open.test", 502, "unknown_destination"),
    ] {
        let address = if port == 80 { VIRTUAL } else { EVIL };
        let answer = call(address, port, host).unwrap();
        let told = answer.header("wattle-reason");
        assert_eq!((answer.status, told), (status, Some(reason)), "{host}");
    }
    let secured = SocketAddr::from((EVIL, 8443));
    eventually("TLS to the host is carried", PATIENCE, || {
        shown(&client, secured, "a.open.test")
            .contains("good")
            .then_some(())
    });
    assert_eq!(servers[1].0.requests(), 0, "nothing came to the dialled address");
    mesh.stop();
}

const FOR_SOME: &str = include_str!("egress/for_some.yaml");

#[test]
fn a_destination_rule_with_a_selector_is_for_the_callers_it_selects_alone() {
    if lacks(&[Need::Root, Need::Program("openssl")]) {
        return;
    }
    let manifests = Manifests::new(&[("mesh.yaml", FOR_SOME)]);
    let mesh = Mesh::up(WATTLE, manifests.path());
    let _servers =
        [("good", GOOD), ("evil", EVIL)].map(|(name, address)| outside(&mesh.bridge(), name, address));
    for (caller, reached) in [("web", "evil"), ("job", "good")] {
        mesh.wait_ready(caller);
        let spot = mesh.spot(caller);
        let asked = || spot.enter(|| ask((VIRTUAL, 8080).into(), &Request::get("api.test", "/")));
        let answer = eventually("the host answers", PATIENCE, || {
            asked().ok().filter(|answer| answer.status == 200)
        });
        assert_eq!(name(&answer), reached, "{caller}");
        for _ in 0..8 {
            assert_eq!(name(&asked().unwrap()), reached, "{caller}");
        }
    }
    mesh.stop();
}

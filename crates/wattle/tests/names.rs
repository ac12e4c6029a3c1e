//! Names inside a mesh: programs that know nothing of it find what it knows by DNS, whatever they ask with; everything
//! else is asked outside and comes back as it was said there.
#![allow(clippy::unwrap_used)]

mod support;

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Stdio};
use std::time::Duration;

use support::Manifests;
use wattle_testkit::{Echo, Mesh, Need, Request, Spot, ask, eventually, lacks};

const WATTLE: &str = env!("CARGO_BIN_EXE_wattle");
/// Longest wait for anything, on a busy machine and without optimisation.
const PATIENCE: Duration = Duration::from_secs(60);
/// Where every mesh of a directory has its bridge.
const BRIDGE: Ipv4Addr = Ipv4Addr::new(10, 244, 0, 1);
/// The control plane's port there.
const DISCOVERY: u16 = 15_012;

const MESH: &str = "
apiVersion: wattle.io/v1alpha1
kind: Process
metadata: {name: client}
spec: {command: [sleep, '86400'], serviceAccountName: client}
---
apiVersion: wattle.io/v1alpha1
kind: Process
metadata: {name: web, labels: {app: web}}
spec: {command: [sleep, '86400'], serviceAccountName: web, ports: [{name: http, port: 8080, appProtocol: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080, appProtocol: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: peers}
spec: {clusterIP: None, selector: {app: web}, ports: [{name: http, port: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: far, namespace: other}
spec: {ports: [{name: http, port: 80}], selector: {app: far}}
---
apiVersion: v1
kind: Service
metadata: {name: elsewhere}
spec: {type: ExternalName, externalName: real.outside.test}
---
apiVersion: v1
kind: Service
metadata: {name: nickname}
spec: {type: ExternalName, externalName: web.default.svc.cluster.local}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api}
spec:
  hosts: [api.example.com]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}]
  workloadSelector: {labels: {app: web}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: wild}
spec:
  hosts: ['*.wild.example.com']
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP, targetPort: 8080}]
  workloadSelector: {labels: {app: web}}
";

/// Sorts before all others and needs an address of its own.
const LATER: &str = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a-later}
spec:
  hosts: [a-later.example.com]
  resolution: STATIC
  ports: [{number: 80, name: http, protocol: HTTP}]
  endpoints: [{address: 192.0.2.1}]
";

/// Addresses of each name as the C library finds them, or `error` and its number.
const RESOLVE: &str = "
import socket, sys
for name in sys.argv[1:]:
    try:
        found = socket.getaddrinfo(name, 80, type=socket.SOCK_STREAM)
        print(name, *sorted({one[4][0] for one in found}))
    except socket.gaierror as error:
        print(name, 'error', error.errno)
";

fn open(more: &[&str]) -> Option<(Manifests, Mesh)> {
    let needs = [
        Need::Root,
        Need::Program("python3"),
        Need::Program("dig"),
        Need::Program("dnsmasq"),
    ];
    if lacks(&needs) {
        return None;
    }
    let manifests = Manifests::new(&[("mesh.yaml", MESH)]);
    let mesh = Mesh::up_with(WATTLE, manifests.path(), more);
    mesh.wait_ready("client");
    mesh.wait_ready("web");
    mesh.wait_endpoint("web");
    Some((manifests, mesh))
}

/// What the C library makes of names in the client's place.
fn resolve(spot: &Spot, names: &[&str]) -> Vec<String> {
    let output = spot
        .command("python3")
        .args(["-c", RESOLVE])
        .args(names)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text.lines().map(ToOwned::to_owned).collect()
}

/// What `dig` prints, without what differs between two runs.
fn dig(spot: &Spot, arguments: &[&str]) -> String {
    let plain = [
        "+nocmd",
        "+nostats",
        "+nocookie",
        "+qid=4242",
        "+timeout=10",
        "+tries=1",
    ];
    let output = spot.command("dig").args(plain).args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The outcome, and the answers as `owner type data`.
fn answer(spot: &Spot, arguments: &[&str]) -> (String, Vec<String>) {
    let text = dig(spot, arguments);
    let status = text
        .split("status: ")
        .nth(1)
        .and_then(|rest| rest.split(',').next());
    let status = status.unwrap_or_else(|| panic!("no answer to {arguments:?}: {text}"));
    let section = text.split(";; ANSWER SECTION:\n").nth(1).unwrap_or_default();
    let records = section.lines().take_while(|line| !line.is_empty());
    let records = records.map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        format!("{} {} {}", words[0], words[3], words[4..].join(" "))
    });
    (status.to_owned(), records.collect())
}

fn address(mesh: &Mesh, instance: &str) -> IpAddr {
    eventually(&format!("{instance} has an address"), PATIENCE, || {
        mesh.process(instance).address
    })
}

#[test]
fn a_program_finds_what_the_mesh_knows_by_every_form_of_its_name() {
    let Some((_manifests, mesh)) = open(&[]) else {
        return;
    };
    let spot = mesh.spot("client");
    let hosts = String::from_utf8(spot.shell("cat /etc/hosts").stdout).unwrap();
    assert!(!hosts.contains("web"), "{hosts}");

    let (web, far, peer) = (mesh.service("web"), mesh.service("far"), address(&mesh, "web"));
    let (api, wild) = (
        mesh.service("api.example.com"),
        mesh.service("*.wild.example.com"),
    );
    let rows = [
        ("web", web),
        ("web.default", web),
        ("web.default.svc", web),
        ("web.default.svc.cluster.local", web),
        ("web.default.svc.cluster.local.", web),
        ("WEB.Default", web),
        ("far.other", far),
        ("far.other.svc.cluster.local", far),
        ("peers", peer),
        ("web.peers", peer),
        ("nickname", web),
        ("api.example.com", api),
        ("any.wild.example.com", wild),
        ("deep.down.wild.example.com", wild),
    ];
    let names: Vec<_> = rows.iter().map(|(name, _)| *name).collect();
    let expected: Vec<_> = rows
        .iter()
        .map(|(name, address)| format!("{name} {address}"))
        .collect();
    eventually("all names lead where they should", PATIENCE, || {
        let found = resolve(&spot, &names);
        (found == expected).then_some(()).or_else(|| {
            eprintln!("{found:#?}");
            None
        })
    });
    // A bare name counts only at home, and what nobody knows does not exist.
    for unknown in ["far", "wild.example.com", "nobody.default.svc.cluster.local"] {
        let found = resolve(&spot, &[unknown]);
        assert!(found[0].starts_with(&format!("{unknown} error ")), "{found:?}");
    }
    mesh.stop();
}

#[test]
fn every_type_and_transport_of_a_query_is_answered() {
    let Some((_manifests, mesh)) = open(&[]) else {
        return;
    };
    let spot = mesh.spot("client");
    let web = mesh.service("web");
    let found = ("NOERROR".to_owned(), vec![format!("web.default. A {web}")]);
    let nothing = ("NOERROR".to_owned(), Vec::new());
    // Whatever resolver is asked, over whatever.
    for how in [
        &["web.default"][..],
        &["+tcp", "web.default"],
        &["@192.0.2.53", "web.default"],
        &["@192.0.2.53", "+tcp", "web.default"],
        &["@::1", "web.default"],
        &["@::1", "+tcp", "web.default"],
        &["+noedns", "web.default"],
    ] {
        assert_eq!(answer(&spot, how), found, "{how:?}");
    }
    for kind in ["AAAA", "TXT", "MX", "HTTPS"] {
        assert_eq!(answer(&spot, &["web.default", kind]), nothing, "{kind}");
    }
    assert_eq!(answer(&spot, &["nobody.example.com"]).0, "NXDOMAIN");
    // A resolver that appends its domain first is told that the name stands for the real one.
    let expanded = answer(&spot, &["api.example.com.default.svc.cluster.local"]);
    assert_eq!(
        expanded.1,
        [
            "api.example.com.default.svc.cluster.local. CNAME api.example.com.".to_owned(),
            format!("api.example.com. A {}", mesh.service("api.example.com")),
        ]
    );
    let backwards = answer(&spot, &["-x", &web.to_string()]).1;
    assert!(
        backwards[0].ends_with("PTR web.default.svc.cluster.local."),
        "{backwards:?}"
    );
    let metrics = SocketAddr::new(address(&mesh, "client"), 15_020);
    let metrics = mesh
        .bridge()
        .enter(|| ask(metrics, &Request::get("client", "/metrics")))
        .unwrap();
    let answered = "wattle_dns_queries_total{outcome=\"answered\"} ";
    let count = metrics
        .text()
        .split(answered)
        .nth(1)
        .map(|rest| rest.starts_with('0'));
    assert_eq!(count, Some(false), "{}", metrics.text());
    mesh.stop();
}

#[test]
fn a_request_by_a_name_under_a_wildcard_reaches_its_workload() {
    let Some((_manifests, mesh)) = open(&[]) else {
        return;
    };
    let _echo = Echo::start(&mesh.spot("web"), 8080, "web").unwrap();
    let spot = mesh.spot("client");
    for host in ["web", "api.example.com", "any.wild.example.com"] {
        let script = format!("curl -sS --max-time 10 -o /dev/null -w '%{{http_code}}' http://{host}/");
        eventually(&format!("{host} is served"), PATIENCE, || {
            let output = spot.shell(&script);
            (output.stdout == b"200").then_some(()).or_else(|| {
                eprintln!("{host}: {output:?}");
                None
            })
        });
    }
    mesh.stop();
}

#[test]
fn names_are_answered_while_there_is_no_control_plane_and_addresses_outlive_it() {
    let Some((manifests, mut mesh)) = open(&[]) else {
        return;
    };
    let names = ["web", "api.example.com", "any.wild.example.com"];
    let before = eventually("all names resolve", PATIENCE, || {
        let found = resolve(&mesh.spot("client"), &names);
        found.iter().all(|line| !line.contains("error")).then_some(found)
    });
    // The proxy saves what it holds a moment later.
    let saved = mesh.state().join("proxies/default.client/config");
    eventually("the names are saved", PATIENCE, || {
        let bytes = std::fs::read(&saved).ok()?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        text.contains("*.wild.example.com").then_some(())
    });
    let port = keep_control_down(&mesh);
    let first = mesh.proxy("client");
    first.kill();
    mesh.wait_for("client", "served by a new proxy", PATIENCE, |process| {
        process.proxy_ready && process.proxy_pid.is_some_and(|pid| pid != first.inner_pid)
    });
    assert_eq!(resolve(&mesh.spot("client"), &names), before);
    assert!(mesh.control("/status").is_none(), "the control plane is away");
    // What comes later takes no address from what was there, in the next control plane and in the next mesh.
    manifests.write("later.yaml", LATER);
    drop(port);
    let _later = mesh.service("a-later.example.com");
    assert_eq!(resolve(&mesh.spot("client"), &names), before);
    mesh.crash_and_start_again();
    mesh.wait_ready("client");
    eventually("the next mesh gives the same addresses", PATIENCE, || {
        (resolve(&mesh.spot("client"), &names) == before).then_some(())
    });
    mesh.stop();
}

/// Kills the control plane and holds its port, so that none can start until this is dropped.
fn keep_control_down(mesh: &Mesh) -> TcpListener {
    let port = eventually("the port of the control plane is taken", PATIENCE, || {
        if let Some(control) = mesh.role("control") {
            control.kill();
        }
        mesh.bridge()
            .enter(|| TcpListener::bind((BRIDGE, DISCOVERY)))
            .ok()
    });
    eventually("no control plane answers", PATIENCE, || {
        mesh.control("/status").is_none().then_some(())
    });
    port
}

/// A resolver outside the mesh, as far as a mesh has an outside; ended when dropped.
struct Outside(Child);

impl Outside {
    fn start(mesh: &Mesh) -> Self {
        let large: Vec<_> = (0..12)
            .map(|number| format!("{number:02}-{}", "x".repeat(240)))
            .collect();
        let child = mesh
            .bridge()
            .command("dnsmasq")
            .args([
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                "--no-resolv",
                "--no-hosts",
            ])
            .args([
                "--pid-file=",
                "--user=root",
                "--bind-interfaces",
                "--local-ttl=77",
            ])
            .args(["--edns-packet-max=4096", "--local=/test/"])
            .arg(format!("--listen-address={BRIDGE}"))
            .args([
                "--host-record=real.outside.test,192.0.2.7,2001:db8::7",
                "--txt-record=real.outside.test,said outside",
                "--mx-host=real.outside.test,mail.outside.test,10",
                "--txt-record=web.default,mail is not for the mesh",
                "--srv-host=_sip._tcp.outside.test,real.outside.test,5060",
            ])
            .arg(format!("--txt-record=large.outside.test,{}", large.join(",")))
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The lines in order: a resolver rotates the records it gives.
fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn what_the_mesh_does_not_know_is_asked_outside_and_comes_back_untouched() {
    let Some((_manifests, mesh)) = open(&["--resolver", &BRIDGE.to_string()]) else {
        return;
    };
    let _outside = Outside::start(&mesh);
    let (bridge, spot) = (mesh.bridge(), mesh.spot("client"));
    let direct = format!("@{BRIDGE}");
    eventually("the resolver outside answers", PATIENCE, || {
        dig(&bridge, &[&direct, "real.outside.test"])
            .contains("192.0.2.7")
            .then_some(())
    });
    for question in [
        &["real.outside.test", "A"][..],
        &["real.outside.test", "AAAA"],
        &["real.outside.test", "TXT"],
        &["real.outside.test", "MX"],
        &["real.outside.test", "SRV"],
        &["_sip._tcp.outside.test", "SRV"],
        &["real.outside.test", "+tcp"],
        &["real.outside.test", "+noedns"],
        &["real.outside.test", "+bufsize=4000", "+dnssec"],
        &["real.outside.test", "+ednsopt=65001:c0ffee"],
        &["nobody.outside.test"],
        // Cut, asked again over TCP, and whole over UDP where the client takes it.
        &["large.outside.test", "TXT"],
        &["large.outside.test", "TXT", "+ignore"],
        &["large.outside.test", "TXT", "+bufsize=4096"],
        // Of a name of the mesh only addresses are the mesh's.
        &["web.default", "TXT"],
    ] {
        let expected = dig(&bridge, &[&[direct.as_str()], question].concat());
        assert!(expected.contains("status: "), "{question:?}: {expected}");
        assert_eq!(sorted(&dig(&spot, question)), sorted(&expected), "{question:?}");
    }
    assert_eq!(
        resolve(&spot, &["real.outside.test"]),
        ["real.outside.test 192.0.2.7 2001:db8::7"]
    );
    // A Service that stands for a name outside is that name, of every type.
    let alias = "elsewhere.default.svc.cluster.local. CNAME real.outside.test.";
    let full = "elsewhere.default.svc.cluster.local";
    for (kind, record) in [
        ("A", "A 192.0.2.7"),
        ("AAAA", "AAAA 2001:db8::7"),
        ("TXT", "TXT \"said outside\""),
    ] {
        for transport in ["+notcp", "+tcp"] {
            let found = answer(&spot, &[full, kind, transport]);
            let expected = vec![alias.to_owned(), format!("real.outside.test. {record}")];
            assert_eq!(found, ("NOERROR".to_owned(), expected), "{kind} {transport}");
        }
    }
    assert_eq!(
        resolve(&spot, &["elsewhere"]),
        ["elsewhere 192.0.2.7 2001:db8::7"]
    );
    mesh.stop();
}

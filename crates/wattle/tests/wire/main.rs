//! Malformed and ambiguous input is refused, or forwarded with one meaning: on real proxies, beside Envoy and nginx.
//!
//! `http1.txt` and `http2.txt` hold the inputs and what is to become of them; [`table`] writes what all three did.
#![allow(clippy::unwrap_used, unreachable_pub, missing_docs)]

mod backend;
mod corpus;
mod floods;
mod frames;
mod probe;
mod rivals;
#[path = "../support/mod.rs"]
mod support;
mod table;
mod text;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Mutex;

use backend::Backend;
use corpus::Case;
use probe::probe;
use rivals::{Rival, Way};
use support::Manifests;
use table::{Page, Row};
use wattle_testkit::{Mesh, Need, Spot, lacks};

const WATTLE: &str = env!("CARGO_BIN_EXE_wattle");
/// Ways through each proxy that are tried at once.
const WAYS: u16 = 8;
const FIRST_PORT: u16 = 8080;
/// Looks at an input that became something else than before.
const LOOKS: usize = 8;

fn manifest() -> String {
    let ports: Vec<_> = (0..WAYS).map(|way| FIRST_PORT + way).collect();
    let own: Vec<_> = ports
        .iter()
        .map(|port| format!("{{name: http-{port}, port: {port}, appProtocol: http}}"))
        .collect();
    format!(
        "apiVersion: wattle.io/v1alpha1\nkind: Process\nmetadata: {{name: server, labels: {{app: server}}}}\n\
         spec: {{command: [sleep, '86400'], serviceAccountName: server, ports: [{0}]}}\n---\n\
         apiVersion: wattle.io/v1alpha1\nkind: Process\nmetadata: {{name: client}}\n\
         spec: {{command: [sleep, '86400'], serviceAccountName: client}}\n---\n\
         apiVersion: v1\nkind: Service\nmetadata: {{name: server}}\n\
         spec: {{selector: {{app: server}}, ports: [{0}]}}\n",
        own.join(", ")
    )
}

/// A way into both sides of our proxies, and what is behind it.
struct Ours {
    inbound: (Spot, SocketAddr),
    outbound: (Spot, SocketAddr),
    backend: Backend,
}

impl Ours {
    fn ways(mesh: &Mesh) -> Vec<Self> {
        let server = mesh.wait_ready("server").address.unwrap();
        mesh.wait_ready("client");
        mesh.wait_endpoint("server");
        let service = mesh.service("server");
        let (bridge, client, spot) = (mesh.bridge(), mesh.spot("client"), mesh.spot("server"));
        let listen = |port| TcpListener::bind((std::net::Ipv4Addr::UNSPECIFIED, port)).unwrap();
        (0..WAYS)
            .map(|way| FIRST_PORT + way)
            .map(|port| Self {
                inbound: (bridge, SocketAddr::new(server, port)),
                outbound: (client, SocketAddr::new(service, port)),
                backend: Backend::serve(spot.enter(|| listen(port))),
            })
            .collect()
    }
}

fn dial((spot, address): &(Spot, SocketAddr)) -> TcpStream {
    spot.enter(|| TcpStream::connect(address).unwrap())
}

/// What became of an input in our proxies, and of it in the others.
struct Seen {
    inbound: String,
    outbound: String,
    row: Row,
}

impl Seen {
    fn is_expected(&self) -> bool {
        let case = &self.row.case;
        (&self.inbound, &self.outbound) == (&case.inbound, &case.outbound)
    }
}

/// Looks again at what is not as expected: what is decided is decided again, what a busy machine does is not.
fn look(case: &Case, ours: &Ours, rivals: [&Way; 2], page: &Page) -> Seen {
    let mut seen = look_once(case, ours, rivals);
    for _ in 1..LOOKS {
        if seen.is_expected() && page.knows(&seen.row) {
            break;
        }
        seen = look_once(case, ours, rivals);
    }
    seen
}

fn look_once(case: &Case, ours: &Ours, [envoy, nginx]: [&Way; 2]) -> Seen {
    let side = |side| probe(&case.bytes, case.http2, dial(side), &ours.backend);
    let other = |way: &Way| {
        let address = if case.http2 { way.http2 } else { way.http1 };
        let stream = TcpStream::connect(address).unwrap();
        probe(&case.bytes, case.http2, stream, &way.backend)
    };
    Seen {
        inbound: side(&ours.inbound),
        outbound: side(&ours.outbound),
        row: Row {
            case: case.clone(),
            envoy: if case.chance {
                table::CHANCE.to_owned()
            } else {
                other(envoy)
            },
            nginx: other(nginx),
        },
    }
}

/// Looks at every input, several at a time, each on a way that nobody else uses meanwhile.
fn look_at_all(cases: &[Case], mesh: &Mesh, page: &Page) -> Vec<Seen> {
    let ways = usize::from(WAYS);
    let (envoy, nginx) = (Rival::envoy(ways), Rival::nginx(ways));
    let waiting = Mutex::new(cases.iter().enumerate());
    let waiting = &waiting;
    let seen = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for (index, ours) in Ours::ways(mesh).into_iter().enumerate() {
            let (envoy, nginx) = (&envoy.ways[index], &nginx.ways[index]);
            let (next, seen) = (move || waiting.lock().unwrap().next(), &seen);
            scope.spawn(move || {
                while let Some((at, case)) = next() {
                    let looked = look(case, &ours, [envoy, nginx], page);
                    seen.lock().unwrap().push((at, looked));
                }
            });
        }
    });
    let mut seen = seen.into_inner().unwrap();
    seen.sort_by_key(|(at, _)| *at);
    seen.into_iter().map(|(_, seen)| seen).collect()
}

#[test]
fn every_input_is_refused_or_forwarded_with_one_meaning() {
    if lacks(&[Need::Root, Need::Envoy, Need::Program("nginx")]) {
        return;
    }
    let mut cases = corpus::all();
    if let Ok(wanted) = std::env::var("WATTLE_TEST_CASE") {
        cases.retain(|case| case.name.contains(&wanted));
    }
    let manifests = Manifests::new(&[("mesh.yaml", &manifest())]);
    let mesh = Mesh::up(WATTLE, manifests.path());
    let page = Page::read();
    let seen = look_at_all(&cases, &mesh, &page);
    let mut wrong = Vec::new();
    for Seen {
        inbound,
        outbound,
        row,
    } in seen.iter().filter(|seen| !seen.is_expected())
    {
        wrong.push(format!(
            "{}\n  ours {inbound}\n  outbound {outbound}\n  envoy {}\n  nginx {}",
            row.case.name, row.envoy, row.nginx
        ));
    }
    if let Ok(path) = std::env::var("WATTLE_TEST_REPORT") {
        std::fs::write(path, wrong.join("\n")).unwrap();
    }
    assert!(
        wrong.is_empty(),
        "{} inputs became something else:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    let rows: Vec<_> = seen.into_iter().map(|seen| seen.row).collect();
    let lenient: Vec<_> = rows
        .iter()
        .filter(|row| table::is_more_lenient(row) && row.case.because.is_none())
        .collect();
    let names: Vec<_> = lenient.iter().map(|row| &row.case.name).collect();
    assert!(
        names.is_empty(),
        "forwarded here and by neither of the others: {names:?}"
    );
    if std::env::var_os("WATTLE_TEST_CASE").is_none() {
        page.check(&rows);
    }
    mesh.stop();
}

#[test]
fn the_corpus_covers_what_is_published() {
    let cases = corpus::all();
    assert!(cases.len() >= 150, "{} inputs", cases.len());
    let mut names: Vec<_> = cases.iter().map(|case| (case.http2, &case.name)).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), cases.len(), "names are unique");
    assert!(
        cases.iter().all(|case| !case.inbound.is_empty()),
        "each has a verdict"
    );
    for class in [
        "CL.TE",
        "TE.CL",
        "TE.TE",
        "CL.CL",
        "H2.CL",
        "H2.TE",
        "Upgrade h2c",
        "Response splitting",
    ] {
        assert!(cases.iter().any(|case| case.class.contains(class)), "{class}");
    }
}

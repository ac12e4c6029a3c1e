//! Who gets in, for every mode of mutual TLS, every kind of client and every protocol: real programs on both ends.
//!
//! | client | STRICT | PERMISSIVE | DISABLE |
//! |---|---|---|---|
//! | meshed | served | served | served, in the clear |
//! | in the clear | refused | served | served |
//! | with a genuine certificate of its own | served | served | served by tokens of the mesh, not by `h2` |
//! | of a foreign trust domain | refused | refused | refused |
//! | with a certificate that has ended | refused | refused | refused |
//! | by a name that policy denies | refused | refused | refused |
//! | that speaks TLS 1.2 at most | refused | refused | refused |
//!
//! Under DISABLE only TLS that says by its tokens to be the mesh's is the proxy's, as in a change of modes; other TLS is carried
//! to an application that knows none. gRPC is spoken by a library on both ends, whose handshake offers `h2` alone, and to which
//! discovery says who must answer.
#![allow(clippy::unwrap_used)]

mod calls;
mod clients;
#[path = "../support/forge.rs"]
mod forge;
mod protocol;
mod servers;
#[path = "../support/mod.rs"]
mod support;

use std::cell::RefCell;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, SystemTime};

use calls::{Caller, Said};
use clients::Client;
use forge::Forger;
use protocol::Protocol;
use servers::Servers;
use support::{Manifests, turned_away};
use wattle_testkit::{Mesh, Need, Spot, eventually, lacks};

const WATTLE: &str = env!("CARGO_BIN_EXE_wattle");
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest wait for a word on one connection; who is refused may hear none.
const SILENCE: Duration = Duration::from_secs(4);
const MODES: [&str; 3] = ["STRICT", "PERMISSIVE", "DISABLE"];

const CLIENT: &str = "
apiVersion: wattle.io/v1alpha1
kind: Process
metadata: {name: client}
spec: {command: [sleep, '86400'], serviceAccountName: client}
";

/// A server under a mode, with a port for each protocol; one identity is denied.
fn server(mode: &str) -> String {
    let name = mode.to_lowercase();
    let ports = Protocol::ALL.map(|protocol| {
        let (name, port, declared) = (protocol.name(), protocol.port(), protocol.declared());
        format!("{{name: {name}, port: {port}, appProtocol: {declared}}}")
    });
    let ports = ports.join(", ");
    format!(
        "apiVersion: wattle.io/v1alpha1
kind: Process
metadata: {{name: {name}, labels: {{app: {name}}}}}
spec:
  command: [sleep, '86400']
  serviceAccountName: {name}
  ports: [{ports}]
---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{selector: {{app: {name}}}, ports: [{ports}]}}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: {name}}}
spec: {{selector: {{matchLabels: {{app: {name}}}}}, mtls: {{mode: {mode}}}}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  action: DENY
  rules: [{{from: [{{source: {{principals: ['cluster.local/ns/default/sa/denied']}}}}]}}]
"
    )
}

/// A server, and how to get there.
struct Way<'a> {
    mesh: &'a Mesh,
    client: Spot,
    forger: Forger,
    /// Calls by gRPC from the workload with a proxy, and from where nobody has one.
    callers: RefCell<(Caller, Caller)>,
}

impl<'a> Way<'a> {
    fn new(mesh: &'a Mesh) -> Self {
        let (client, forger) = (mesh.spot("client"), Forger::of(mesh));
        let genuine = tempfile::tempdir().unwrap();
        forger.write(genuine.path(), &forger.svid("caller", SystemTime::now()));
        let words = mesh.proxy("client").words;
        let control = words.iter().skip_while(|word| *word != "--control").nth(1);
        let discovery = (control.unwrap().as_str(), genuine);
        let callers = (
            Caller::start(&client, None),
            Caller::start(&mesh.bridge(), Some(discovery)),
        );
        Self {
            mesh,
            client,
            forger,
            callers: RefCell::new(callers),
        }
    }

    fn direct(&self, server: &str, protocol: Protocol) -> SocketAddr {
        SocketAddr::new(self.mesh.wait_ready(server).address.unwrap(), protocol.port())
    }

    fn service(&self, server: &str, protocol: Protocol) -> SocketAddr {
        SocketAddr::new(self.mesh.service(server), protocol.port())
    }

    /// What is wrong with how the client fares under this mode.
    fn complaint(&self, client: &Client, mode: &str, protocol: Protocol) -> Option<String> {
        let server = mode.to_lowercase();
        let welcome = client.is_welcome(mode, protocol);
        if protocol != Protocol::Grpc || matches!(client, Client::OldTls(_)) {
            let served = self.is_served(client, &server, protocol);
            return (served != welcome).then(|| format!("served {served}"));
        }
        let before = client
            .turned_away(mode)
            .map(|reason| (reason, turned_away(self.mesh, &server, reason).unwrap_or(0)));
        let said = self.call(client, mode);
        let wanted = match welcome {
            true => format!("answered {server}"),
            false => client.refusal(mode).to_owned(),
        };
        if said.outcome() != wanted {
            return Some(format!("{said:?}, expected {wanted}"));
        }
        if let Some((reason, before)) = before {
            eventually(&format!("{server} counts {reason}"), PATIENCE, || {
                turned_away(self.mesh, &server, reason).filter(|now| *now > before)
            });
        }
        None
    }

    fn call(&self, client: &Client, mode: &str) -> Said {
        let server = mode.to_lowercase();
        let (meshed, other) = &mut *self.callers.borrow_mut();
        let direct = self.direct(&server, Protocol::Grpc);
        match client {
            Client::Meshed => meshed.call(self.service(&server, Protocol::Grpc)),
            // Discovery says that plaintext is spoken there.
            Client::Certificate(shown) if mode == "DISABLE" => other.call_over_tls(direct, shown.directory()),
            Client::Certificate(shown) => {
                let service = format!("{server}:{}", Protocol::Grpc.port());
                other.call_over_xds(&service, shown.directory())
            }
            Client::Plaintext | Client::OldTls(_) => other.call(direct),
        }
    }

    /// Whether the client gets the application's answer.
    fn is_served(&self, client: &Client, server: &str, protocol: Protocol) -> bool {
        let direct = self.direct(server, protocol);
        let bridge = self.mesh.bridge();
        match client {
            Client::Meshed => protocol.is_answered(connect(&self.client, self.service(server, protocol))),
            Client::Plaintext => protocol.is_answered(connect(&bridge, direct)),
            Client::Certificate(shown) => {
                let stream = connect(&bridge, direct);
                protocol.is_answered(self.forger.secure(stream, &shown.svid, server, protocol.token()))
            }
            Client::OldTls(directory) => {
                let directory = directory.path().display();
                let token = protocol.token();
                let script = format!(
                    "echo | timeout 5 openssl s_client -connect {direct} -tls1_2 -alpn {token} \
                     -cert {directory}/tls.crt -key {directory}/tls.key 2>/dev/null"
                );
                let said = bridge.shell(&script).stdout;
                String::from_utf8_lossy(&said).contains("New, TLSv1.2")
            }
        }
    }
}

fn connect(spot: &Spot, address: SocketAddr) -> TcpStream {
    let stream = spot.enter(|| TcpStream::connect(address)).unwrap();
    stream.set_read_timeout(Some(SILENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

#[test]
fn every_mode_client_and_protocol_is_served_or_refused_as_documented() {
    let needs = [
        Need::Root,
        Need::Program("nginx"),
        Need::Program("openssl"),
        Need::Python("grpc"),
    ];
    if lacks(&needs) {
        return;
    }
    let files = MODES.map(|mode| (format!("{mode}.yaml"), server(mode)));
    let manifests = Manifests::new(&[("client.yaml", CLIENT)]);
    files.iter().for_each(|(name, text)| manifests.write(name, text));
    let mesh = Mesh::up(WATTLE, manifests.path());
    mesh.wait_ready("client");
    let servers = MODES.map(|mode| {
        let name = mode.to_lowercase();
        mesh.wait_ready(&name);
        Servers::start(&mesh.spot(&name), &name)
    });
    let way = Way::new(&mesh);
    for mode in MODES {
        eventually("the servers answer", PATIENCE, || {
            let answers = |protocol| way.complaint(&Client::Meshed, mode, protocol).is_none();
            Protocol::ALL.into_iter().all(answers).then_some(())
        });
    }
    let mut wrong = Vec::new();
    let mut cells = 0;
    for (mode, servers) in MODES.iter().zip(&servers) {
        for client in Client::all(&way.forger) {
            for protocol in Protocol::ALL {
                let before = servers.heard();
                let cell = format!("{mode}, {client}, {}", protocol.name());
                if let Some(complaint) = way.complaint(&client, mode, protocol) {
                    wrong.push(format!("{cell}: {complaint}"));
                }
                if *mode == "STRICT" && !client.is_welcome(mode, protocol) && servers.heard() != before {
                    wrong.push(format!("{cell}: the application was dialled"));
                }
                cells += 1;
            }
        }
    }
    eprintln!("{cells} cells");
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(cells, 105);
    mesh.stop();
}

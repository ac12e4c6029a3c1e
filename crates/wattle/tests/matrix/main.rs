//! Who gets in, for every mode of mutual TLS, every kind of client and every protocol: real programs on both ends.
//!
//! | client | STRICT | PERMISSIVE | DISABLE |
//! |---|---|---|---|
//! | meshed | served | served | served, in the clear |
//! | in the clear | refused | served | served |
//! | of a foreign trust domain | refused | refused | refused |
//! | with a certificate that has ended | refused | refused | refused |
//! | by a name that policy denies | refused | refused | refused |
//! | that speaks TLS 1.2 at most | refused | refused | refused |
//!
//! Under DISABLE no TLS is the mesh's: its bytes are carried to an application that knows none.
#![allow(clippy::unwrap_used)]

#[path = "../support/forge.rs"]
mod forge;
mod protocol;
mod servers;
#[path = "../support/mod.rs"]
mod support;

use std::fmt;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, SystemTime};

use forge::Forger;
use protocol::Protocol;
use servers::Servers;
use support::Manifests;
use wattle_identity::Svid;
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

/// Whoever calls.
enum Client {
    /// A workload with a proxy.
    Meshed,
    /// Nobody's, without TLS.
    Plaintext,
    /// With this certificate, as a proxy would show it.
    Certificate(&'static str, Svid),
    /// With TLS 1.2 at most, and the certificate in this directory.
    OldTls(tempfile::TempDir),
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Meshed => "meshed",
            Self::Plaintext => "in the clear",
            Self::Certificate(what, _) => what,
            Self::OldTls(_) => "TLS 1.2",
        })
    }
}

impl Client {
    fn all(forger: &Forger) -> Vec<Self> {
        let now = SystemTime::now();
        let directory = tempfile::tempdir().unwrap();
        forger.write(directory.path(), &forger.svid("client", now));
        vec![
            Self::Meshed,
            Self::Plaintext,
            Self::Certificate(
                "foreign trust domain",
                forger.foreign("elsewhere.example", "client"),
            ),
            Self::Certificate("expired", forger.expired("client")),
            Self::Certificate("denied name", forger.svid("denied", now)),
            Self::OldTls(directory),
        ]
    }

    /// Whether it must be served under this mode.
    fn is_welcome(&self, mode: &str) -> bool {
        match self {
            Self::Meshed => true,
            Self::Plaintext => mode != "STRICT",
            Self::Certificate(..) | Self::OldTls(_) => false,
        }
    }
}

/// A server, and how to get there.
struct Way<'a> {
    mesh: &'a Mesh,
    client: Spot,
    forger: Forger,
}

impl Way<'_> {
    /// Whether the client gets the application's answer.
    fn is_served(&self, client: &Client, server: &str, protocol: Protocol) -> bool {
        let direct = SocketAddr::new(self.mesh.wait_ready(server).address.unwrap(), protocol.port());
        let bridge = self.mesh.bridge();
        match client {
            Client::Meshed => {
                let service = SocketAddr::new(self.mesh.service(server), protocol.port());
                protocol.is_answered(connect(&self.client, service))
            }
            Client::Plaintext => protocol.is_answered(connect(&bridge, direct)),
            Client::Certificate(_, svid) => {
                let stream = connect(&bridge, direct);
                protocol.is_answered(self.forger.secure(stream, svid, server, protocol.token()))
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
    let programs = ["nginx", "openssl"].map(Need::Program);
    if lacks(&[&[Need::Root][..], &programs].concat()) {
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
        Servers::start(&mesh.spot(&name))
    });
    let way = Way {
        mesh: &mesh,
        client: mesh.spot("client"),
        forger: Forger::of(&mesh),
    };
    for mode in MODES {
        eventually("the servers answer", PATIENCE, || {
            let all = Protocol::ALL.iter();
            let served =
                |protocol: &Protocol| way.is_served(&Client::Meshed, &mode.to_lowercase(), *protocol);
            all.copied().all(|protocol| served(&protocol)).then_some(())
        });
    }
    let mut wrong = Vec::new();
    let mut cells = 0;
    for (mode, servers) in MODES.iter().zip(&servers) {
        for client in Client::all(&way.forger) {
            for protocol in Protocol::ALL {
                let before = servers.heard();
                let served = way.is_served(&client, &mode.to_lowercase(), protocol);
                if served != client.is_welcome(mode) {
                    wrong.push(format!("{mode}, {client}, {}: served {served}", protocol.name()));
                }
                if *mode == "STRICT" && !served && servers.heard() != before {
                    wrong.push(format!(
                        "{mode}, {client}, {}: the application was dialled",
                        protocol.name()
                    ));
                }
                cells += 1;
            }
        }
    }
    eprintln!("{cells} cells");
    assert_eq!(wrong, Vec::<String>::new());
    assert_eq!(cells, 90);
    mesh.stop();
}

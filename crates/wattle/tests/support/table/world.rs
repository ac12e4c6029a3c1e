//! A mesh with one server behind our proxy and one behind Envoy, and those who call them.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ClientConfig, ClientConnection, RootCertStore};
use serde_json::Value;
use wattle_testkit::{Answer, Conversation, Echo, Mesh, Request, Spot, eventually};

use super::support::Manifests;
use crate::cases::{Addresses, Asked, Case, Deed, Set, Verdict};

pub(crate) const SERVERS: [&str; 2] = ["ours", "theirs"];
const CLIENTS: [&str; 4] = ["alice", "bob", "carol", "plain"];
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest time in which a case is tried again.
const SETTLED: Duration = Duration::from_secs(1);
/// What an application answers to TLS.
const HEARD: &[u8] = b"heard";
/// Workloads with a proxy.
const MESHED: usize = 5;

/// The workloads and their Services; both servers look the same to every policy.
pub(crate) fn manifest() -> String {
    let server = |name: &str, kind: &str| {
        format!(
            "apiVersion: wattle.io/v1alpha1\nkind: Process\n\
             metadata: {{name: {name}, labels: {{app: shop, tier: front, name: {name}}}}}\n\
             spec:\n  command: [sleep, '86400']\n  serviceAccountName: shop\n  proxy: {{kind: {kind}}}\n  \
             ports: [{{name: http, port: 8080, appProtocol: http}}, {{name: raw, port: 9090, appProtocol: tcp}}, \
             {{name: tls, port: 7443, appProtocol: tls}}]\n"
        )
    };
    let client = |name: &str, namespace: &str, proxy: bool| {
        format!(
            "apiVersion: wattle.io/v1alpha1\nkind: Process\n\
             metadata: {{name: {name}, namespace: {namespace}, labels: {{app: client}}}}\n\
             spec: {{command: [sleep, '86400'], serviceAccountName: {name}, proxy: {{enabled: {proxy}}}}}\n"
        )
    };
    let service = |name: &str, selector: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{selector: {{{selector}}}, ports: [\
             {{name: http, port: 80, targetPort: 8080, appProtocol: http}}, \
             {{name: raw, port: 90, targetPort: 9090, appProtocol: tcp}}]}}\n"
        )
    };
    [
        server("ours", "wattle"),
        server("theirs", "envoy"),
        client("alice", "default", true),
        client("bob", "default", true),
        client("carol", "other", true),
        client("plain", "default", false),
        service("ours", "name: ours"),
        service("theirs", "name: theirs"),
        service("shop", "app: shop"),
        service("elsewhere", "app: elsewhere"),
    ]
    .join("---\n")
}

/// Answers whoever says anything, whatever it is.
fn hear(spot: &Spot, port: u16) {
    let listener = spot
        .enter(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)))
        .unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let heard = stream.read(&mut [0; 4096])?;
                stream.write_all(if heard > 0 { HEARD } else { &[] })
            });
        }
    });
}

/// The first bytes of a client of TLS that asks for this server.
fn client_hello(name: &str) -> Vec<u8> {
    let config = ClientConfig::builder()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let mut client = ClientConnection::new(Arc::new(config), name.to_owned().try_into().unwrap()).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

/// Refuses a header that only this generation of the policies refuses, so that it can be seen to be in force.
fn marker(generation: usize) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{name: zz-generation, annotations: {{generation: '{generation}'}}}}\n\
         spec:\n  selector: {{matchLabels: {{app: shop}}}}\n  action: DENY\n  rules:\n  \
         - to: [{{operation: {{ports: ['8080']}}}}]\n    \
         when: [{{key: 'request.headers[x-generation]', values: [generation-{generation}-]}}]\n"
    )
}

pub(crate) struct World {
    mesh: Mesh,
    manifests: Manifests,
    pub(crate) addresses: Addresses,
    clients: BTreeMap<&'static str, Client>,
    generation: usize,
}

impl World {
    pub(crate) fn start(binary: &str) -> Self {
        let manifests = Manifests::new(&[("mesh.yaml", &manifest())]);
        let mesh = Mesh::up(binary, manifests.path());
        let mut addresses = Addresses::new();
        for name in SERVERS.into_iter().chain(CLIENTS) {
            addresses.insert(name, mesh.wait_ready(name).address.unwrap());
        }
        for server in SERVERS {
            mesh.wait_endpoint(server);
            let spot = mesh.spot(server);
            Echo::start(&spot, 8080, server).unwrap();
            Echo::start(&spot, 9090, server).unwrap();
            hear(&spot, 7443);
        }
        let client = |name| (name, Client::of(&mesh, name, &addresses));
        let clients = CLIENTS.into_iter().map(client).collect();
        Self {
            mesh,
            manifests,
            addresses,
            clients,
            generation: 0,
        }
    }

    /// Puts policies in force, for everybody who calls.
    pub(crate) fn enforce(&mut self, set: &Set) -> String {
        self.generation += 1;
        let policies = set.manifest(&self.addresses, self.generation);
        let marker = marker(self.generation);
        self.manifests
            .write("policies.yaml", &format!("{policies}\n---\n{marker}"));
        self.wait_read(policies.matches("\"AuthorizationPolicy\"").count() + 1);
        self.mesh.wait_synced(MESHED);
        let asked = Asked {
            method: "GET".to_owned(),
            target: "/".to_owned(),
            host: "shop".to_owned(),
            headers: vec![(
                "x-generation".to_owned(),
                format!("generation-{}-", self.generation),
            )],
        };
        for (name, client) in &mut self.clients {
            for server in SERVERS {
                eventually(
                    &format!("{server} refuses {name} by the new policies"),
                    PATIENCE,
                    || {
                        let answer = client.ask(server, &asked).ok()?;
                        ["denied", "refused"].contains(&&*said(&answer)).then_some(())
                    },
                );
            }
        }
        policies
    }

    /// Waits until the control plane holds the policies of this generation and no others.
    fn wait_read(&self, count: usize) {
        let generation = self.generation.to_string();
        eventually("the policies are read", PATIENCE, || {
            let objects = self.mesh.control("/objects/AuthorizationPolicy")?;
            let objects = objects.as_array()?;
            let is_new =
                |object: &Value| object["manifest"]["metadata"]["annotations"]["generation"] == *generation;
            (objects.len() == count && objects.iter().all(is_new)).then_some(())
        });
    }

    /// What a server makes of a case: the verdict, or what else came of it. Again where it is not as expected: what a
    /// decision refuses it refuses each time, and what a busy machine or a connection that just ends does, it does not.
    pub(crate) fn seen(&mut self, server: &str, case: &Case, expected: Verdict) -> Result<(), String> {
        let client = self.clients.get_mut(&*case.who).unwrap();
        let begun = Instant::now();
        loop {
            let seen = match &case.does {
                Deed::Request(asked) => client
                    .ask(server, asked)
                    .map_or_else(|error| error, |answer| said(&answer)),
                Deed::Tcp => client.connect(server),
                Deed::Tls(name) => client.greet(self.addresses[server], name),
            };
            if is_as(&seen, expected) {
                return Ok(());
            }
            if begun.elapsed() > SETTLED {
                return Err(seen);
            }
        }
    }

    pub(crate) fn stop(self) {
        self.mesh.stop();
    }
}

/// A refusal says its reason only where our proxy tells it.
fn is_as(seen: &str, expected: Verdict) -> bool {
    seen == expected.to_string() || (seen == "refused" && expected != Verdict::Allowed)
}

fn said(answer: &Answer) -> String {
    match (answer.status, answer.header("wattle-reason")) {
        (200, None) => Verdict::Allowed.to_string(),
        (403, Some("policy_denied")) => Verdict::Denied.to_string(),
        (403, Some("policy_not_allowed")) => Verdict::NotAllowed.to_string(),
        // The words of Envoy's filter; a HEAD has none.
        (403, None) if answer.body.is_empty() || answer.text().starts_with("RBAC") => "refused".to_owned(),
        _ => format!("{answer:?}"),
    }
}

/// One that calls, with a connection for each server, so that what it meets is what it met before.
struct Client {
    spot: Spot,
    /// Where each server is called for requests, and for opaque connections.
    places: BTreeMap<&'static str, [SocketAddr; 2]>,
    conversations: BTreeMap<String, Conversation<TcpStream>>,
}

impl Client {
    fn of(mesh: &Mesh, name: &str, addresses: &Addresses) -> Self {
        let place = |server: &'static str| {
            let at = |address: IpAddr, ports: [u16; 2]| ports.map(|port| SocketAddr::new(address, port));
            let places = match name {
                // Nobody is there who knows Services.
                "plain" => at(addresses[server], [8080, 9090]),
                _ => at(mesh.service(server), [80, 90]),
            };
            (server, places)
        };
        Self {
            spot: mesh.spot(name),
            places: SERVERS.into_iter().map(place).collect(),
            conversations: BTreeMap::new(),
        }
    }

    fn ask(&mut self, server: &str, asked: &Asked) -> Result<Answer, String> {
        let [place, _] = self.places[server];
        let mut conversation = match self.conversations.remove(server) {
            Some(conversation) => conversation,
            None => self
                .spot
                .enter(move || Conversation::tcp(place))
                .map_err(|error| error.to_string())?,
        };
        let request = Request {
            method: asked.method.clone(),
            host: asked.host.clone(),
            target: asked.target.clone(),
            headers: asked.headers.clone(),
            body: Vec::new(),
        };
        let answer = conversation.send(&request).map_err(|error| error.to_string())?;
        if !conversation.is_over() {
            self.conversations.insert(server.to_owned(), conversation);
        }
        Ok(answer)
    }

    /// Opens an opaque connection and says something on it.
    fn connect(&self, server: &str) -> String {
        let [_, place] = self.places[server];
        let answer = self
            .spot
            .enter(move || Conversation::tcp(place)?.send(&Request::get("raw", "/")));
        match answer {
            Ok(answer) => said(&answer),
            Err(error) => cut(&error),
        }
    }
    /// Begins TLS with a server that does not speak it.
    fn greet(&self, server: IpAddr, name: &str) -> String {
        let hello = client_hello(name);
        let mut answer = [0; HEARD.len()];
        let heard = self.spot.enter(|| {
            let mut stream = TcpStream::connect((server, 7443))?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(&hello)?;
            stream.read_exact(&mut answer)
        });
        match heard {
            Ok(()) => Verdict::Allowed.to_string(),
            Err(error) => cut(&error),
        }
    }
}

/// A connection that ends was refused; one that is silent was not.
fn cut(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => error.to_string(),
        _ => "refused".to_owned(),
    }
}

//! What is explained is what happens: for generated configs and requests, real proxies do what `explain` says.
#![allow(clippy::unwrap_used)]

#[path = "support/dice.rs"]
mod dice;
#[path = "support/generate.rs"]
mod generate;
mod support;

use std::net::{SocketAddr, TcpStream};

use dice::Dice;
use serde_json::Value;
use support::Manifests;
use wattle_testkit::{Answer, Conversation, Echo, Mesh, Need, Request, Spot, lacks};

const WATTLE: &str = env!("CARGO_BIN_EXE_wattle");
/// Configs and requests for each.
const CONFIGS: usize = 42;
const REQUESTS: usize = 50;
/// Another seed makes another run.
const SEED: &str = "WATTLE_TEST_SEED";

const SERVERS: [&str; 3] = ["shop-v1", "shop-v2", "other"];
const CLIENTS: [&str; 2] = ["ann", "bob"];

fn mesh_manifest() -> String {
    let process = |name: &str, labels: &str, ports: &str| {
        format!(
            "apiVersion: wattle.io/v1alpha1\nkind: Process\nmetadata: {{name: {name}, labels: {{{labels}}}}}\n\
             spec: {{command: [sleep, '86400'], serviceAccountName: {name}, ports: [{ports}]}}\n"
        )
    };
    let service = |name: &str, selector: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{selector: {{{selector}}}, \
             ports: [{{name: http, port: 80, targetPort: 8080, appProtocol: http}}]}}\n"
        )
    };
    let port = "{name: http, port: 8080, appProtocol: http}";
    [
        process("shop-v1", "app: shop, version: v1", port),
        process("shop-v2", "app: shop, version: v2", port),
        process("other", "app: other", port),
        process("ann", "app: ann", ""),
        process("bob", "app: bob", ""),
        // What no route takes over goes to one workload, so that the outcome is certain.
        service("shop", "app: shop, version: v1"),
        service("shop-v1", "app: shop, version: v1"),
        service("shop-v2", "app: shop, version: v2"),
        service("other", "app: other"),
    ]
    .join("---\n")
}

/// What a request came to, as far as `explain` says anything about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Outcome {
    /// Status of a reply that is not an application's.
    status: Option<u16>,
    reason: Option<String>,
    location: Option<String>,
    /// Who answered.
    server: Option<String>,
}

#[test]
fn real_proxies_do_what_explain_says() {
    if lacks(&[Need::Root]) {
        return;
    }
    let seed = std::env::var(SEED)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1);
    let mut dice = Dice::new(seed);
    let manifests = Manifests::new(&[("mesh.yaml", &mesh_manifest())]);
    let mesh = Mesh::up(WATTLE, manifests.path());
    for server in SERVERS {
        mesh.wait_ready(server);
        mesh.wait_endpoint(server);
        Echo::start(&mesh.spot(server), 8080, server).unwrap();
    }
    let clients = CLIENTS.map(|name| Client::start(&mesh, name));
    let mut tally = Tally::default();
    for round in 0..CONFIGS {
        let config = generate::config(&mut dice, &round.to_string());
        manifests.write("config.yaml", &config);
        mesh.wait_generation("PeerAuthentication", "default", &round.to_string());
        mesh.wait_synced(SERVERS.len() + CLIENTS.len());
        for _ in 0..REQUESTS {
            let request = generate::request(&mut dice);
            let client = &clients[dice.below(clients.len())];
            let (explained, explanation) = client.explain(&mesh, &request);
            let seen = client.send(&request);
            assert_eq!(
                seen, explained,
                "seed {seed}, round {round}: {} sends {request:?}\nexplained: {explanation:#}\nconfig:\n{config}",
                client.name
            );
            tally.count(&seen);
        }
    }
    eprintln!(
        "{} requests under {CONFIGS} configs agree: {tally:?}",
        CONFIGS * REQUESTS
    );
    tally.assert_varied();
    mesh.stop();
}

/// How often each kind of outcome was met: agreement on one kind alone would prove little.
#[derive(Debug, Default)]
struct Tally {
    served: usize,
    redirected: usize,
    denied: usize,
    not_allowed: usize,
    unrouted: usize,
    no_backend: usize,
}

impl Tally {
    fn count(&mut self, outcome: &Outcome) {
        let counter = match outcome.reason.as_deref() {
            None if outcome.location.is_some() => &mut self.redirected,
            None => &mut self.served,
            Some("policy_denied") => &mut self.denied,
            Some("policy_not_allowed") => &mut self.not_allowed,
            Some("no_route") => &mut self.unrouted,
            Some("no_backend") => &mut self.no_backend,
            Some(other) => panic!("a reason that no config here leads to: {other}"),
        };
        *counter += 1;
    }

    fn assert_varied(&self) {
        let all = [
            self.served,
            self.redirected,
            self.denied,
            self.not_allowed,
            self.unrouted,
            self.no_backend,
        ];
        assert!(all.iter().all(|count| *count >= 20), "{self:?}");
    }
}

struct Client {
    name: &'static str,
    spot: Spot,
    shop: SocketAddr,
    conversation: std::cell::RefCell<Option<Conversation<TcpStream>>>,
}

impl Client {
    fn start(mesh: &Mesh, name: &'static str) -> Self {
        mesh.wait_ready(name);
        let shop = SocketAddr::new(mesh.service("shop"), 80);
        let client = Self {
            name,
            spot: mesh.spot(name),
            shop,
            conversation: None.into(),
        };
        // Each worker of the proxy asks for what it is sent to when it first meets it; the check of every round counts on that.
        client.send(&Request::get("shop", "/"));
        client
    }

    fn explain(&self, mesh: &Mesh, request: &Request) -> (Outcome, Value) {
        let mut query = format!("/explain?from=default/{}&method={}", self.name, request.method);
        query.push_str(&format!(
            "&url={}",
            encoded(&format!("http://{}{}", request.host, request.target))
        ));
        for (name, value) in &request.headers {
            query.push_str(&format!("&header={name}:{value}"));
        }
        let explanation = mesh
            .control(&query)
            .unwrap_or_else(|| panic!("no explanation of {query}"));
        (outcome_of(&explanation), explanation)
    }

    fn send(&self, request: &Request) -> Outcome {
        let shop = self.shop;
        let dial = || self.spot.enter(move || Conversation::tcp(shop)).unwrap();
        let mut conversation = self.conversation.take().unwrap_or_else(dial);
        let answer = conversation
            .send(request)
            .unwrap_or_else(|error| panic!("{request:?}: {error}"));
        let keep = Some(conversation).filter(|conversation| !conversation.is_over());
        self.conversation.replace(keep);
        seen(request, &answer)
    }
}

fn seen(request: &Request, answer: &Answer) -> Outcome {
    let own = |name| answer.header(name).map(str::to_owned);
    if let Some(reason) = own("wattle-reason") {
        return Outcome {
            status: Some(answer.status),
            reason: Some(reason),
            ..Outcome::default()
        };
    }
    if let Some(location) = own("location") {
        return Outcome {
            status: Some(answer.status),
            location: Some(location),
            ..Outcome::default()
        };
    }
    assert_eq!(answer.status, 200, "{answer:?}");
    let server = match request.method.as_str() {
        "HEAD" => own("x-served-by"),
        _ => serde_json::from_slice::<Value>(&answer.body).unwrap()["name"]
            .as_str()
            .map(str::to_owned),
    };
    Outcome {
        server,
        ..Outcome::default()
    }
}

fn outcome_of(explanation: &Value) -> Outcome {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let route = &explanation["route"];
    if route["outcome"] == "redirect" {
        let (status, location) = route["detail"].as_str().unwrap().split_once(' ').unwrap();
        return Outcome {
            status: status.parse().ok(),
            location: Some(location.to_owned()),
            ..Outcome::default()
        };
    }
    let answer = &explanation["answer"];
    if let Some(reason) = text(&answer["reason"]) {
        let status = answer["status"]
            .as_u64()
            .and_then(|status| u16::try_from(status).ok());
        return Outcome {
            status,
            reason: Some(reason),
            ..Outcome::default()
        };
    }
    let backends = explanation["backends"].as_array().unwrap();
    let drawn = backends
        .iter()
        .find(|backend| backend["percent"] == 100.0)
        .unwrap_or_else(|| panic!("{explanation:#}"));
    let workloads = drawn["workloads"].as_array().unwrap();
    assert_eq!(workloads.len(), 1, "{explanation:#}");
    let server = text(&workloads[0]["workload"]).map(|name| name.trim_start_matches("default/").to_owned());
    Outcome {
        server,
        ..Outcome::default()
    }
}

/// Percent-encodes everything a query could mistake.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/".contains(&byte);
    text.bytes()
        .map(|byte| {
            if plain(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

//! Two proxies of one mesh decide alike: whatever the config, a client behind Envoy, driven by this control plane, sees the
//! same as one behind our own proxy, and so do the servers.
//!
//! What differs on purpose is in `docs/differences.md`. `WATTLE_TEST_SEED` makes another run, `WATTLE_TEST_CONFIGS` a
//! longer one; `./dev test --all` compares 300.
#![allow(clippy::unwrap_used)]

#[path = "support/dice.rs"]
mod dice;
mod support;
#[path = "support/traffic.rs"]
mod traffic;

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use dice::Dice;
use serde_json::Value;
use support::Manifests;
use wattle_testkit::{Answer, Conversation, Echo, Mesh, Need, Request, Spot, eventually, lacks};

const WATTLE: &str = env!("CARGO_BIN_EXE_wattle");
const PATIENCE: Duration = Duration::from_secs(30);
/// Configs of a short run and of a whole one, and requests for each.
const CONFIGS: usize = 40;
const ALL_CONFIGS: usize = 300;
const REQUESTS: usize = 25;
/// Longest wait for copies of a request to arrive.
const SETTLED: Duration = Duration::from_secs(1);
/// From here on an answer counts as delayed; every delay of a config is longer.
const DELAYED: Duration = Duration::from_millis(250);

const SERVERS: [&str; 3] = ["shop-v1", "shop-v2", "other"];

fn mesh_manifest(theirs: &str) -> String {
    let process = |name: &str, labels: &str, more: &str| {
        format!(
            "apiVersion: wattle.io/v1alpha1\nkind: Process\nmetadata: {{name: {name}, labels: {{{labels}}}}}\n\
             spec: {{command: [sleep, '86400'], serviceAccountName: {name}{more}}}\n"
        )
    };
    let service = |name: &str, selector: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{selector: {{{selector}}}, \
             ports: [{{name: http, port: 80, targetPort: 8080, appProtocol: http}}]}}\n"
        )
    };
    let port = ", ports: [{name: http, port: 8080, appProtocol: http}]";
    [
        process("shop-v1", "app: shop, version: v1", port),
        process("shop-v2", "app: shop, version: v2", port),
        process("other", "app: other", port),
        process("ours", "app: client", ""),
        process("theirs", "app: client", theirs),
        // What no route takes over goes to one workload, so that the outcome is certain.
        service("shop", "app: shop, version: v1"),
        service("shop-any", "app: shop"),
        service("shop-v1", "app: shop, version: v1"),
        service("shop-v2", "app: shop, version: v2"),
        service("other", "app: other"),
    ]
    .join("---\n")
}

/// What the client and the servers saw of a request.
#[derive(Clone, Debug, PartialEq)]
struct Outcome {
    status: u16,
    /// What was said directly, where no server answered.
    said: Option<String>,
    headers: Vec<(String, String)>,
    delayed: bool,
    /// What each server was asked, by its name.
    asked: Vec<Value>,
}

#[test]
fn a_client_behind_envoy_sees_what_one_behind_our_proxy_sees() {
    if lacks(&[Need::Root, Need::Envoy]) {
        return;
    }
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seed = number("WATTLE_TEST_SEED").unwrap_or(1);
    let standard = if std::env::var_os("WATTLE_TEST_ALL").is_some() {
        ALL_CONFIGS
    } else {
        CONFIGS
    };
    let configs = number("WATTLE_TEST_CONFIGS").map_or(standard, |count| usize::try_from(count).unwrap());
    let mut dice = Dice::new(seed);
    let manifests = Manifests::new(&[("mesh.yaml", &mesh_manifest(", proxy: {kind: envoy}"))]);
    let mesh = Mesh::up(WATTLE, manifests.path());
    for server in SERVERS {
        mesh.wait_ready(server);
        mesh.wait_endpoint(server);
        Echo::start(&mesh.spot(server), 8080, server).unwrap();
    }
    let mut clients = ["ours", "theirs"].map(|name| Client::of(&mesh, name));
    let mut tally = Tally::default();
    let mut differing = Vec::new();
    for round in 0..configs {
        let config = traffic::config(&mut dice, round);
        manifests.write("config.yaml", &config);
        mesh.wait_generation("PeerAuthentication", "default", &round.to_string());
        if !is_in_force(&mesh, round) {
            tally.refused += 1;
            continue;
        }
        clients.iter_mut().for_each(|client| client.waits_for(round));
        tally.configs += 1;
        for index in 0..REQUESTS {
            let key = format!("{round}-{index}");
            let request = traffic::request(&mut dice, &key);
            let [ours, theirs] = both(&mut clients, &request, &key);
            tally.count(&ours);
            if ours != theirs {
                differing.push(format!(
                    "seed {seed}, config {round}: {request:?}\nours:   {ours:?}\ntheirs: {theirs:?}\n{config}"
                ));
            }
        }
    }
    eprintln!("{} requests: {tally:?}", tally.configs * REQUESTS);
    if let Ok(path) = std::env::var("WATTLE_TEST_REPORT") {
        std::fs::write(path, differing.join("\n\n")).unwrap();
    }
    assert!(
        differing.is_empty(),
        "{} of them differ, the first:\n{}",
        differing.len(),
        differing[0]
    );
    tally.assert_varied();
    mesh.stop();
}

/// Sends a request through both proxies, and again where the outcomes differ: a decision differs each time, and what a
/// busy machine or a connection that just ends does, does not.
fn both(clients: &mut [Client; 2], request: &Request, key: &str) -> [Outcome; 2] {
    for attempt in 0..3 {
        let keys = ["ours", "theirs"].map(|who| format!("{key}-{who}-{attempt}"));
        let [ours, theirs] = clients;
        let mut outcomes = [ours.send(request, &keys[0]), theirs.send(request, &keys[1])];
        let begun = Instant::now();
        while begun.elapsed() < SETTLED {
            for (outcome, key) in outcomes.iter_mut().zip(&keys) {
                outcome.asked = asked(key);
            }
            if outcomes[0].asked == outcomes[1].asked {
                break;
            }
            std::thread::yield_now();
        }
        if outcomes[0] == outcomes[1] || attempt == 2 {
            return outcomes;
        }
    }
    unreachable!("the last attempt returns")
}

/// Headers that say who carried a request, or when, and not how it was routed.
const CARRIERS: [&str; 14] = [
    "x-request-id",
    "x-forwarded-proto",
    "x-forwarded-for",
    "x-forwarded-client-cert",
    "x-echo-key",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "date",
    "server",
    "via",
    "accept-encoding",
    "content-type",
];

fn routed<'a>(headers: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<(String, String)> {
    let mut kept: Vec<_> = headers
        .filter(|(name, _)| !CARRIERS.contains(name))
        .filter(|(name, _)| !name.starts_with("x-envoy-") && !name.starts_with("wattle-"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    kept.sort();
    kept
}

/// Takes away what differs for a reason that `docs/differences.md` gives.
fn forget_listed(request: &Request, headers: &mut Vec<(String, String)>) {
    let preflight = request
        .headers
        .iter()
        .any(|(name, _)| name == "access-control-request-method");
    let permitted = headers
        .iter()
        .any(|(name, _)| name == "access-control-allow-origin");
    headers.retain(|(name, _)| {
        let listed =
            (name.starts_with("access-control-") && !permitted) || name == "access-control-expose-headers";
        !(preflight && listed)
    });
    for (_, place) in headers.iter_mut().filter(|(name, _)| name == "location") {
        // The port that the scheme implies, which the client wrote.
        if place.starts_with("http://") {
            *place = place.replacen(":80/", "/", 1);
        }
    }
}

/// What the servers were asked with a key, without what says who carried it.
fn asked(key: &str) -> Vec<Value> {
    let mut all = Echo::asked(key);
    for one in &mut all {
        let headers = one["headers"].as_array().unwrap();
        let pairs = headers
            .iter()
            .filter_map(|pair| Some((pair[0].as_str()?, pair[1].as_str()?)));
        one["headers"] = serde_json::to_value(routed(pairs)).unwrap();
    }
    all.sort_by_key(ToString::to_string);
    all
}

struct Client {
    name: &'static str,
    spot: Spot,
    shop: SocketAddr,
    conversation: Option<Conversation<TcpStream>>,
}

impl Client {
    fn of(mesh: &Mesh, name: &'static str) -> Self {
        mesh.wait_ready(name);
        Self {
            name,
            spot: mesh.spot(name),
            shop: SocketAddr::new(mesh.service("shop"), 80),
            conversation: None,
        }
    }

    /// Waits until it sees the config of this number.
    fn waits_for(&mut self, number: usize) {
        let what = format!("{} sees config {number}", self.name);
        eventually(&what, PATIENCE, || {
            let answer = self.try_ask(&Request::get("shop", traffic::MARKER))?;
            let shown = answer
                .header("location")
                .map_or_else(|| answer.text(), str::to_owned);
            shown.contains(&traffic::shown(number)).then_some(())
        });
    }

    fn try_ask(&mut self, request: &Request) -> Option<Answer> {
        let shop = self.shop;
        let mut conversation = match self.conversation.take() {
            Some(conversation) => conversation,
            None => self.spot.enter(move || Conversation::tcp(shop)).ok()?,
        };
        let answer = conversation.send(request).ok()?;
        self.conversation = Some(conversation).filter(|conversation| !conversation.is_over());
        Some(answer)
    }

    fn send(&mut self, request: &Request, key: &str) -> Outcome {
        let mut request = request.clone();
        for (_, value) in request
            .headers
            .iter_mut()
            .filter(|(name, _)| name == "x-echo-key")
        {
            *value = key.to_owned();
        }
        let begun = Instant::now();
        let answer = self
            .try_ask(&request)
            .unwrap_or_else(|| panic!("{}: no answer to {request:?}", self.name));
        let delayed = begun.elapsed() >= DELAYED;
        let pairs = answer.headers.iter().map(|(name, value)| (&**name, &**value));
        let mut headers = routed(pairs);
        forget_listed(&request, &mut headers);
        Outcome {
            status: answer.status,
            said: Some(answer.text()).filter(|text| text == "said directly"),
            headers,
            delayed,
            asked: Vec::new(),
        }
    }
}

/// Whether the control plane took over the config of this number, which has been read.
fn is_in_force(mesh: &Mesh, number: usize) -> bool {
    let kinds = ["VirtualService", "HTTPRoute"];
    let mut objects = kinds
        .iter()
        .filter_map(|kind| mesh.control(&format!("/objects/{kind}")));
    objects.any(|objects| objects.to_string().contains(&traffic::shown(number)))
}

/// How often each kind of outcome was met: agreement on one kind alone would prove little.
#[derive(Debug, Default)]
struct Tally {
    configs: usize,
    refused: usize,
    served: usize,
    redirected: usize,
    said: usize,
    failed: usize,
    unrouted: usize,
    repeated: usize,
    delayed: usize,
}

impl Tally {
    fn count(&mut self, outcome: &Outcome) {
        let counts: [(&mut usize, bool); 7] = [
            (
                &mut self.served,
                outcome.status == 200 && !outcome.asked.is_empty(),
            ),
            (&mut self.redirected, (301..=308).contains(&outcome.status)),
            (&mut self.said, outcome.said.is_some()),
            (&mut self.failed, outcome.status >= 500),
            (
                &mut self.unrouted,
                outcome.status == 404 && outcome.asked.is_empty(),
            ),
            (&mut self.repeated, outcome.asked.len() > 1),
            (&mut self.delayed, outcome.delayed),
        ];
        for (counter, met) in counts {
            *counter += usize::from(met);
        }
    }

    fn assert_varied(&self) {
        let all = [
            self.served,
            self.redirected,
            self.said,
            self.failed,
            self.unrouted,
            self.repeated,
            self.delayed,
        ];
        assert!(all.iter().all(|count| *count >= 5), "{self:?}");
        assert!(self.refused * 5 <= self.configs, "{self:?}");
    }
}

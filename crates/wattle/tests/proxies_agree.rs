//! Two proxies of one mesh decide alike: whatever the config, a client behind Envoy, driven by this control plane, sees the
//! same as one behind our own proxy, and so do the servers.
//!
//! What differs on purpose is in `docs/differences.md`. `WATTLE_TEST_SEED` makes another run, `WATTLE_TEST_CONFIGS` a
//! longer one, `WATTLE_TEST_FROM` begins at a later config of it; `./dev test --all` compares at least 312. A run of that
//! length goes on until a config had every field that is applied to traffic: `support/coverage.rs` compares with
//! `docs/support.md` and says which are left out, and why.
#![allow(clippy::unwrap_used)]

#[path = "support/client.rs"]
mod client;
#[path = "support/coverage.rs"]
mod coverage;
#[path = "support/dice.rs"]
mod dice;
#[path = "support/greeter.rs"]
mod greeter;
#[path = "support/secured.rs"]
mod secured;
#[path = "support/seen.rs"]
mod seen;
mod support;
#[path = "support/tally.rs"]
mod tally;
#[path = "support/traffic.rs"]
mod traffic;

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use client::Client;
use coverage::Coverage;
use dice::Dice;
use seen::{Outcome, asked};
use support::Manifests;
use tally::Tally;
use traffic::{Config, SERVERS, Step, Way, World};
use wattle_testkit::{Echo, Mesh, Need, eventually, lacks};

const WATTLE: &str = env!("CARGO_BIN_EXE_wattle");
const PATIENCE: Duration = Duration::from_secs(30);
/// An address on the bridge, which no object names.
const BEYOND: Ipv4Addr = Ipv4Addr::new(10, 244, 250, 9);
/// Configs of a short run and of a whole one, and steps under each.
const CONFIGS: usize = 48;
const ALL_CONFIGS: usize = 312;
/// Most of them that are drawn: after those of a whole run, the ones with a field that none had so far are compared.
const MOST_CONFIGS: usize = 2000;
const STEPS: usize = 25;
/// Longest wait for copies of a request to arrive.
const SETTLED: Duration = Duration::from_secs(1);

/// Prefixes of Services, with name, number, target and protocol of their ports.
const SERVICES: [(&str, &str); 4] = [
    (
        "shop",
        "{name: http, port: 80, targetPort: 8080, appProtocol: http}",
    ),
    (
        "calls",
        "{name: calls, port: 90, targetPort: 9000, appProtocol: grpc}",
    ),
    (
        "bytes",
        "{name: bytes, port: 91, targetPort: 9100, appProtocol: tcp}, \
         {name: more, port: 92, targetPort: 9100, appProtocol: tcp}",
    ),
    (
        "hello",
        "{name: tls, port: 443, targetPort: 9100, appProtocol: tls}",
    ),
];

fn mesh_manifest() -> String {
    let process = |name: &str, labels: &str, more: &str| {
        format!(
            "apiVersion: wattle.io/v1alpha1\nkind: Process\nmetadata: {{name: {name}, labels: {{{labels}}}}}\n\
             spec: {{command: [sleep, '86400'], serviceAccountName: {name}{more}}}\n"
        )
    };
    let service = |name: &str, selector: &str, ports: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{selector: {{{selector}}}, ports: [{ports}]}}\n"
        )
    };
    let ports = ", ports: [{name: http, port: 8080, appProtocol: http}, \
                 {name: calls, port: 9000, appProtocol: grpc}, {name: bytes, port: 9100, appProtocol: tcp}]";
    let at =
        |region: &str| format!("topology.kubernetes.io/region: {region}, topology.kubernetes.io/zone: a");
    let (one, two) = (at("one"), at("two"));
    let mut objects = vec![
        process("shop-v1", &format!("app: shop, version: v1, {one}"), ports),
        process("shop-v2", &format!("app: shop, version: v2, {two}"), ports),
        process("other", &format!("app: other, {one}"), ports),
        process(
            "outside",
            "app: outside",
            ", proxy: {enabled: false}, ports: [{port: 8080}, {port: 8443}]",
        ),
        process("ours", &format!("app: client, {one}"), ""),
        process("theirs", &format!("app: client, {one}"), ", proxy: {kind: envoy}"),
        service("other", "app: other", SERVICES[0].1),
        service(
            "outside",
            "app: outside",
            "{name: http, port: 80, targetPort: 8080}, {name: tls, port: 443, targetPort: 8443, appProtocol: http}",
        ),
    ];
    for (prefix, ports) in SERVICES {
        // What no route takes over goes to one workload, so that the outcome is certain.
        objects.push(service(prefix, "app: shop, version: v1", ports));
        objects.push(service(&format!("{prefix}-any"), "app: shop", ports));
        objects.push(service(&format!("{prefix}-v1"), "app: shop, version: v1", ports));
        objects.push(service(&format!("{prefix}-v2"), "app: shop, version: v2", ports));
        if prefix != "shop" {
            objects.push(service(&format!("{prefix}-other"), "app: other", ports));
        }
    }
    objects.join("---\n")
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
    let manifests = Manifests::new(&[("mesh.yaml", &mesh_manifest())]);
    let foreign = secured::Domain::new();
    let federated = [("WATTLE_CONTROL_FEDERATED", &*foreign.federated())];
    let mesh = Mesh::up_in(WATTLE, manifests.path(), &federated);
    let world = serve(&mesh, &foreign);
    let mut run = Run {
        mesh: &mesh,
        manifests: &manifests,
        clients: ["ours", "theirs"].map(|name| Client::of(&mesh, name)),
        tally: Tally::default(),
        coverage: Coverage::default(),
        differing: Vec::new(),
    };
    let first = number("WATTLE_TEST_FROM").map_or(0, |first| usize::try_from(first).unwrap());
    let is_whole = first == 0 && configs >= ALL_CONFIGS;
    let mut dice = Dice::new(seed);
    for round in 0..MOST_CONFIGS.max(configs) {
        if round >= configs && (!is_whole || run.coverage.missing().is_empty()) {
            break;
        }
        let config = traffic::config(&mut dice, round, &world);
        if round < first || round >= configs && !run.coverage.wants(&config.text) {
            draw_all(&config, &mut dice);
        } else {
            run.compare(&config, round, &mut dice);
        }
    }
    run.conclude(seed, is_whole);
    if first == 0 {
        run.tally.assert_varied();
    }
    mesh.stop();
}

#[test]
fn a_whole_run_can_have_every_field() {
    let files = tempfile::tempdir().unwrap();
    std::fs::write(files.path().join("ca.pem"), "authorities").unwrap();
    let world = World {
        addresses: vec![[192, 0, 2, 1].into(); SERVERS.len()],
        outside: [192, 0, 2, 2].into(),
        beyond: BEYOND.into(),
        certificates: files.path().to_str().unwrap().to_owned(),
    };
    let (mut dice, mut coverage, mut compared) = (Dice::new(1), Coverage::default(), 0);
    for round in 0..MOST_CONFIGS {
        let config = traffic::config(&mut dice, round, &world);
        if round < ALL_CONFIGS || coverage.wants(&config.text) {
            coverage.add(&config.text);
            compared += 1;
        }
        draw_all(&config, &mut dice);
        if round >= ALL_CONFIGS && coverage.missing().is_empty() {
            break;
        }
    }
    assert!(
        coverage.missing().is_empty(),
        "no config had {:#?}",
        coverage.missing()
    );
    assert!(coverage.idle_excuses().is_empty());
    assert!(compared < ALL_CONFIGS + 20, "{compared} configs");
}

/// Throws the dice that comparing under `config` would.
fn draw_all(config: &Config, dice: &mut Dice) {
    for _ in 0..STEPS {
        config.step(dice);
    }
}

/// Starts what answers; gives where.
fn serve(mesh: &Mesh, foreign: &secured::Domain) -> World {
    for server in SERVERS {
        mesh.wait_ready(server);
        mesh.wait_endpoint(server);
        let spot = mesh.spot(server);
        Echo::start(&spot, 8080, server).unwrap();
        Echo::start_calls(&spot, 9000, server).unwrap();
        greeter::start(&spot, 9100, server);
    }
    mesh.wait_ready("outside");
    mesh.wait_endpoint("outside");
    let outside = mesh.spot("outside");
    Echo::start(&outside, 8080, "outside").unwrap();
    greeter::start(&outside, 9100, "outside");
    foreign.start(&outside, 8443);
    foreign.start_meshed(&outside, 8444, support::authority_of(mesh).bundle().unwrap());
    let beyond = mesh.bridge();
    let added = beyond.shell(&format!("ip address add {BEYOND}/32 dev lo && ip link set lo up"));
    assert!(added.status.success(), "{added:?}");
    Echo::start_at(&beyond, (BEYOND, 8080).into(), "beyond").unwrap();
    greeter::start(&beyond, 9100, "beyond");
    World {
        addresses: SERVERS.map(|server| address_of(mesh, server)).to_vec(),
        outside: address_of(mesh, "outside"),
        beyond: BEYOND.into(),
        certificates: foreign.path(),
    }
}

fn address_of(mesh: &Mesh, workload: &str) -> IpAddr {
    let workload = format!("default/{workload}");
    eventually(&format!("{workload} has an address"), PATIENCE, || {
        let endpoints = mesh.control("/endpoints")?;
        let mut all = endpoints.as_array()?.iter();
        let one = all.find(|one| one["workload"] == *workload)?;
        let address = one["address"].as_str()?;
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        host.parse().ok()
    })
}

struct Run<'a> {
    mesh: &'a Mesh,
    manifests: &'a Manifests,
    clients: [Client<'a>; 2],
    tally: Tally,
    coverage: Coverage,
    differing: Vec<String>,
}

impl Run<'_> {
    fn compare(&mut self, config: &Config, round: usize, dice: &mut Dice) {
        self.manifests.write("config.yaml", &config.text);
        self.mesh
            .wait_generation("PeerAuthentication", "default", &round.to_string());
        if !self.is_in_force(config, round) {
            self.tally.refused += 1;
            return;
        }
        self.clients
            .iter_mut()
            .for_each(|client| client.waits_for(config, round));
        self.tally.begin(config.family);
        self.coverage.add(&config.text);
        for index in 0..STEPS {
            let step = config.step(dice);
            let [ours, theirs] = both(&mut self.clients, &step, &format!("{round}-{index}"));
            self.tally.count(&step, &ours);
            if ours != theirs {
                self.differing.push(format!(
                    "config {round}: {step:?}\nours:   {ours:?}\ntheirs: {theirs:?}\n{}",
                    config.text
                ));
            }
        }
    }

    /// Whether the control plane took over every object of the config, which has been read.
    fn is_in_force(&self, config: &Config, round: usize) -> bool {
        let parsed = wattle_api::parse(&config.text, "config.yaml");
        let round = round.to_string();
        let is_new = |object: &wattle_api::Object| {
            let key = object.key();
            let path = format!("/objects/{}/{}/{}", key.kind, key.namespace, key.name);
            let shown = self.mesh.control(&path);
            shown.is_some_and(|shown| shown["manifest"]["metadata"]["annotations"]["generation"] == round)
        };
        let taken = parsed.refused.is_empty() && parsed.objects.iter().all(is_new);
        if !taken {
            eprintln!("refused: {:#?}\n{}", parsed.diagnostics, config.text);
        }
        taken
    }

    fn conclude(&self, seed: u64, is_whole: bool) {
        eprintln!("{:?}", self.tally);
        let missing = self.coverage.missing();
        if let Ok(path) = std::env::var("WATTLE_TEST_REPORT") {
            let report = format!(
                "{}\n\nnot covered:\n{}\n",
                self.differing.join("\n\n"),
                missing.join("\n")
            );
            std::fs::write(path, report).unwrap();
        }
        assert!(
            self.differing.is_empty(),
            "{} of them differ, with seed {seed} the first:\n{}",
            self.differing.len(),
            self.differing[0]
        );
        if is_whole {
            assert!(missing.is_empty(), "no config had these fields: {missing:#?}");
            assert!(self.coverage.idle_excuses().is_empty());
        }
    }
}

/// Takes a step behind both proxies, and again where the outcomes differ: a decision differs each time, and what a
/// busy machine or a connection that just ends does, does not.
fn both(clients: &mut [Client<'_>; 2], step: &Step, key: &str) -> [Outcome; 2] {
    for attempt in 0..3 {
        let keys = ["ours", "theirs"].map(|who| format!("{key}-{who}-{attempt}"));
        let [ours, theirs] = clients;
        let mut outcomes = [ours.takes(step, &keys[0]), theirs.takes(step, &keys[1])];
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
        outcomes
            .iter_mut()
            .for_each(Outcome::forget_session_of_the_overdue);
        if step.is_to_an_address() {
            outcomes.iter_mut().for_each(Outcome::forget_refusal);
            // Where it is open what an address speaks, Envoy waits for more than the word of this protocol.
            let speaks_first = matches!(step.way, Way::Bytes);
            outcomes
                .iter_mut()
                .for_each(|outcome| outcome.delayed &= !speaks_first);
        }
        if outcomes[0] == outcomes[1] || attempt == 2 {
            return outcomes;
        }
    }
    unreachable!("the last attempt returns")
}

//! Authorization as Istio documents it, case by case: the decision itself, our proxy and Envoy come to the same verdict.
//!
//! The cases are in `tests/authorization/`; [`cases`] says how they are written. `WATTLE_TEST_SET` picks sets for the
//! proxies by a part of their name.
#![allow(clippy::unwrap_used)]

#[path = "support/table/cases.rs"]
mod cases;
#[path = "support/table/pure.rs"]
mod pure;
mod support;
#[path = "support/table/world.rs"]
mod world;

use cases::{Addresses, Set, Verdict};
use wattle_testkit::{Need, lacks};
use world::{SERVERS, World};

const WATTLE: &str = env!("CARGO_BIN_EXE_wattle");
const LEAST_CASES: usize = 400;

#[test]
fn the_decision_is_what_istio_documents() {
    let names = ["alice", "bob", "carol", "plain", "ours", "theirs"];
    let place = |(name, last): (&'static str, u8)| (name, [10, 0, 0, last].into());
    let addresses: Addresses = names.into_iter().zip(1..).map(place).collect();
    let mesh = world::manifest();
    let mut wrong = Vec::new();
    for set in cases::all() {
        let manifest = set.manifest(&addresses, 1);
        let inbound = pure::compiled("ours", &[&mesh, &manifest]);
        for case in &set.cases {
            let decided = pure::decide(&inbound, case, &addresses, "ours");
            if decided != case.ours {
                wrong.push(format!(
                    "{}: {} (decided: {decided})\n{manifest}",
                    set.name, case.line
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} are not so:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn proxies_decide_what_istio_documents() {
    if lacks(&[Need::Root, Need::Envoy]) {
        return;
    }
    let only = std::env::var("WATTLE_TEST_SET").unwrap_or_default();
    let mut world = World::start(WATTLE);
    let mut wrong = Vec::new();
    let mut asked = 0;
    let sets = cases::all();
    for set in sets.iter().filter(|set| set.name.contains(&only)) {
        let manifest = world.enforce(set);
        for case in &set.cases {
            asked += 1;
            for (server, expected) in SERVERS.into_iter().zip([case.ours, case.envoy]) {
                if let Err(seen) = world.seen(server, case, expected) {
                    wrong.push(format!(
                        "{}: {} ({server}: {seen})\n{manifest}",
                        set.name, case.line
                    ));
                }
            }
        }
    }
    eprintln!("{asked} cases, each with {} servers", SERVERS.len());
    if let Ok(path) = std::env::var("WATTLE_TEST_REPORT") {
        std::fs::write(path, wrong.join("\n")).unwrap();
    }
    assert!(
        wrong.is_empty(),
        "{} are not so:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    world.stop();
}

#[test]
fn the_table_is_whole() {
    let sets = cases::all();
    let cases: Vec<_> = sets.iter().flat_map(|set| &set.cases).collect();
    assert!(cases.len() >= LEAST_CASES, "{} cases", cases.len());
    for verdict in [Verdict::Allowed, Verdict::Denied, Verdict::NotAllowed] {
        let met = cases.iter().filter(|case| case.ours == verdict).count();
        assert!(
            met * 8 >= cases.len(),
            "{met} of {} cases are {verdict}",
            cases.len()
        );
    }
    let mut names: Vec<_> = sets.iter().map(|set: &Set| &set.name).collect();
    names.sort();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all, "each set has a name of its own");
}

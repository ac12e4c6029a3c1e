//! Two years in a minute: control plane and proxies run in this process by a clock that the test moves. Leaves, issuer and
//! root are replaced under load at the lives that are the default, then everything has ended at once, and one command
//! repairs the mesh.
#![allow(clippy::unwrap_used)]

mod load;
mod member;
mod world;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use load::Load;
use wattle_capture::Netns;
use wattle_testkit::{Need, eventually, lacks};
use world::{PATIENCE, World};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// A certificate of 24 hours is due after 12 at the latest, and is good for 6 more when the clock has moved so far.
const STEP: Duration = Duration::from_secs(18 * 3600);
/// While certificates of an earlier issuer are in use: those who hold one ask within a minute.
const SHORT_STEP: Duration = Duration::from_secs(60);
const YEARS: Duration = Duration::from_secs(2 * 365 * 24 * 3600);
/// When somebody replaces the root by hand.
const BY_HAND: Duration = Duration::from_secs(100 * 24 * 3600);
/// Requests of each kind that must pass between two steps.
const BETWEEN: u64 = 2;

/// What was seen on the way.
#[derive(Default)]
struct Seen {
    steps: u64,
    issuers: BTreeSet<String>,
    roots: BTreeSet<String>,
    stages: BTreeSet<String>,
}

#[test]
fn two_years_lose_no_request_and_one_command_repairs_what_has_ended() {
    if lacks(&[Need::Root, Need::Program("ip"), Need::Program("nft")]) {
        return;
    }
    // Whatever is made from here on is in a network of its own.
    Netns::create().unwrap().enter(drill).unwrap();
}

fn drill() {
    let world = World::start();
    eventually("a first answer", PATIENCE, || world.answers().then_some(()));
    let begun = Instant::now();
    let load = Load::start(world.client.spot, world.kept, world.fresh);
    let seen = two_years(&world, &load);
    let leaves = world
        .members()
        .map(|member| member.status()["certificate"]["renewals"].as_u64().unwrap());
    let handshakes = world.server.handshakes();
    let [kept, fresh] = load.finish();
    eprintln!(
        "two years in {:.0?}: {} steps, {kept} requests on kept connections, {fresh} with a connection each, {handshakes} \
         handshakes, {leaves:?} certificates, {} issuers, {} roots",
        begun.elapsed(),
        seen.steps,
        seen.issuers.len(),
        seen.roots.len(),
    );
    // Every step makes every certificate due.
    let days = YEARS.as_secs() / DAY.as_secs();
    assert!(
        leaves.iter().all(|count| *count > days),
        "{leaves:?} certificates"
    );
    assert!(
        fresh > days && handshakes > fresh,
        "{fresh} connections, {handshakes} handshakes"
    );
    assert_eq!(
        seen.issuers.len(),
        5,
        "the first, one with each new root, two by their age"
    );
    assert_eq!(seen.roots.len(), 3, "one by hand, one by its age");
    // Of the spreading before it is seen only where a proxy's stream was down just then.
    for stage in ["renewing", "steady"] {
        assert!(seen.stages.contains(stage), "{:?}", seen.stages);
    }
    repair(&world);
    world.stop();
}

/// Moves the clock whenever nobody has anything to do.
fn two_years(world: &World, load: &Load) -> Seen {
    let mut seen = Seen::default();
    let (start, mut by_hand) = (world.clock.now(), true);
    loop {
        let gone = world.clock.now().duration_since(start).unwrap();
        if by_hand && gone >= BY_HAND {
            by_hand = false;
            world.hearing();
            world.wattle(&["rotate", "root"]).unwrap();
        }
        let stage = world.settled();
        load.pass(BETWEEN);
        let rotation = world.admin("GET", "/rotation");
        seen.issuers.insert(rotation["signing"]["issuer"].to_string());
        seen.roots.insert(rotation["signing"]["root"].to_string());
        if gone >= YEARS && stage == "steady" {
            return seen;
        }
        let step = if stage == "steady" { STEP } else { SHORT_STEP };
        seen.stages.insert(stage);
        seen.steps += 1;
        world.hand.advance(step);
    }
}

/// Everything ends, nobody is let in, and the command makes all anew.
fn repair(world: &World) {
    assert!(world.wattle(&["repair"]).is_err(), "there is nothing to repair");
    world.hand.advance(YEARS * 10);
    eventually("who has ended is refused, for that reason", PATIENCE, || {
        (world.refusal()? == "upstream_certificate_expired").then_some(())
    });
    eventually("the control plane says so", PATIENCE, || {
        (world.admin("GET", "/rotation")["expired"] == true).then_some(())
    });
    for member in world.members() {
        assert_eq!(member.status()["ready"], false);
    }
    assert!(
        world.wattle(&["certs"]).is_err(),
        "it says that the authority has ended"
    );
    world.wattle(&["repair"]).unwrap();
    // `wattle up` does this by itself.
    world.hand_out();
    eventually("requests are answered again", PATIENCE, || {
        world.answers().then_some(())
    });
    let load = Load::start(world.client.spot, world.kept, world.fresh);
    for _ in 0..10 {
        load.pass(10);
        world.hand.advance(HOUR);
    }
    let _ = load.finish();
}

//! Which copies are asked: the near ones first, new ones little by little, the same one for the same key, on real proxies.
#![allow(clippy::unwrap_used)]

#[path = "support/flaky.rs"]
mod flaky;

use std::collections::BTreeSet;
use std::net::SocketAddr;

use flaky::{PATIENCE, World, process};
use serde_json::Value;
use wattle_testkit::{Conversation, Request, eventually};

const WEST: &str = ", topology.kubernetes.io/region: west, topology.kubernetes.io/zone: west-1";
const NEAR: &str = ", topology.kubernetes.io/region: west, topology.kubernetes.io/zone: west-2";
const EAST: &str = ", topology.kubernetes.io/region: east, topology.kubernetes.io/zone: east-1";

#[test]
fn requests_stay_near_fail_over_by_distance_and_return() {
    let policy = "
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: flaky}
spec:
  host: flaky
  trafficPolicy:
    loadBalancer: {localityLbSetting: {enabled: true}}
    outlierDetection: {consecutive5xxErrors: 2, interval: 1s, baseEjectionTime: 2s, maxEjectionPercent: 100}
";
    let copies = [("here", WEST), ("near", NEAR), ("far", EAST)];
    let Some(world) = World::start(&copies, WEST, policy) else {
        return;
    };
    let only = |name: &str| {
        eventually(name, PATIENCE, || {
            let counts = world.count(20);
            let those = counts
                .keys()
                .all(|(server, status)| server == name && *status == 200);
            those.then_some(())
        });
    };
    only("here");
    world.tell("here", true);
    only("near");
    world.tell("near", true);
    only("far");
    world.tell("near", false);
    only("near");
    world.tell("here", false);
    only("here");
    world.mesh.stop();
}

#[test]
fn requests_are_distributed_over_localities_as_written() {
    let policy = "
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: flaky}
spec:
  host: flaky
  trafficPolicy:
    loadBalancer:
      localityLbSetting:
        distribute: [{from: 'west/*', to: {'west/*': 80, 'east/*': 20}}]
";
    let Some(world) = World::start(&[("here", WEST), ("far", EAST)], WEST, policy) else {
        return;
    };
    let counts = world.count(1000);
    let here = counts[&("here".to_owned(), 200)];
    // Four standard deviations of 1,000 draws at 80% are 51.
    assert!((749..=851).contains(&here), "{counts:?}");
    world.mesh.stop();
}

#[test]
fn a_new_copy_gets_its_share_little_by_little() {
    let policy = "
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: flaky}
spec:
  host: flaky
  trafficPolicy:
    loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 30s, minimumPercent: 10, aggression: 1}}
";
    let Some(world) = World::start(&[("one", "")], "", policy) else {
        return;
    };
    let new = ("new".to_owned(), 200);
    world.write("new.yaml", &process("flaky", "new", "", ""));
    let first = eventually("the new copy answers", PATIENCE, || {
        world.count(100).get(&new).copied()
    });
    assert!(first <= 35, "{first} of the first 100 requests");
    let share = |least: u32| move |counts: u32| (counts >= least).then_some(counts);
    for (what, least) in [("it gets more", 36), ("it gets its share", 48)] {
        let enough = share(least);
        eventually(what, PATIENCE, || {
            world.count(100).get(&new).copied().and_then(enough)
        });
    }
    world.mesh.stop();
}

/// Keys of the test of hashing, and copies.
const KEYS: usize = 2000;
const COPIES: usize = 10;

#[test]
fn by_hash_hardly_more_keys_move_than_those_of_a_copy_that_leaves() {
    let policy = "
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: flaky}
spec:
  host: flaky
  trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user, ringHash: {minimumRingSize: 1024}}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: maglev}
spec:
  host: maglev
  trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: x-user, maglev: {}}}}
---
apiVersion: v1
kind: Service
metadata: {name: maglev}
spec: {selector: {app: flaky}, ports: [{name: http, port: 8000}]}
";
    let names: Vec<_> = (1..COPIES).map(|number| format!("copy-{number}")).collect();
    let copies: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    let Some(world) = World::start(&copies, "", policy) else {
        return;
    };
    world.write("leaver.yaml", &process("flaky", "leaver", "", ""));
    let balances = ["flaky", "maglev"].map(|name| SocketAddr::new(world.mesh.service(name), 8000));
    let before = balances.map(|service| {
        eventually("all copies are asked", PATIENCE, || {
            let homes = homes(&world, service)?;
            (homes.iter().collect::<BTreeSet<_>>().len() == COPIES).then_some(homes)
        })
    });
    world.remove("leaver.yaml");
    for (service, before) in balances.into_iter().zip(before) {
        let after = eventually("the copy that left is not asked", PATIENCE, || {
            homes(&world, service).filter(|homes| homes.iter().all(|home| home != "leaver"))
        });
        let pairs = || before.iter().zip(&after);
        let left = before.iter().filter(|home| *home == "leaver").count();
        let moved = pairs().filter(|(before, after)| before != after).count();
        eprintln!("{service}: {moved} of {KEYS} keys moved, {left} of them of the copy that left");
        assert!(moved * 10 * COPIES <= 13 * KEYS, "{moved} keys moved");
        if service == balances[0] {
            assert_eq!(moved, left, "on a ring every key whose copy stays keeps it");
        }
    }
    world.mesh.stop();
}

/// Who answers the requests of each user; nothing when one is not answered well.
fn homes(world: &World, service: SocketAddr) -> Option<Vec<String>> {
    world.client().enter(|| {
        let mut kept = Conversation::tcp(service).ok()?;
        let home = |user| {
            let request = Request {
                headers: vec![("x-user".to_owned(), format!("user-{user}"))],
                ..Request::get("flaky:8000", "/")
            };
            let answer = kept.send(&request).ok().filter(|answer| answer.status == 200)?;
            let body: Value = serde_json::from_slice(&answer.body).ok()?;
            Some(body["name"].as_str()?.to_owned())
        };
        (0..KEYS).map(home).collect()
    })
}

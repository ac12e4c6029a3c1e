//! Which copies are asked: the near ones first, and new ones little by little, on real proxies.
#![allow(clippy::unwrap_used)]

#[path = "support/flaky.rs"]
mod flaky;

use flaky::{PATIENCE, World, process};
use wattle_testkit::eventually;

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

//! How traffic spreads over endpoints: simulated servers under a simulated clock.
#![allow(clippy::unwrap_used)]

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use wattle_balance::{Config, Endpoint, EndpointSet, Health, HealthConfig, Outcome, Picked};

const MS: u64 = 1_000_000;

fn endpoint(index: u8, weight: u32) -> Endpoint {
    Endpoint {
        address: SocketAddr::from(([10, 0, 0, index], 80)),
        instance: Arc::from(""),
        weight,
        priority: 0,
        locality: None,
        locality_weight: 0,
    }
}

fn set_of(weights: &[u32]) -> EndpointSet<usize> {
    set_with(weights, Config::default())
}

fn set_with(weights: &[u32], config: Config) -> EndpointSet<usize> {
    let mut set = EndpointSet::new(config);
    let endpoints = weights
        .iter()
        .enumerate()
        .map(|(index, &weight)| endpoint(index as u8, weight))
        .collect();
    set.update(endpoints, 0, |endpoint| match endpoint.address {
        SocketAddr::V4(address) => usize::from(address.ip().octets()[3]),
        SocketAddr::V6(_) => unreachable!("the endpoints above have IPv4 addresses"),
    });
    set
}

/// A repeatable stand-in for the caller's randomness.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A latency of `mean`, give or take a fifth.
    fn around(&mut self, mean: u64) -> u64 {
        mean * 4 / 5 + self.next() % (mean * 2 / 5).max(1)
    }
}

/// Sends a request every `interval`, answered as `answer` says, and counts where they went.
fn simulate(
    set: &EndpointSet<usize>,
    times: std::ops::Range<u64>,
    interval: u64,
    mut answer: impl FnMut(usize, &mut Random) -> (u64, Outcome),
) -> Vec<u32> {
    let mut random = Random(0x5eed);
    let mut counts = vec![0; set.len()];
    let mut open: BinaryHeap<Reverse<(u64, usize)>> = BinaryHeap::new();
    let mut guards: Vec<Option<(Picked<usize>, u64, Outcome)>> = Vec::new();
    let mut now = times.start;
    while now < times.end {
        while let Some(&Reverse((end, index))) = open.peek()
            && end <= now
        {
            open.pop();
            let (mut picked, latency, outcome) = guards[index].take().unwrap();
            picked.outcome(latency, outcome);
        }
        let picked = set.pick(random.next(), now, &[]).unwrap();
        let server = *picked.member().payload();
        counts[server] += 1;
        let (latency, outcome) = answer(server, &mut random);
        open.push(Reverse((now + latency, guards.len())));
        guards.push(Some((picked, latency, outcome)));
        now += interval;
    }
    counts
}

fn share(counts: &[u32], index: usize) -> f64 {
    f64::from(counts[index]) / f64::from(counts.iter().sum::<u32>())
}

#[test]
fn equal_endpoints_share_the_traffic_about_equally() {
    let set = set_of(&[1; 5]);
    let counts = simulate(&set, 0..20_000 * MS, MS, |_, random| {
        (random.around(8 * MS), Outcome::Success)
    });
    for index in 0..5 {
        let share = share(&counts, index);
        assert!((0.15..=0.25).contains(&share), "{counts:?}");
    }
}

#[test]
fn one_slow_endpoint_of_five_gets_little_traffic() {
    let set = set_of(&[1; 5]);
    let counts = simulate(&set, 0..20_000 * MS, MS, |server, random| {
        let mean = if server == 2 { 200 * MS } else { 5 * MS };
        (random.around(mean), Outcome::Success)
    });
    assert!(share(&counts, 2) < 0.03, "{counts:?}");
}

#[test]
fn an_endpoint_that_refuses_connections_gets_almost_nothing_and_returns_after_recovery() {
    let set = set_of(&[1; 5]);
    let broken = simulate(&set, 0..30_000 * MS, MS, |server, random| match server {
        3 => (MS / 10, Outcome::ConnectFailure),
        _ => (random.around(5 * MS), Outcome::Success),
    });
    assert!(broken[3] < 30, "{broken:?}");
    let whole = simulate(&set, 30_000 * MS..90_000 * MS, MS, |_, random| {
        (random.around(5 * MS), Outcome::Success)
    });
    assert!(share(&whole, 3) > 0.1, "{whole:?}");
}

#[test]
fn an_endpoint_that_fails_fast_attracts_no_traffic_even_without_ejection() {
    let set = set_of(&[1; 5]);
    let broken = simulate(&set, 0..30_000 * MS, MS, |server, random| match server {
        1 => (MS / 10, Outcome::Failure),
        _ => (random.around(5 * MS), Outcome::Success),
    });
    assert!(share(&broken, 1) < 0.01, "{broken:?}");
    let whole = simulate(&set, 30_000 * MS..120_000 * MS, MS, |_, random| {
        (random.around(5 * MS), Outcome::Success)
    });
    assert!(share(&whole, 1) > 0.1, "{whole:?}");
}

#[test]
fn weights_hold_within_a_point_over_20_000_requests_while_all_endpoints_are_alike() {
    let set = set_of(&[70, 20, 10]);
    let counts = simulate(&set, 0..20_000 * 5 * MS, 5 * MS, |_, random| {
        (random.around(2 * MS), Outcome::Success)
    });
    for (index, wanted) in [(0, 0.70), (1, 0.20), (2, 0.10)] {
        let got = share(&counts, index);
        assert!((got - wanted).abs() < 0.01, "{counts:?}");
    }
}

#[test]
fn a_heavy_endpoint_that_is_much_slower_loses_traffic_all_the_same() {
    let set = set_of(&[50, 25, 25]);
    let counts = simulate(&set, 0..20_000 * MS, MS, |server, random| {
        let mean = if server == 0 { 300 * MS } else { 3 * MS };
        (random.around(mean), Outcome::Success)
    });
    assert!(share(&counts, 0) < 0.3, "{counts:?}");
}

#[test]
fn a_new_endpoint_is_tried_with_one_request_at_a_time_until_it_has_answered() {
    let mut set = set_of(&[1; 4]);
    simulate(&set, 0..1_000 * MS, MS, |_, _| (2 * MS, Outcome::Success));
    let endpoints = (0..5).map(|index| endpoint(index, 1)).collect();
    set.update(endpoints, 1_000 * MS, |_| 4);
    let mut random = Random(99);
    let open: Vec<_> = (0..40)
        .map(|_| set.pick(random.next(), 1_000 * MS, &[]).unwrap())
        .collect();
    let fresh = open.iter().filter(|picked| *picked.member().payload() == 4);
    assert_eq!(fresh.count(), 1);
}

#[test]
fn when_every_endpoint_is_out_one_is_taken_all_the_same_and_says_so() {
    let set = set_of(&[1; 3]);
    let mut random = Random(3);
    while set.members().any(|member| member.health(MS) == Health::Healthy) {
        let mut picked = set.pick(random.next(), MS, &[]).unwrap();
        assert!(!picked.panic());
        picked.outcome(0, Outcome::ConnectFailure);
    }
    let mut last = set.pick(random.next(), 2 * MS, &[]).unwrap();
    assert!(last.panic());
    last.outcome(0, Outcome::Success);
    assert_eq!(last.member().health(2 * MS), Health::Healthy);
}

#[test]
fn after_the_backoff_exactly_one_request_tries_the_endpoint() {
    let set = set_of(&[1, 1]);
    let mut random = Random(11);
    let victim = set.members().next().unwrap().clone();
    while victim.health(0) == Health::Healthy {
        let mut picked = set.pick(random.next(), 0, &[]).unwrap();
        if picked.member().id() == victim.id() {
            picked.outcome(0, Outcome::ConnectFailure);
        }
    }
    let now = 150 * MS;
    let open: Vec<_> = (0..50)
        .map(|_| set.pick(random.next(), now, &[]).unwrap())
        .collect();
    assert_eq!(open.iter().filter(|picked| picked.probe()).count(), 1);
    assert_eq!(victim.in_flight(), 1);
    drop(open);
    assert_eq!(victim.health(now), Health::ProbeDue);
}

#[test]
fn an_endpoint_whose_probe_is_due_is_tried_at_once_although_others_look_better() {
    let set = set_of(&[1, 1]);
    let mut random = Random(23);
    let victim = set.members().next().unwrap().clone();
    for _ in 0..50 {
        let mut picked = set.pick(random.next(), 0, &[]).unwrap();
        match picked.member().id() == victim.id() {
            true => picked.outcome(MS, Outcome::ConnectFailure),
            false => picked.outcome(MS, Outcome::Success),
        }
    }
    let probe = set.pick(random.next(), 150 * MS, &[]).unwrap();
    assert!(probe.probe());
    let other = set.pick(random.next(), 150 * MS, &[]).unwrap();
    assert_ne!(other.member().id(), victim.id());
}

#[test]
fn a_retry_avoids_what_it_has_tried_unless_there_is_nothing_else_that_works() {
    let set = set_of(&[1, 1, 1]);
    let ids: Vec<_> = set.members().map(|member| member.id()).collect();
    let mut random = Random(5);
    for _ in 0..200 {
        let picked = set.pick(random.next(), 0, &ids[..2]).unwrap();
        assert_eq!(picked.member().id(), ids[2]);
    }
    assert!(set.pick(random.next(), 0, &ids).is_some());
}

#[test]
fn consecutive_failures_eject_where_that_is_configured() {
    let health = HealthConfig {
        failures: 5,
        backoff: Duration::from_secs(1),
        ..HealthConfig::default()
    };
    let set = set_with(
        &[1; 3],
        Config {
            health,
            ..Config::default()
        },
    );
    let counts = simulate(&set, 0..5_000 * MS, MS, |server, _| match server {
        0 => (MS, Outcome::Failure),
        _ => (MS, Outcome::Success),
    });
    assert!(counts[0] < 12, "{counts:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_removed_or_weightless_endpoint_is_ever_picked_and_loads_add_up(
        steps in proptest::collection::vec((0u8..4, any::<u64>(), any::<u16>()), 1..120)
    ) {
        let mut set = set_of(&[1; 6]);
        let mut present: u16 = 0b11_1111;
        let mut open: Vec<Picked<usize>> = Vec::new();
        let mut now = 0u64;
        for (step, random, bits) in steps {
            now += u64::from(bits) * 10_000;
            match step {
                0 => {
                    present = bits & 0b11_1111;
                    let weight = |index: u8| u32::from((bits >> 6) >> index & 1) + 1;
                    let endpoints = (0..6)
                        .map(|index| endpoint(index, if present >> index & 1 == 1 { weight(index) } else { 0 }))
                        .collect();
                    set.update(endpoints, now, |endpoint| usize::from(endpoint.address.port()));
                }
                1 => if let Some(mut picked) = open.pop() {
                    let outcomes = [Outcome::Success, Outcome::Failure, Outcome::ConnectFailure, Outcome::Cancelled];
                    picked.outcome(random % (100 * MS), outcomes[usize::from(bits % 4)]);
                },
                _ => {
                    let avoid: Vec<_> = set.members().take(usize::from(bits % 3)).map(|member| member.id()).collect();
                    let picked = set.pick(random, now, &avoid);
                    prop_assert_eq!(picked.is_none(), present == 0);
                    if let Some(picked) = picked {
                        prop_assert!(set.members().any(|member| member.id() == picked.member().id()));
                        open.push(picked);
                    }
                }
            }
            for member in set.members() {
                let held = open.iter().filter(|picked| picked.member().id() == member.id()).count();
                prop_assert_eq!(member.in_flight() as usize, held);
                prop_assert!(member.estimate_ns(now).is_finite());
            }
        }
    }
}

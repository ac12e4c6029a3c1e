//! What part of the traffic each endpoint gets, by each way to choose.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{MS, Random, SECOND, answer, count, endpoint, set_of, weighted};
use wattle_balance::{Balance, Config, HealthConfig, Outcome, SlowStart, hash_bytes};

const EVERY_WAY: [Balance; 6] = [
    Balance::PeakEwma,
    Balance::RoundRobin,
    Balance::Random,
    Balance::LeastRequest {
        active_request_bias: 1.0,
    },
    Balance::RingHash {
        minimum_ring_size: 16_384,
        maximum_ring_size: 65_536,
    },
    Balance::Maglev { table_size: 65_537 },
];

fn config(balance: Balance) -> Config {
    Config {
        balance,
        ..Config::default()
    }
}

#[test]
fn weights_hold_within_a_point_over_20_000_requests_by_every_way() {
    for balance in EVERY_WAY {
        let set = set_of(weighted(&[50, 30, 15, 5]), config(balance));
        let counts = count(&set, 0, 20_000, 4);
        for (got, wanted) in counts.iter().zip([50.0, 30.0, 15.0, 5.0]) {
            let percent = f64::from(*got) / 200.0;
            assert!((percent - wanted).abs() < 1.0, "{balance:?}: {counts:?}");
        }
    }
}

#[test]
fn no_way_chooses_what_is_out_or_avoided_while_there_is_something_else() {
    for balance in EVERY_WAY {
        let set = set_of(weighted(&[1; 5]), config(balance));
        answer(&set, 2, 0, &[Outcome::ConnectFailure]);
        let tried: Vec<_> = set.members().take(2).map(|member| member.id()).collect();
        let mut random = Random(1);
        for _ in 0..500 {
            let picked = set.pick(random.next(), MS, &tried).unwrap();
            assert!(*picked.member().payload() > 2, "{balance:?}");
            assert!(!picked.panic());
        }
    }
}

#[test]
fn every_way_tries_an_endpoint_again_once_its_backoff_is_over() {
    for balance in EVERY_WAY {
        let set = set_of(weighted(&[1; 5]), config(balance));
        answer(&set, 2, 0, &[Outcome::ConnectFailure]);
        let counts = count(&set, SECOND, 1_000, 5);
        assert!(counts[2] > 0, "{balance:?}: {counts:?}");
    }
}

#[test]
fn where_nearly_all_are_out_the_rest_is_found_by_every_way() {
    for balance in EVERY_WAY {
        let mut set = set_of(weighted(&[1; 2_000]), config(balance));
        let kept = 1_234;
        let health = HealthConfig {
            backoff: Duration::from_secs(60),
            max_backoff: Duration::from_secs(60),
            ..HealthConfig::default()
        };
        set.configure(
            Config {
                health,
                ..config(balance)
            },
            0,
        );
        let one: Vec<_> = set
            .members()
            .skip(kept)
            .take(1)
            .map(|member| member.id())
            .collect();
        let mut random = Random(4);
        for _ in 0..1_999 {
            set.pick(random.next(), 0, &one)
                .unwrap()
                .outcome(0, Outcome::ConnectFailure);
        }
        for _ in 0..20 {
            let picked = set.pick(random.next(), 1, &[]).unwrap();
            assert_eq!(*picked.member().payload(), kept, "{balance:?}");
        }
    }
}

#[test]
fn least_request_leaves_a_busy_endpoint_alone_with_and_without_weights() {
    for weights in [[1, 1, 1], [3, 2, 2]] {
        let set = set_of(weighted(&weights), config(Balance::least_request()));
        let others: Vec<_> = set.members().skip(1).map(|member| member.id()).collect();
        let mut random = Random(2);
        let busy: Vec<_> = (0..20)
            .map(|_| set.pick(random.next(), 0, &others).unwrap())
            .collect();
        let counts = count(&set, 0, 3_000, 3);
        let share = f64::from(counts[0]) / 3_000.0;
        assert!(share < 0.1, "{weights:?}: {counts:?}");
        drop(busy);
    }
}

#[test]
fn workers_with_different_seeds_do_not_begin_their_rounds_at_the_same_endpoint() {
    let first = |seed| {
        let config = Config {
            seed,
            ..config(Balance::RoundRobin)
        };
        let set = set_of(weighted(&[1; 8]), config);
        *set.pick(0, 0, &[]).unwrap().member().payload()
    };
    let mut firsts: Vec<_> = (0..64).map(first).collect();
    firsts.sort_unstable();
    firsts.dedup();
    assert!(firsts.len() >= 6, "{firsts:?}");
}

/// The percentage that an endpoint which joined four others `age` ago gets of a fifth.
fn warmth(balance: Balance, age: u64) -> f64 {
    let slow_start = SlowStart {
        window: Duration::from_secs(100),
        ..SlowStart::default()
    };
    let config = Config {
        slow_start: Some(slow_start),
        ..config(balance)
    };
    let mut set = set_of(weighted(&[1; 4]), config);
    let joined = 1_000 * SECOND;
    set.update(weighted(&[1; 5]), joined, common::number);
    let counts = count(&set, joined + age, 40_000, 5);
    let others = f64::from(counts[..4].iter().sum::<u32>()) / 4.0;
    f64::from(counts[4]) * 100.0 / others
}

#[test]
fn a_new_endpoint_takes_its_share_little_by_little() {
    for (age, wanted) in [(0, 10.0), (25, 25.0), (50, 50.0), (100, 100.0)] {
        for balance in [Balance::RoundRobin, Balance::least_request()] {
            let got = warmth(balance, age * SECOND);
            assert!((got - wanted).abs() < 3.0, "{balance:?} after {age} s: {got}%");
        }
        // Whether two choices take the drawn one depends on latency too.
        let got = warmth(Balance::PeakEwma, age * SECOND);
        assert!(got <= wanted * 2.0 + 5.0, "after {age} s: {got}%");
    }
    assert!(warmth(Balance::PeakEwma, 100 * SECOND) > 80.0);
}

#[test]
fn the_first_endpoints_of_a_set_start_in_full() {
    let config = Config {
        slow_start: Some(SlowStart::default()),
        ..config(Balance::RoundRobin)
    };
    let set = set_of(weighted(&[3, 1]), config);
    assert_eq!(count(&set, 1, 400, 2), [300, 100]);
}

#[test]
fn a_key_goes_to_the_same_endpoint_in_every_proxy_and_worker() {
    for balance in [Balance::ring_hash(), Balance::maglev()] {
        let forth = set_of(weighted(&[2, 1, 1, 1, 3]), config(balance));
        let mut endpoints = weighted(&[2, 1, 1, 1, 3]);
        endpoints.reverse();
        let other = Config {
            seed: 99,
            ..config(balance)
        };
        let back = set_of(endpoints, other);
        for key in 0..1_000u64 {
            let hash = hash_bytes(&key.to_be_bytes());
            let here = forth.pick_by_hash(hash, key, 0, &[]).unwrap();
            let there = back.pick_by_hash(hash, !key, MS, &[]).unwrap();
            assert_eq!(here.member().payload(), there.member().payload(), "{balance:?}");
        }
    }
}

/// Where each of many keys goes.
fn homes(balance: Balance, without: Option<u16>, endpoints: u16) -> Vec<usize> {
    let kept = (0..endpoints).filter(|&number| Some(number) != without);
    let set = set_of(kept.map(endpoint).collect(), config(balance));
    let home = |key: u64| {
        let picked = set.pick_by_hash(hash_bytes(&key.to_be_bytes()), 0, 0, &[]);
        *picked.unwrap().member().payload()
    };
    (0..20_000).map(home).collect()
}

#[test]
fn an_endpoint_that_leaves_moves_hardly_more_than_its_own_keys() {
    for balance in [Balance::ring_hash(), Balance::maglev()] {
        for endpoints in [2, 3, 5, 10, 20, 50] {
            let before = homes(balance, None, endpoints);
            let limit = 1.3 * 20_000.0 / f64::from(endpoints);
            let moved: Vec<_> = (0..endpoints.min(4))
                .map(|gone| {
                    let after = homes(balance, Some(gone), endpoints);
                    before
                        .iter()
                        .zip(&after)
                        .filter(|(left, right)| left != right)
                        .count()
                })
                .collect();
            assert!(
                moved.iter().all(|&moved| moved as f64 <= limit),
                "{balance:?} of {endpoints}: {moved:?} over {limit}"
            );
        }
    }
}

#[test]
fn on_the_ring_only_the_keys_of_the_endpoint_that_leaves_move() {
    let before = homes(Balance::ring_hash(), None, 10);
    let after = homes(Balance::ring_hash(), Some(4), 10);
    for (before, after) in before.iter().zip(&after) {
        assert!(before == after || *before == 4);
    }
}

#[test]
fn the_keys_of_an_endpoint_that_is_out_spread_over_the_others_and_come_back_to_it() {
    for balance in [Balance::ring_hash(), Balance::maglev()] {
        let before = homes(balance, None, 10);
        let set = set_of((0..10).map(endpoint).collect(), config(balance));
        answer(&set, 4, 0, &[Outcome::ConnectFailure]);
        let mut heirs = [0u32; 10];
        for (key, &home) in before.iter().enumerate() {
            let picked = set
                .pick_by_hash(hash_bytes(&(key as u64).to_be_bytes()), 0, 1, &[])
                .unwrap();
            let now = *picked.member().payload();
            assert!(home == 4 || now == home);
            heirs[now] += u32::from(home == 4);
        }
        assert_eq!(
            heirs.iter().filter(|&&keys| keys > 0).count(),
            9,
            "{balance:?}: {heirs:?}"
        );
        answer(&set, 4, SECOND, &[Outcome::Success]);
        let back = set.pick_by_hash(
            hash_bytes(&(before.iter().position(|&home| home == 4).unwrap() as u64).to_be_bytes()),
            0,
            SECOND,
            &[],
        );
        assert_eq!(*back.unwrap().member().payload(), 4);
    }
}

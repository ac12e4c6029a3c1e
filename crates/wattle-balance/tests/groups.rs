//! Priorities, localities and panic, over whole sets.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{Random, SECOND, answer, count, endpoint, set_of};
use wattle_balance::{Balance, Config, Endpoint, EndpointSet, Health, HealthConfig, Outcome, Panic};

/// `size` endpoints for each priority, numbered on.
fn priorities(count: u32, size: u16) -> Vec<Endpoint> {
    let all = (0..count).flat_map(|priority| {
        (0..size).map(move |number| Endpoint {
            priority: priority * 10,
            ..endpoint(priority as u16 * size + number)
        })
    });
    all.collect()
}

/// Endpoints that stay out for good once a connect failed.
fn stubborn(balance: Balance, panic: Panic) -> Config {
    let health = HealthConfig {
        backoff: Duration::from_secs(3_600),
        max_backoff: Duration::from_secs(3_600),
        ..HealthConfig::default()
    };
    Config {
        balance,
        panic,
        health,
        ..Config::default()
    }
}

fn take_out(set: &EndpointSet<usize>, numbers: impl IntoIterator<Item = usize>) {
    for number in numbers {
        answer(set, number, 0, &[Outcome::ConnectFailure]);
    }
}

/// Percent of the traffic by groups of so many endpoints.
fn percent(counts: &[u32], size: usize) -> Vec<f64> {
    let total = f64::from(counts.iter().sum::<u32>());
    counts
        .chunks(size)
        .map(|group| f64::from(group.iter().sum::<u32>()) * 100.0 / total)
        .collect()
}

fn near(got: &[f64], wanted: &[f64]) -> bool {
    got.iter()
        .zip(wanted)
        .all(|(got, wanted)| (got - wanted).abs() < 1.5)
}

#[test]
fn while_the_first_priority_is_well_it_takes_everything() {
    for balance in [Balance::PeakEwma, Balance::RoundRobin, Balance::maglev()] {
        let set = set_of(priorities(3, 4), stubborn(balance, Panic::WhenAllOut));
        take_out(&set, [1]);
        let counts = count(&set, 1, 2_000, 12);
        assert!(near(&percent(&counts, 4), &[100.0, 0.0, 0.0]), "{counts:?}");
    }
}

#[test]
fn as_the_first_priority_fails_the_next_take_over_what_it_cannot() {
    let table: [(usize, usize, [f64; 3]); 4] = [
        (10, 0, [70.0, 30.0, 0.0]),
        (15, 0, [35.0, 65.0, 0.0]),
        (15, 15, [35.0, 35.0, 30.0]),
        (20, 20, [0.0, 0.0, 100.0]),
    ];
    for balance in [Balance::PeakEwma, Balance::Random, Balance::ring_hash()] {
        for (first, second, wanted) in table {
            let set = set_of(priorities(3, 20), stubborn(balance, Panic::WhenAllOut));
            take_out(&set, (0..first).chain(20..20 + second));
            let counts = count(&set, 1, 20_000, 60);
            let got = percent(&counts, 20);
            assert!(near(&got, &wanted), "{balance:?} {first} {second}: {got:?}");
        }
    }
}

#[test]
fn a_priority_without_any_traffic_is_probed_and_takes_it_back() {
    let set = set_of(priorities(2, 3), Config::default());
    take_out(&set, 0..3);
    assert!(near(&percent(&count(&set, 1, 100, 6), 3), &[0.0, 100.0]));
    let later = count(&set, 10 * SECOND, 100, 6);
    assert!(later[..3].iter().sum::<u32>() > 90, "{later:?}");
    let unmeasured = set
        .members()
        .filter(|member| member.health(10 * SECOND) != Health::Healthy);
    assert_eq!(unmeasured.count(), 0);
}

#[test]
fn a_retry_that_has_tried_a_whole_priority_goes_on_to_the_next() {
    let set = set_of(priorities(2, 2), Config::default());
    let tried: Vec<_> = set.members().take(2).map(|member| member.id()).collect();
    let mut random = Random(8);
    for _ in 0..50 {
        let picked = set.pick(random.next(), 0, &tried).unwrap();
        assert!(*picked.member().payload() >= 2 && !picked.panic());
    }
}

#[test]
fn below_the_panic_threshold_health_is_disregarded() {
    let spread = |panic| {
        let set = set_of(priorities(1, 10), stubborn(Balance::RoundRobin, panic));
        take_out(&set, 0..6);
        let mut random = Random(6);
        let mut counts = [0; 10];
        for _ in 0..1_000 {
            // Given up, since one that succeeds would be back.
            counts[*set.pick(random.next(), 1, &[]).unwrap().member().payload()] += 1;
        }
        counts
    };
    let only_fit = |counts: &[i32]| counts[..6].iter().sum::<i32>() == 0;
    assert!(only_fit(&spread(Panic::WhenAllOut)));
    assert!(only_fit(&spread(Panic::Below(40))));
    assert!(only_fit(&spread(Panic::Never)));
    let panicking = spread(Panic::Below(50));
    assert!(panicking.iter().all(|&count| count > 60), "{panicking:?}");
}

#[test]
fn with_everything_out_there_is_an_endpoint_unless_panic_is_forbidden() {
    for (panic, wanted) in [
        (Panic::WhenAllOut, true),
        (Panic::Below(50), true),
        (Panic::Below(0), false),
        (Panic::Never, false),
    ] {
        for groups in [1, 2] {
            let set = set_of(priorities(groups, 2), stubborn(Balance::RoundRobin, panic));
            let mut random = Random(8);
            while set.members().any(|member| member.health(0) == Health::Healthy) {
                set.pick(random.next(), 0, &[])
                    .unwrap()
                    .outcome(0, Outcome::ConnectFailure);
            }
            let picked = set.pick(1, 1, &[]);
            assert_eq!(picked.is_some(), wanted, "{panic:?}");
            assert!(picked.is_none_or(|picked| picked.panic()));
        }
    }
}

/// Ten endpoints in each of the localities `x`, `y` and `z` with these weights.
fn localities(weights: [u32; 3]) -> Vec<Endpoint> {
    let names = ["r/x", "r/y", "r/z"];
    (0..30)
        .map(|number| Endpoint {
            locality: Some(names[usize::from(number) % 3].into()),
            locality_weight: weights[usize::from(number) % 3],
            ..endpoint(number)
        })
        .collect()
}

fn by_locality(counts: &[u32]) -> [f64; 3] {
    let total = f64::from(counts.iter().sum::<u32>());
    [0, 1, 2].map(|first| {
        let own = counts.iter().skip(first).step_by(3).sum::<u32>();
        f64::from(own) * 100.0 / total
    })
}

#[test]
fn localities_take_traffic_by_their_weights_and_by_what_they_have_left() {
    for balance in [Balance::PeakEwma, Balance::RoundRobin] {
        let set = set_of(localities([80, 20, 0]), stubborn(balance, Panic::WhenAllOut));
        let got = by_locality(&count(&set, 1, 20_000, 30));
        assert!(near(&got, &[80.0, 20.0, 0.0]), "{got:?}");
        take_out(&set, (0..5).map(|number| number * 3));
        let got = by_locality(&count(&set, 1, 20_000, 30));
        assert!(near(&got, &[73.7, 26.3, 0.0]), "{got:?}");
        take_out(&set, (5..10).map(|number| number * 3));
        let got = by_locality(&count(&set, 1, 20_000, 30));
        assert!(near(&got, &[0.0, 100.0, 0.0]), "{got:?}");
        take_out(&set, (0..10).map(|number| number * 3 + 1));
        let got = by_locality(&count(&set, 1, 2_000, 30));
        assert!(near(&got, &[0.0, 0.0, 100.0]), "{got:?}");
    }
}

#[test]
fn by_hash_the_weights_of_localities_are_part_of_the_ring() {
    for balance in [Balance::ring_hash(), Balance::maglev()] {
        let set = set_of(localities([60, 40, 0]), stubborn(balance, Panic::WhenAllOut));
        let got = by_locality(&count(&set, 1, 20_000, 30));
        assert!(
            (got[0] - 60.0).abs() < 4.0 && got[2] == 0.0,
            "{balance:?}: {got:?}"
        );
    }
}

#[test]
fn an_endpoint_that_changes_weight_priority_or_locality_keeps_its_state() {
    let mut set = set_of(priorities(1, 3), stubborn(Balance::RoundRobin, Panic::WhenAllOut));
    take_out(&set, [1]);
    let open = set.pick(1, 0, &[]).unwrap();
    let changed: Vec<_> = (0..3)
        .map(|number| Endpoint {
            weight: 7 + u32::from(number),
            priority: 3 - u32::from(number),
            locality: Some("r/z".into()),
            locality_weight: 9,
            ..endpoint(number)
        })
        .collect();
    let updated = set.update(changed, 5, |_| unreachable!("none is new"));
    assert_eq!((updated.added, updated.removed.len()), (0, 0));
    let order: Vec<_> = set.members().map(|member| *member.payload()).collect();
    assert_eq!(order, [2, 1, 0]);
    let out: Vec<_> = set
        .members()
        .map(|member| member.health(5) == Health::Out)
        .collect();
    assert_eq!(out, [false, true, false]);
    assert_eq!(set.members().map(|member| member.in_flight()).sum::<u32>(), 1);
    drop(open);
    let counts = count(&set, 6, 100, 3);
    assert_eq!(counts, [0, 0, 100]);
}

#[test]
fn more_priorities_and_localities_than_are_told_apart_do_no_harm() {
    let many = (0..3_000)
        .map(|number| Endpoint {
            priority: u32::from(number) / 30,
            locality: Some(format!("r/{number}").into()),
            locality_weight: 1,
            ..endpoint(number)
        })
        .collect();
    let set = set_of(many, Config::default());
    assert_eq!(set.len(), 3_000);
    let counts = count(&set, 0, 3_000, 3_000);
    assert_eq!(counts[..30].iter().sum::<u32>(), 3_000);
}

//! Outlier detection over whole sets, by scripted sequences.
#![allow(clippy::unwrap_used)]

mod common;

use common::{SECOND, answer, count, set_of, weighted};
use proptest::prelude::*;
use wattle_balance::{
    Balance, Config, Ejections, EndpointSet, FailurePercentage, HealthConfig, Outcome, OutlierConfig,
    SuccessRate,
};

const FIVE: [Outcome; 5] = [Outcome::ServerError; 5];

fn set(size: usize, outlier: OutlierConfig) -> EndpointSet<usize> {
    let config = Config {
        balance: Balance::RoundRobin,
        outlier: Some(outlier),
        ..Config::default()
    };
    set_of(weighted(&vec![1; size]), config)
}

fn ejected(set: &EndpointSet<usize>, now: u64) -> Vec<usize> {
    let ejected = set.members().filter(|member| member.is_ejected(now));
    ejected.map(|member| *member.payload()).collect()
}

#[test]
fn five_5xx_in_a_row_eject_an_endpoint_for_30_s_and_60_s_the_next_time() {
    let mut set = set(3, OutlierConfig::default());
    answer(&set, 1, SECOND, &FIVE[..4]);
    answer(&set, 1, SECOND, &[Outcome::Success]);
    answer(&set, 1, SECOND, &FIVE[..4]);
    assert_eq!(ejected(&set, SECOND), []);
    answer(&set, 1, SECOND, &FIVE[..1]);
    assert_eq!(ejected(&set, SECOND), [1]);
    assert_eq!(count(&set, 2 * SECOND, 100, 3)[1], 0);
    set.sweep(20 * SECOND);
    assert_eq!(ejected(&set, 30 * SECOND), [1]);
    set.sweep(31 * SECOND);
    assert_eq!(ejected(&set, 31 * SECOND), []);
    assert_eq!(set.ejections().active, 0);
    assert!(count(&set, 31 * SECOND, 99, 3)[1] >= 32);
    answer(&set, 1, 32 * SECOND, &FIVE);
    assert_eq!(ejected(&set, 91 * SECOND), [1]);
    assert_eq!(ejected(&set, 92 * SECOND), []);
    assert_eq!(set.ejections().consecutive_5xx, 2);
}

#[test]
fn an_endpoint_that_behaves_between_sweeps_is_ejected_for_the_first_time_again() {
    let mut set = set(3, OutlierConfig::default());
    answer(&set, 1, SECOND, &FIVE);
    for sweep in 1..6 {
        set.sweep(sweep * 31 * SECOND);
    }
    answer(&set, 1, 200 * SECOND, &FIVE);
    assert_eq!(ejected(&set, 230 * SECOND), []);
}

#[test]
fn no_more_than_the_percentage_is_ejected_but_always_one() {
    for (size, percent, wanted) in [(3, 10, 1), (20, 10, 2), (10, 50, 5), (10, 100, 10), (10, 0, 0)] {
        let outlier = OutlierConfig {
            max_ejection_percent: percent,
            ..OutlierConfig::default()
        };
        let set = set(size, outlier);
        for number in 0..size {
            answer(&set, number, SECOND, &FIVE);
        }
        let ejections = set.ejections();
        assert_eq!(ejected(&set, SECOND).len(), wanted, "{size} {percent}%");
        assert_eq!(ejections.active as usize, wanted);
        assert_eq!(ejections.overflow as usize, size - wanted);
    }
}

#[test]
fn each_sort_of_failure_is_counted_under_its_own_name() {
    let outlier = OutlierConfig {
        consecutive_gateway_failure: 2,
        split_external_local_origin: true,
        consecutive_local_origin_failure: 3,
        max_ejection_percent: 100,
        ..OutlierConfig::default()
    };
    let set = set(4, outlier);
    answer(&set, 0, SECOND, &FIVE);
    answer(&set, 1, SECOND, &[Outcome::GatewayError; 2]);
    answer(&set, 2, SECOND, &[Outcome::Failure; 3]);
    answer(&set, 3, SECOND, &[Outcome::Backpressure; 50]);
    let wanted = Ejections {
        active: 3,
        consecutive_5xx: 1,
        consecutive_gateway_failure: 1,
        consecutive_local_origin_failure: 1,
        ..Ejections::default()
    };
    assert_eq!(set.ejections(), wanted);
}

/// Of a hundred requests to each endpoint so many fail, never five in a row.
fn interval(set: &EndpointSet<usize>, failures: &[usize], now: u64) {
    for (number, &failures) in failures.iter().enumerate() {
        let outcomes: Vec<_> = (0..100)
            .map(
                |index| match (index * failures / 100) < ((index + 1) * failures / 100) {
                    true => Outcome::ServerError,
                    false => Outcome::Success,
                },
            )
            .collect();
        answer(set, number, now, &outcomes);
    }
}

#[test]
fn a_sweep_ejects_by_success_rate_and_by_percentage_of_failures() {
    let outlier = OutlierConfig {
        consecutive_5xx: 0,
        max_ejection_percent: 50,
        success_rate: Some(SuccessRate::default()),
        failure_percentage: Some(FailurePercentage {
            threshold: 40,
            ..FailurePercentage::default()
        }),
        ..OutlierConfig::default()
    };
    let mut set = set(6, outlier);
    interval(&set, &[1, 2, 1, 60, 2, 0], SECOND);
    set.sweep(10 * SECOND);
    assert_eq!(ejected(&set, 10 * SECOND), [3]);
    assert_eq!(set.ejections().success_rate, 1);
    interval(&set, &[45, 45, 45], 11 * SECOND);
    set.sweep(15 * SECOND);
    assert_eq!(ejected(&set, 15 * SECOND), [3]);
    set.sweep(20 * SECOND);
    assert_eq!(ejected(&set, 20 * SECOND), [3], "only three had enough requests");
    interval(&set, &[0, 45, 0, 0, 0, 0], 60 * SECOND);
    set.sweep(70 * SECOND);
    assert!(ejected(&set, 70 * SECOND).contains(&1));
}

#[test]
fn ejected_endpoints_stay_ejected_through_an_update_and_are_forgotten_when_removed() {
    let mut set = set(5, OutlierConfig::default());
    answer(&set, 4, SECOND, &FIVE);
    set.update(weighted(&[2; 6]), SECOND, common::number);
    assert_eq!((ejected(&set, SECOND), set.ejections().active), (vec![4], 1));
    set.update(weighted(&[2; 4]), SECOND, common::number);
    assert_eq!(set.ejections().active, 0);
}

#[test]
fn when_outlier_detection_is_switched_off_everyone_returns() {
    let mut set = set(3, OutlierConfig::default());
    answer(&set, 1, SECOND, &FIVE);
    set.configure(Config::default(), SECOND);
    assert_eq!((ejected(&set, SECOND), set.ejections().active), (vec![], 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn counts_agree_with_the_endpoints_whatever_happens(
        steps in proptest::collection::vec((0u8..8, any::<u64>(), 0u64..20), 1..200)
    ) {
        let outlier = OutlierConfig {
            consecutive_5xx: 2,
            max_ejection_percent: 40,
            failure_percentage: Some(FailurePercentage { threshold: 50, minimum_hosts: 1, request_volume: 2 }),
            ..OutlierConfig::default()
        };
        let config = Config {
            outlier: Some(outlier),
            health: HealthConfig::consecutive(),
            ..Config::default()
        };
        let mut set = set_of(weighted(&[1; 7]), config);
        let mut now = 0;
        for (step, random, seconds) in steps {
            now += seconds * SECOND / 4;
            match step {
                0 => { set.update(weighted(&[1, 2, 3, 4, 5, 6, 7][..(random % 6 + 2) as usize]), now, common::number); }
                1 => set.sweep(now),
                _ => {
                    let mut picked = set.pick(random, now, &[]).unwrap();
                    let outcomes = [Outcome::ServerError, Outcome::GatewayError, Outcome::ConnectFailure, Outcome::Success];
                    picked.outcome(random % 1_000, outcomes[(random % 4) as usize]);
                }
            }
            let active = set.ejections().active as usize;
            // One whose time is over counts until the sweep.
            prop_assert!(ejected(&set, now + 1_000).len() <= active);
            prop_assert!(active <= set.len());
        }
        set.sweep(now + 1_000 * SECOND);
        let active = set.ejections().active as usize;
        prop_assert_eq!(ejected(&set, now + 1_000 * SECOND).len(), active);
    }
}

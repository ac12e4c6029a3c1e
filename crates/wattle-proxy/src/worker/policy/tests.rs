use std::time::Duration;

use wattle_model::traffic::{HashKey, Limits};

use super::*;

#[test]
fn each_way_to_choose_is_the_balancers_of_that_name() {
    let by_hash = |table| Balance::Hash {
        key: HashKey::SourceAddress,
        table,
    };
    let table = [
        (Balance::PeakEwma, balance::Balance::PeakEwma),
        (Balance::LeastRequest, balance::Balance::least_request()),
        (Balance::RoundRobin, balance::Balance::RoundRobin),
        (Balance::Random, balance::Balance::Random),
        (by_hash(HashTable::Ring(1024)), balance::Balance::ring_hash()),
        (by_hash(HashTable::Maglev(65_537)), balance::Balance::maglev()),
    ];
    for (wanted, found) in table {
        assert_eq!(chosen(&wanted), found, "{wanted:?}");
    }
}

#[test]
fn a_backend_about_which_nothing_is_said_balances_as_the_mesh_does() {
    assert_eq!(config(&BackendPolicy::default(), 0), Config::default());
    assert_eq!(limits(&BackendPolicy::default()), balance::Limits::default());
}

#[test]
fn outlier_detection_turns_off_what_is_not_said_and_never_panics_by_itself() {
    let policy = BackendPolicy {
        outliers: Some(OutlierDetection {
            consecutive_5xx: None,
            consecutive_gateway: Some(3),
            failure_percent: Some(60),
            ..OutlierDetection::default()
        }),
        ..BackendPolicy::default()
    };
    let config = config(&policy, 0);
    let outlier = config.outlier.expect("outlier detection is on");
    assert_eq!(
        (
            outlier.consecutive_5xx,
            outlier.consecutive_gateway_failure,
            outlier.split_external_local_origin
        ),
        (0, 3, false)
    );
    assert_eq!(outlier.success_rate, None);
    assert_eq!(
        outlier
            .failure_percentage
            .map(|it| (it.threshold, it.request_volume)),
        Some((60, 50))
    );
    assert_eq!(
        (config.panic, config.health.connect_failures),
        (Panic::Below(0), 0)
    );
}

#[test]
fn failure_accrual_stands_in_place_of_outlier_detection() {
    let accrual = FailureAccrual {
        max_failures: 4,
        min_penalty: Duration::from_secs(2),
        max_penalty: Duration::from_secs(8),
        jitter_ratio: 0.25,
    };
    let policy = BackendPolicy {
        outliers: Some(OutlierDetection {
            accrual: Some(accrual),
            ..OutlierDetection::default()
        }),
        ..BackendPolicy::default()
    };
    let config = config(&policy, 0);
    assert_eq!(config.outlier, None);
    assert_eq!(
        config.health,
        HealthConfig {
            connect_failures: 0,
            failures: 4,
            backoff: Duration::from_secs(2),
            max_backoff: Duration::from_secs(8),
            jitter_percent: 25,
        }
    );
}

#[test]
fn a_bound_that_is_not_said_is_none() {
    let policy = BackendPolicy {
        limits: Limits {
            connections: Some(1),
            retries: Some(0),
            ..Limits::default()
        },
        ..BackendPolicy::default()
    };
    let limits = limits(&policy);
    assert_eq!(
        (
            limits.max_connections,
            limits.max_pending_requests,
            limits.max_requests,
            limits.max_retries
        ),
        (1, u32::MAX, u32::MAX, 0)
    );
}

#[test]
fn both_forms_of_a_retry_budget_keep_their_numbers() {
    let concurrent = RetryBudget::Concurrent {
        percent: 24.6,
        minimum: 7,
    };
    assert_eq!(
        budget(&concurrent),
        RetryBudgetConfig::Concurrent {
            percent: 25,
            min_concurrency: 7,
            interval: Duration::ZERO
        }
    );
    let rate = RetryBudget::Rate {
        percent: 20.0,
        minimum: 10,
        per: Duration::from_secs(1),
        window: Duration::from_secs(10),
    };
    assert_eq!(budget(&rate), RetryBudgetConfig::windowed());
}

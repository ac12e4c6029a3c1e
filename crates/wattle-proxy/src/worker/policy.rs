//! What a backend's policy means to the balancer: the model's words in those of `wattle-balance`.

use wattle_balance as balance;
use wattle_balance::{Config, HealthConfig, OutlierConfig, Panic, RetryBudgetConfig, SlowStart};
use wattle_model::BackendPolicy;
use wattle_model::traffic::{Balance, FailureAccrual, HashTable, OutlierDetection, RetryBudget, Warmup};

/// Points of a ring in all, where the policy asks for fewer at least (Envoy's `maximum_ring_size` is a bound above it).
const RING_POINTS: u32 = 65_536;

/// How a set under this policy balances; `seed` tells workers apart.
pub(super) fn config(policy: &BackendPolicy, seed: u64) -> Config {
    let base = Config {
        balance: chosen(&policy.balance),
        slow_start: policy.warmup.as_ref().map(warmed),
        seed,
        ..Config::default()
    };
    match &policy.outliers {
        None => base,
        Some(outliers) => match &outliers.accrual {
            Some(accrual) => Config {
                health: accrued(accrual),
                panic: Panic::Never,
                ..base
            },
            // Failed connects count among the failures in a row; nothing takes an endpoint out beside them.
            None => Config {
                health: HealthConfig {
                    connect_failures: 0,
                    ..HealthConfig::default()
                },
                panic: Panic::Below(outliers.minimum_health_percent.min(100) as u8),
                outlier: Some(detected(outliers)),
                ..base
            },
        },
    }
}

/// The bounds of its breaker.
pub(super) fn limits(policy: &BackendPolicy) -> balance::Limits {
    let limits = &policy.limits;
    let bound = |limit: Option<u32>| limit.unwrap_or(u32::MAX);
    balance::Limits {
        max_connections: bound(limits.connections),
        max_pending_requests: bound(limits.pending_requests),
        max_requests: bound(limits.requests),
        max_retries: bound(limits.retries),
    }
}

/// Its retry budget.
pub(super) fn budget(budget: &RetryBudget) -> RetryBudgetConfig {
    match *budget {
        RetryBudget::Concurrent { percent, minimum } => RetryBudgetConfig::Concurrent {
            percent: whole(percent),
            min_concurrency: minimum,
            interval: std::time::Duration::ZERO,
        },
        RetryBudget::Rate {
            percent,
            minimum,
            per,
            window,
        } => RetryBudgetConfig::Windowed {
            percent: whole(percent),
            window,
            min_retries: minimum,
            min_interval: per,
        },
    }
}

fn chosen(wanted: &Balance) -> balance::Balance {
    match wanted {
        // The dialled address is picked by itself; should it be none of the set, nothing is chosen at all.
        Balance::PeakEwma | Balance::OriginalDestination => balance::Balance::PeakEwma,
        Balance::LeastRequest => balance::Balance::least_request(),
        Balance::RoundRobin => balance::Balance::RoundRobin,
        Balance::Random => balance::Balance::Random,
        Balance::Hash { table, .. } => match *table {
            HashTable::Ring(points) => balance::Balance::RingHash {
                minimum_ring_size: points,
                maximum_ring_size: points.max(RING_POINTS),
            },
            HashTable::Maglev(size) => balance::Balance::Maglev { table_size: size },
        },
    }
}

fn warmed(warmup: &Warmup) -> SlowStart {
    SlowStart {
        window: warmup.duration,
        minimum_percent: whole(warmup.minimum_percent),
        aggression: warmup.aggression,
    }
}

fn accrued(accrual: &FailureAccrual) -> HealthConfig {
    HealthConfig {
        failures: accrual.max_failures,
        backoff: accrual.min_penalty,
        max_backoff: accrual.max_penalty,
        // Balance lengthens or shortens by as much; a ratio above 1 only ever lengthens, and is cut.
        jitter_percent: whole(accrual.jitter_ratio.min(1.0) * 100.0),
        ..HealthConfig::consecutive()
    }
}

fn detected(outliers: &OutlierDetection) -> OutlierConfig {
    let off = |limit: Option<u32>| limit.unwrap_or(0);
    let rate = balance::SuccessRate::default();
    let percentage = balance::FailurePercentage::default();
    OutlierConfig {
        consecutive_5xx: off(outliers.consecutive_5xx),
        consecutive_gateway_failure: off(outliers.consecutive_gateway),
        split_external_local_origin: outliers.consecutive_local.is_some(),
        consecutive_local_origin_failure: off(outliers.consecutive_local),
        interval: outliers.interval,
        base_ejection_time: outliers.base_ejection,
        max_ejection_time: outliers.max_ejection,
        max_ejection_percent: outliers.max_ejection_percent,
        success_rate: outliers
            .success_rate_stdev_thousandths
            .map(|stdev_factor| balance::SuccessRate {
                minimum_hosts: outliers.minimum_hosts,
                request_volume: outliers.minimum_requests.unwrap_or(rate.request_volume),
                stdev_factor,
            }),
        failure_percentage: outliers
            .failure_percent
            .map(|threshold| balance::FailurePercentage {
                threshold,
                minimum_hosts: outliers.minimum_hosts,
                request_volume: outliers.minimum_requests.unwrap_or(percentage.request_volume),
            }),
    }
}

/// The nearest whole number, from 0.
fn whole(number: f64) -> u32 {
    number.round().clamp(0.0, f64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests;

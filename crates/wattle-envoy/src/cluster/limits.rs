//! Bounds on what may be under way, and on repetitions.

use cluster::circuit_breakers::{Thresholds, thresholds};
use envoy_types::pb::envoy::config::cluster::v3 as cluster;
use envoy_types::pb::envoy::config::core::v3::TcpKeepalive;
use wattle_model::BackendPolicy;
use wattle_model::Limits;
use wattle_model::traffic::{Keepalive, RetryBudget};

use crate::notes::Notes;
use crate::proto::{duration, number, percent};

/// Envoy's own budget, which a Wattle proxy keeps where no policy names one.
const BUDGET: (f64, u32) = (20.0, 3);

/// The breakers of a backend.
pub(super) fn breakers(policy: &BackendPolicy, notes: &mut Notes) -> cluster::CircuitBreakers {
    let mut bounds = bounded(&policy.limits);
    match (&policy.retry_budget, policy.limits.retries) {
        (None, Some(_)) => {}
        (None, None) => bounds.retry_budget = budget(BUDGET.0, BUDGET.1),
        (Some(RetryBudget::Concurrent { percent, minimum }), retries) => {
            if retries.is_some() {
                notes.gap("maxRetries beside a retry budget: the budget alone counts");
            }
            bounds.retry_budget = budget(*percent, *minimum);
        }
        (
            Some(RetryBudget::Rate {
                percent,
                minimum,
                window,
                ..
            }),
            _,
        ) => {
            notes.gap(
                "a retry budget by the requests of a while: it is kept by the requests under way and of that while, \
                 and its minimum over time is a minimum at once",
            );
            bounds.retry_budget = budget(*percent, *minimum).map(|budget| thresholds::RetryBudget {
                budget_interval: Some(duration(*window)),
                ..budget
            });
        }
    }
    cluster::CircuitBreakers {
        thresholds: vec![bounds],
        ..Default::default()
    }
}

/// The bounds alone; what is not named is not bounded.
pub(crate) fn bounded(limits: &Limits) -> Thresholds {
    let bound = |limit: Option<u32>| number(limit.unwrap_or(u32::MAX));
    Thresholds {
        max_connections: bound(limits.connections),
        max_pending_requests: bound(limits.pending_requests),
        max_requests: bound(limits.requests),
        max_retries: bound(limits.retries),
        ..Default::default()
    }
}

fn budget(part: f64, minimum: u32) -> Option<thresholds::RetryBudget> {
    Some(thresholds::RetryBudget {
        budget_percent: percent(part),
        min_retry_concurrency: number(minimum),
        ..Default::default()
    })
}

/// Keep-alive probes.
pub(crate) fn kept_alive(keepalive: &Keepalive) -> TcpKeepalive {
    // Whole seconds, and at least one: 0 would turn them off.
    let seconds =
        |time: std::time::Duration| number(u32::try_from(time.as_secs()).unwrap_or(u32::MAX).max(1));
    TcpKeepalive {
        keepalive_probes: keepalive.probes.and_then(number),
        keepalive_time: keepalive.time.and_then(seconds),
        keepalive_interval: keepalive.interval.and_then(seconds),
    }
}

//! Retries of a VirtualService.

use std::time::Duration;

use wattle_api::istio::{Retries, RetryCondition, RetryOn as Written};
use wattle_model::{RetryConditions, RetryOn, RetryPolicy};

/// What is tried again where nobody says: what Istio does by default, 2 tries of what no backend has seen, and of gRPC
/// calls that were refused or cancelled.
const DEFAULT: [RetryCondition; 4] = [
    RetryCondition::ConnectFailure,
    RetryCondition::RefusedStream,
    RetryCondition::Unavailable,
    RetryCondition::Cancelled,
];
/// Tries of Istio's default.
const DEFAULT_ATTEMPTS: u32 = 2;

/// What Istio repeats where nothing is written.
pub(crate) fn istio_default() -> RetryPolicy {
    RetryPolicy {
        attempts: DEFAULT_ATTEMPTS,
        on: conditions(DEFAULT, &[]),
        backoff: RetryPolicy::BACKOFF,
        max_backoff: longest(RetryPolicy::BACKOFF),
        unsafe_methods: true,
        hedge_after: None,
        another_endpoint: true,
    }
}

/// The policy; `None` where nothing is written, which repeats what nobody has acted on and nothing else.
pub(super) fn policy(written: Option<&Retries>, as_istio: bool) -> Option<RetryPolicy> {
    let Some(written) = written else {
        return as_istio.then(istio_default);
    };
    let on = match &written.retry_on {
        None => conditions(DEFAULT, &[]),
        Some(Written {
            conditions: named,
            statuses,
        }) => {
            let statuses: Vec<_> = statuses.iter().copied().collect();
            conditions(named.iter().copied(), &statuses)
        }
    };
    let backoff = written.backoff.unwrap_or(RetryPolicy::BACKOFF);
    Some(RetryPolicy {
        attempts: written.attempts.min(RetryPolicy::MAX_ATTEMPTS),
        on,
        backoff,
        max_backoff: longest(backoff),
        unsafe_methods: as_istio,
        hedge_after: None,
        another_endpoint: written.retry_ignore_previous_hosts.unwrap_or(true),
    })
}

/// Ten times the first wait (Envoy).
fn longest(backoff: Duration) -> Duration {
    backoff.saturating_mul(10)
}

fn conditions(named: impl IntoIterator<Item = RetryCondition>, statuses: &[u16]) -> RetryOn {
    let mut on = RetryOn::default();
    for condition in named {
        add(&mut on, condition);
    }
    on.statuses
        .extend(statuses.iter().map(|status| (*status, *status)));
    on
}

fn add(on: &mut RetryOn, condition: RetryCondition) {
    let nothing_came = RetryConditions {
        connect_failure: true,
        refused_stream: true,
        reset: true,
        reset_before_request: true,
        timeout: true,
    };
    match condition {
        RetryCondition::ServerError => {
            on.statuses.push(RetryOn::SERVER_ERRORS);
            on.conditions = nothing_came;
        }
        RetryCondition::GatewayError => {
            // Envoy counts a try that nothing came of as one of them.
            on.statuses.push(RetryOn::GATEWAY_ERRORS);
            on.conditions = nothing_came;
        }
        RetryCondition::Reset => on.conditions = nothing_came,
        RetryCondition::ResetBeforeRequest => on.conditions.reset_before_request = true,
        RetryCondition::ConnectFailure => on.conditions.connect_failure = true,
        RetryCondition::RefusedStream => on.conditions.refused_stream = true,
        RetryCondition::Retriable4xx => on.statuses.push((409, 409)),
        RetryCondition::Cancelled => on.grpc |= 1 << 1,
        RetryCondition::DeadlineExceeded => on.grpc |= 1 << 4,
        RetryCondition::ResourceExhausted => on.grpc |= 1 << 8,
        RetryCondition::Internal => on.grpc |= 1 << 13,
        RetryCondition::Unavailable => on.grpc |= 1 << 14,
        // The statuses stand beside it; the others have no counterpart here, which `diagnose` reports.
        RetryCondition::RetriableStatusCodes
        | RetryCondition::EnvoyRateLimited
        | RetryCondition::RetriableHeaders
        | RetryCondition::Http3PostConnectFailure => {}
    }
}

/// Does Istio repeat requests here that are not idempotent, after a backend may have acted on them?
pub(crate) fn repeats_acted_on(written: &Retries) -> bool {
    let Some(on) = &written.retry_on else { return false };
    let acted_on = [
        RetryCondition::ServerError,
        RetryCondition::GatewayError,
        RetryCondition::Reset,
    ];
    written.attempts > 0
        && (!on.statuses.is_empty() || acted_on.iter().any(|one| on.conditions.contains(one)))
}

/// Conditions that have no counterpart here.
pub(crate) fn without_counterpart(written: &Retries) -> Option<RetryCondition> {
    let unsupported = [
        RetryCondition::EnvoyRateLimited,
        RetryCondition::RetriableHeaders,
        RetryCondition::Http3PostConnectFailure,
    ];
    let on = written.retry_on.as_ref()?;
    unsupported.into_iter().find(|one| on.conditions.contains(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_answer_is_an_error_of_the_gateway_and_an_answer_that_is_none_is_not() {
        let on = conditions([RetryCondition::GatewayError], &[]);
        assert!(on.conditions.reset && on.conditions.timeout && on.conditions.connect_failure);
        assert!(on.includes(502, None) && !on.includes(500, None));
    }
}

//! Repetitions and time limits of a rule: the rule's own, and those of Linkerd's annotations.

use std::time::Duration;

use wattle_api::{LinkerdAnnotations, LinkerdRetry, Retry};
use wattle_model::{RetryConditions, RetryOn, RetryPolicy, Timeouts};

/// Repetitions where a stanza says none.
const ATTEMPTS: u32 = 1;
/// Longest wait, of the first one.
const BACKOFF_GROWTH: u32 = 10;

/// When a rule's requests are sent again: as its stanza says, else as the annotations do.
///
/// A stanza covers failed connections, resets and exceeded time limits too (GEP-1731). What a backend may have acted on
/// is sent again only when its method is idempotent, listed code or not: the GEP names no methods, and a repeated
/// payment is worse than a failed one.
pub(crate) fn of(stanza: Option<&Retry>, said: &LinkerdAnnotations) -> Option<RetryPolicy> {
    stanza
        .map(of_stanza)
        .or_else(|| said.retry.as_ref().map(of_annotations))
}

fn of_stanza(written: &Retry) -> RetryPolicy {
    let on = RetryOn {
        conditions: RetryConditions {
            connect_failure: true,
            refused_stream: true,
            reset: true,
            reset_before_request: true,
            timeout: true,
        },
        statuses: written.codes.iter().map(|code| (*code, *code)).collect(),
        grpc: 0,
    };
    policy(written.attempts.unwrap_or(ATTEMPTS), on, written.backoff)
}

fn of_annotations(written: &LinkerdRetry) -> RetryPolicy {
    let on = RetryOn {
        conditions: RetryConditions {
            connect_failure: true,
            refused_stream: true,
            timeout: written.timeout.is_some(),
            ..RetryConditions::default()
        },
        statuses: written.http.clone(),
        grpc: written
            .grpc
            .iter()
            .fold(0, |bits, code| bits | 1 << code.number()),
    };
    policy(u32::from(written.limit), on, None)
}

/// A policy with our defaults.
pub(crate) fn policy(attempts: u32, on: RetryOn, backoff: Option<Duration>) -> RetryPolicy {
    let backoff = backoff.unwrap_or(RetryPolicy::BACKOFF);
    RetryPolicy {
        attempts: attempts.min(RetryPolicy::MAX_ATTEMPTS),
        on,
        backoff,
        max_backoff: backoff.saturating_mul(BACKOFF_GROWTH),
        unsafe_methods: false,
        hedge_after: None,
        another_endpoint: true,
    }
}

/// The limits of a rule. Annotations win over fields, as with Linkerd; the limit of a try belongs to the retries, and
/// so to the annotations only where those are in force.
pub(crate) fn timeouts(
    written: &wattle_api::Timeouts,
    annotated_retry: bool,
    said: &LinkerdAnnotations,
) -> Timeouts {
    let limit = |limit: Option<Duration>| limit.filter(|limit| !limit.is_zero());
    let of_try = said.retry.as_ref().filter(|_| annotated_retry);
    Timeouts {
        request: said.request_timeout.or(limit(written.request)),
        backend_request: limit(written.backend_request).or(of_try.and_then(|retry| retry.timeout)),
        response: said.response_timeout,
        idle: said.idle_timeout,
    }
}

//! Which tries are repeated. A rule becomes two routes where that depends on whether the method is idempotent.

use std::time::Duration;

use envoy_types::pb::envoy::config::route::v3 as xds;
use envoy_types::pb::envoy::extensions::retry::host::previous_hosts::v3::PreviousHostsPredicate;
use wattle_model::{RetryConditions, RetryPolicy, RouteRule, TextMatch, Timeouts};
use xds::retry_policy::{RetryBackOff, RetryHostPredicate, retry_host_predicate::ConfigType};

use super::matches::header;
use crate::notes::Notes;
use crate::proto::{any, duration, number};
use crate::text::matching;

/// Methods of RFC 9110 §9.2.2.
const IDEMPOTENT: &str = "GET|HEAD|OPTIONS|TRACE|PUT|DELETE";
/// What nobody has acted on.
const SAFE: [&str; 2] = ["connect-failure", "refused-stream"];
/// Endpoints tried for one request, but for the first.
const SAFE_RETRIES: u32 = 2;
/// Times another endpoint is looked for before one that was tried is taken.
const LOOKS: i64 = 5;
/// Envoy's words for gRPC statuses.
const GRPC: [(u32, &str); 5] = [
    (1, "cancelled"),
    (4, "deadline-exceeded"),
    (8, "resource-exhausted"),
    (13, "internal"),
    (14, "unavailable"),
];

/// How requests that match besides are repeated.
pub(super) struct Plan {
    pub(super) besides: Option<xds::HeaderMatcher>,
    pub(super) policy: xds::RetryPolicy,
    pub(super) hedge: Option<xds::HedgePolicy>,
}

/// The plans of a rule, in order.
pub(super) fn plans(rule: &RouteRule, notes: &mut Notes) -> Vec<Plan> {
    let Some(policy) = rule.retry.as_deref() else {
        return vec![Plan {
            besides: None,
            policy: unasked(&rule.timeouts),
            hedge: None,
        }];
    };
    note(policy, &rule.timeouts, notes);
    let plan = |besides, idempotent| Plan {
        besides,
        policy: asked(policy, &rule.timeouts, idempotent),
        hedge: policy.hedge_after.map(|_| xds::HedgePolicy {
            hedge_on_per_try_timeout: true,
            ..Default::default()
        }),
    };
    match by_method(policy, rule) {
        Some(idempotent) => vec![plan(None, idempotent)],
        None => vec![plan(Some(idempotent_methods()), true), plan(None, false)],
    }
}

/// Without a policy: what nobody has acted on, on another endpoint.
pub(super) fn unasked(timeouts: &Timeouts) -> xds::RetryPolicy {
    xds::RetryPolicy {
        retry_on: SAFE.join(","),
        num_retries: number(SAFE_RETRIES),
        retry_host_predicate: another_endpoint(),
        host_selection_retry_max_attempts: LOOKS,
        per_try_timeout: per_try(timeouts).map(duration),
        ..Default::default()
    }
}

fn note(policy: &RetryPolicy, timeouts: &Timeouts, notes: &mut Notes) {
    let conditions = policy.on.conditions;
    if conditions.timeout && !conditions.reset {
        notes.gap("repeating a try whose time was up without repeating broken ones: those are repeated too");
    }
    if policy.hedge_after.is_some() && per_try(timeouts).is_some() {
        notes.gap("a second try beside the first, and a time limit of each: the limit is not kept");
    }
}

/// Are broken tries repeated? To Envoy, one whose time was up is one of them.
fn breaks(conditions: RetryConditions) -> bool {
    conditions.reset || conditions.timeout
}

/// Do all requests of the rule count as idempotent, or none? `None`: it depends.
fn by_method(policy: &RetryPolicy, rule: &RouteRule) -> Option<bool> {
    let on = &policy.on;
    let conditional = breaks(on.conditions) || on.conditions.reset_before_request || !on.statuses.is_empty();
    if policy.unsafe_methods || !conditional || policy.attempts == 0 {
        return Some(true);
    }
    match &rule.matches.method {
        Some(TextMatch::Exact(method)) => Some(IDEMPOTENT.split('|').any(|known| known == &**method)),
        _ => None,
    }
}

fn idempotent_methods() -> xds::HeaderMatcher {
    xds::HeaderMatcher {
        name: ":method".to_owned(),
        header_match_specifier: Some(xds::header_matcher::HeaderMatchSpecifier::StringMatch(matching(
            IDEMPOTENT,
        ))),
        ..Default::default()
    }
}

fn asked(policy: &RetryPolicy, timeouts: &Timeouts, idempotent: bool) -> xds::RetryPolicy {
    let hedge = policy.hedge_after;
    let mut made = xds::RetryPolicy {
        num_retries: number(policy.attempts),
        per_try_timeout: hedge.or_else(|| per_try(timeouts)).map(duration),
        retry_back_off: Some(backoff(policy)),
        ..Default::default()
    };
    if policy.attempts == 0 {
        return made;
    }
    if policy.another_endpoint {
        made.retry_host_predicate = another_endpoint();
        made.host_selection_retry_max_attempts = LOOKS;
    }
    let mut on: Vec<&str> = SAFE.into();
    if idempotent {
        on.extend(breaks(policy.on.conditions).then_some("reset"));
        on.extend(
            policy
                .on
                .conditions
                .reset_before_request
                .then_some("reset-before-request"),
        );
        made.retriable_status_codes = statuses(&policy.on.statuses);
        on.extend((!made.retriable_status_codes.is_empty()).then_some("retriable-status-codes"));
    }
    for status in (0..17).filter(|status| policy.on.grpc & (1 << status) != 0) {
        match GRPC.iter().find(|(known, _)| *known == status) {
            Some((_, word)) => on.push(word),
            None => made.retriable_headers.extend(header(
                "grpc-status",
                &TextMatch::Exact(status.to_string().into()),
            )),
        }
    }
    on.extend((!made.retriable_headers.is_empty()).then_some("retriable-headers"));
    made.retry_on = on.join(",");
    made
}

/// Envoy's words for a set of gRPC statuses, as far as it has any.
pub(crate) fn words(statuses: u32) -> Vec<&'static str> {
    let known = GRPC.iter().filter(|(status, _)| statuses & (1 << status) != 0);
    known.map(|(_, word)| *word).collect()
}

/// Every status of the ranges, at most those that there are.
fn statuses(ranges: &[(u16, u16)]) -> Vec<u32> {
    let all = 100..=599u16;
    all.filter(|status| ranges.iter().any(|(from, to)| (from..=to).contains(&status)))
        .map(u32::from)
        .collect()
}

pub(crate) fn backoff(policy: &RetryPolicy) -> RetryBackOff {
    let base = policy.backoff.max(Duration::from_millis(1));
    RetryBackOff {
        base_interval: Some(duration(base)),
        max_interval: Some(duration(policy.max_backoff.max(base))),
    }
}

/// Envoy counts from the end of the request to the head of the response, as `response` does.
fn per_try(timeouts: &Timeouts) -> Option<Duration> {
    match (timeouts.backend_request, timeouts.response) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn another_endpoint() -> Vec<RetryHostPredicate> {
    vec![RetryHostPredicate {
        name: "envoy.retry_host_predicates.previous_hosts".to_owned(),
        config_type: Some(ConfigType::TypedConfig(any(&PreviousHostsPredicate {}))),
    }]
}

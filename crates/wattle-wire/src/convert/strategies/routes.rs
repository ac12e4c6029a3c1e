//! Random routes.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use wattle_model::*;

use super::filters::{backend_filters, direct_response, filters, redirect};
use super::matches::{connection_match, request_match};
use super::parts::{any_time, boxed, header_name, reason, rule_ref, time};

fn weighted(backends: u32) -> impl Strategy<Value = Vec<WeightedBackend>> {
    let weighted = (
        option::of(0..backends),
        boxed(),
        any::<u32>(),
        option::of(backend_filters(backends)),
    );
    let weighted = weighted.prop_map(|(backend, written, weight, filters)| WeightedBackend {
        backend,
        written,
        weight,
        filters: filters.map(Arc::new),
    });
    vec(weighted, 0..3)
}

fn action(backends: u32) -> impl Strategy<Value = Action> {
    prop_oneof![
        weighted(backends).prop_map(Action::Forward),
        redirect().prop_map(Action::Redirect),
        direct_response().prop_map(Action::Respond),
        reason().prop_map(Action::Refuse),
    ]
}

fn timeouts() -> impl Strategy<Value = Timeouts> {
    let limit = || option::of(time());
    [limit(), limit(), limit(), limit()].prop_map(|[request, backend_request, response, idle]| Timeouts {
        request,
        backend_request,
        response,
        idle,
    })
}

fn retry_on() -> impl Strategy<Value = RetryOn> {
    let conditions = any::<[bool; 5]>().prop_map(
        |[
            connect_failure,
            refused_stream,
            reset,
            reset_before_request,
            timeout,
        ]| RetryConditions {
            connect_failure,
            refused_stream,
            reset,
            reset_before_request,
            timeout,
        },
    );
    let range = (100_u16..=599, 100_u16..=599).prop_map(|(a, b)| (a.min(b), a.max(b)));
    (conditions, vec(range, 0..3), 0_u32..1 << 17).prop_map(|(conditions, statuses, grpc)| RetryOn {
        conditions,
        statuses,
        grpc,
    })
}

fn retry() -> impl Strategy<Value = RetryPolicy> {
    let flags = any::<(bool, bool)>();
    let waits = (any_time(), any_time(), option::of(time()));
    (0..=RetryPolicy::MAX_ATTEMPTS, retry_on(), waits, flags).prop_map(
        |(attempts, on, (backoff, max_backoff, hedge_after), (unsafe_methods, another_endpoint))| {
            RetryPolicy {
                attempts,
                on,
                backoff,
                max_backoff,
                unsafe_methods,
                hedge_after,
                another_endpoint,
            }
        },
    )
}

fn session() -> impl Strategy<Value = SessionPersistence> {
    let cookie = (boxed(), any::<bool>(), boxed());
    let carrier = prop_oneof![
        cookie.prop_map(|(name, permanent, path)| SessionCarrier::Cookie {
            name,
            permanent,
            path
        }),
        header_name().prop_map(SessionCarrier::Header),
    ];
    (carrier, option::of(time())).prop_map(|(carrier, absolute_timeout)| SessionPersistence {
        carrier,
        absolute_timeout,
    })
}

pub(super) fn rule(backends: u32) -> impl Strategy<Value = RouteRule> {
    let limits = (
        timeouts(),
        option::of(retry().prop_map(Arc::new)),
        option::of(session().prop_map(Arc::new)),
    );
    (
        rule_ref(),
        request_match(),
        filters(backends),
        action(backends),
        limits,
    )
        .prop_map(
            |(origin, matches, filters, action, (timeouts, retry, session))| RouteRule {
                origin,
                matches,
                filters: Arc::new(filters),
                action: Arc::new(action),
                timeouts,
                retry,
                session,
            },
        )
}

pub(super) fn connection(backends: u32) -> impl Strategy<Value = ConnectionRoute> {
    (rule_ref(), connection_match(), weighted(backends)).prop_map(|(origin, matches, backends)| {
        ConnectionRoute {
            origin,
            matches,
            backends,
        }
    })
}

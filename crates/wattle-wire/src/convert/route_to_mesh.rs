//! HTTP routes to messages.

use wattle_model::{Action, RetryOn, RetryPolicy, RouteRule, SessionCarrier, SessionPersistence, Timeouts};

use super::destination_to_mesh::weighted;
use super::filter_to_mesh::{direct_response, filters, redirect};
use super::match_to_mesh::request_match;
use super::parts_to_mesh::{nanos, rule_ref};
use crate::proto::mesh;

pub(super) fn rule(value: &RouteRule) -> mesh::RouteRule {
    mesh::RouteRule {
        origin: Some(rule_ref(&value.origin)),
        matches: Some(request_match(&value.matches)),
        filters: filters(&value.filters),
        action: Some(action(&value.action)),
        timeouts: timeouts(&value.timeouts),
        retry: value.retry.as_deref().map(retry),
        session: value.session.as_deref().map(session),
    }
}

fn action(value: &Action) -> mesh::route_rule::Action {
    use mesh::route_rule::Action as Message;
    match value {
        Action::Forward(backends) => Message::Forward(mesh::Forward {
            backends: backends.iter().map(weighted).collect(),
        }),
        Action::Redirect(value) => Message::Redirect(redirect(value)),
        Action::Respond(value) => Message::Respond(direct_response(value)),
        Action::Refuse(reason) => Message::Refuse(reason.id().to_owned()),
    }
}

fn timeouts(value: &Timeouts) -> Option<mesh::Timeouts> {
    (*value != Timeouts::default()).then(|| mesh::Timeouts {
        request_nanos: value.request.map(nanos),
        backend_request_nanos: value.backend_request.map(nanos),
        response_nanos: value.response.map(nanos),
        idle_nanos: value.idle.map(nanos),
    })
}

fn retry(value: &RetryPolicy) -> mesh::RetryPolicy {
    mesh::RetryPolicy {
        attempts: value.attempts,
        on: Some(retry_on(&value.on)),
        backoff_nanos: nanos(value.backoff),
        max_backoff_nanos: nanos(value.max_backoff),
        unsafe_methods: value.unsafe_methods,
        hedge_after_nanos: value.hedge_after.map(nanos),
        another_endpoint: value.another_endpoint,
    }
}

fn retry_on(value: &RetryOn) -> mesh::RetryOn {
    let range = |(from, to): &(u16, u16)| mesh::StatusRange {
        from: (*from).into(),
        to: (*to).into(),
    };
    mesh::RetryOn {
        connect_failure: value.conditions.connect_failure,
        refused_stream: value.conditions.refused_stream,
        reset: value.conditions.reset,
        reset_before_request: value.conditions.reset_before_request,
        timeout: value.conditions.timeout,
        statuses: value.statuses.iter().map(range).collect(),
        grpc: value.grpc,
    }
}

fn session(value: &SessionPersistence) -> mesh::SessionPersistence {
    use mesh::session_persistence::Carrier;
    mesh::SessionPersistence {
        carrier: Some(match &value.carrier {
            SessionCarrier::Cookie {
                name,
                permanent,
                path,
            } => Carrier::Cookie(mesh::SessionCookie {
                name: name.to_string(),
                permanent: *permanent,
                path: path.to_string(),
            }),
            SessionCarrier::Header(name) => Carrier::Header(name.to_string()),
        }),
        absolute_timeout_nanos: value.absolute_timeout.map(nanos),
    }
}

//! Messages to HTTP routes. Refuses what makes no sense.

use std::sync::Arc;
use std::time::Duration;

use wattle_model::{
    Action, RetryConditions, RetryOn, RetryPolicy, RouteRule, SessionCarrier, SessionPersistence, Timeouts,
};

use super::destination_to_model::weighted_backends;
use super::filter_to_model::{direct_response, filters, redirect};
use super::match_to_model::request_match;
use super::parts_to_model::{cookie_part, header_name, reason, rule_ref};
use super::{Decoded, Reader};
use crate::proto::mesh;

/// Every gRPC status there is, 0 to 16, as bits.
const GRPC_STATUSES: u32 = (1 << 17) - 1;

/// A rule of a destination with so many backends.
pub(super) fn rule(reader: &mut Reader, message: mesh::RouteRule, backends: usize) -> Decoded<RouteRule> {
    let origin = reader.required("origin", message.origin, rule_ref)?;
    // A rule without its matches would match everything: absent is refused, empty is meant.
    let matches = reader.required("matches", message.matches, request_match)?;
    let filters = reader.at("filters", |reader| {
        filters(reader, message.filters.unwrap_or_default(), backends)
    })?;
    let message_action = reader.present("action", message.action)?;
    Ok(RouteRule {
        origin,
        matches,
        filters: Arc::new(filters),
        action: Arc::new(action(reader, message_action, backends)?),
        timeouts: reader.at("timeouts", |reader| {
            timeouts(reader, &message.timeouts.unwrap_or_default())
        })?,
        retry: reader.optional("retry", message.retry, retry)?.map(Arc::new),
        session: reader
            .optional("session", message.session, session)?
            .map(Arc::new),
    })
}

fn action(reader: &mut Reader, message: mesh::route_rule::Action, backends: usize) -> Decoded<Action> {
    use mesh::route_rule::Action as Message;
    Ok(match message {
        Message::Forward(forward) => {
            Action::Forward(weighted_backends(reader, "forward", forward.backends, backends)?)
        }
        Message::Redirect(value) => {
            Action::Redirect(reader.at("redirect", |reader| redirect(reader, value))?)
        }
        Message::Respond(value) => {
            Action::Respond(reader.at("respond", |reader| direct_response(reader, value))?)
        }
        Message::Refuse(id) => Action::Refuse(reader.at("refuse", |reader| reason(reader, &id))?),
    })
}

fn timeouts(reader: &mut Reader, message: &mesh::Timeouts) -> Decoded<Timeouts> {
    Ok(Timeouts {
        request: reader.optional_duration("request", message.request_nanos)?,
        backend_request: reader.optional_duration("backend_request", message.backend_request_nanos)?,
        response: reader.optional_duration("response", message.response_nanos)?,
        idle: reader.optional_duration("idle", message.idle_nanos)?,
    })
}

fn retry(reader: &mut Reader, message: mesh::RetryPolicy) -> Decoded<RetryPolicy> {
    Ok(RetryPolicy {
        attempts: reader.number("attempts", message.attempts, 0..=RetryPolicy::MAX_ATTEMPTS)?,
        on: reader.required("on", message.on, retry_on)?,
        backoff: Duration::from_nanos(message.backoff_nanos),
        max_backoff: Duration::from_nanos(message.max_backoff_nanos),
        unsafe_methods: message.unsafe_methods,
        hedge_after: reader.optional_duration("hedge_after", message.hedge_after_nanos)?,
        another_endpoint: message.another_endpoint,
    })
}

fn retry_on(reader: &mut Reader, message: mesh::RetryOn) -> Decoded<RetryOn> {
    Ok(RetryOn {
        conditions: RetryConditions {
            connect_failure: message.connect_failure,
            refused_stream: message.refused_stream,
            reset: message.reset,
            reset_before_request: message.reset_before_request,
            timeout: message.timeout,
        },
        statuses: reader.list("statuses", message.statuses, |reader, range| {
            let from = reader.number("from", range.from, 100..=599)?;
            let to = reader.number("to", range.to, from..=599)?;
            Ok((from as u16, to as u16))
        })?,
        grpc: reader.number("grpc", message.grpc, 0..=GRPC_STATUSES)?,
    })
}

fn session(reader: &mut Reader, message: mesh::SessionPersistence) -> Decoded<SessionPersistence> {
    use mesh::session_persistence::Carrier;
    let carrier = match reader.present("carrier", message.carrier)? {
        Carrier::Cookie(message) => reader.at("cookie", |reader| cookie(reader, message))?,
        Carrier::Header(name) => {
            SessionCarrier::Header(reader.at("header", |reader| header_name(reader, &name))?)
        }
    };
    Ok(SessionPersistence {
        carrier,
        absolute_timeout: reader.optional_duration("absolute_timeout", message.absolute_timeout_nanos)?,
    })
}

fn cookie(reader: &mut Reader, message: mesh::SessionCookie) -> Decoded<SessionCarrier> {
    Ok(SessionCarrier::Cookie {
        name: cookie_part(reader, "name", message.name)?,
        permanent: message.permanent,
        path: cookie_part(reader, "path", message.path)?,
    })
}

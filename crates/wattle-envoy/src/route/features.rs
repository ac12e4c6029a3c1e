//! What a rule asks of Envoy's filters: permission of other origins, faults, sessions.

use std::time::Duration;

use envoy_types::pb::envoy::extensions::filters::common::fault::v3::{
    FaultDelay, fault_delay::FaultDelaySecifier,
};
use envoy_types::pb::envoy::extensions::filters::http::cors::v3::CorsPolicy;
use envoy_types::pb::envoy::extensions::filters::http::fault::v3::{
    FaultAbort, HttpFault, fault_abort::ErrorType,
};
use envoy_types::pb::envoy::extensions::filters::http::stateful_session::v3 as session;
use envoy_types::pb::envoy::extensions::http::stateful_session::cookie::v3::CookieBasedSessionState;
use envoy_types::pb::envoy::extensions::http::stateful_session::header::v3::HeaderBasedSessionState;
use envoy_types::pb::envoy::r#type::http::v3::Cookie;
use session::stateful_session_per_route::Override;
use wattle_model::{Abort, Action, Cors, CorsList, Fault, RouteRule, SessionCarrier, SessionPersistence};

use super::Made;
use crate::notes::Notes;
use crate::proto::{duration, extension, flag, fraction};
use crate::text::compared;

/// Names of the filters.
pub(crate) const CORS: &str = "envoy.filters.http.cors";
pub(crate) const FAULT: &str = "envoy.filters.http.fault";
pub(crate) const SESSION: &str = "envoy.filters.http.stateful_session";

/// Adds what the rule asks for.
pub(super) fn add(made: &mut Made, rule: &RouteRule, notes: &mut Notes) {
    if let Some(cors) = &rule.filters.cors {
        made.tell(CORS, &permission(cors, notes));
    }
    if let Some(fault) = &rule.filters.fault {
        made.tell(FAULT, &faulty(fault));
    }
    if let (Some(persistence), Action::Forward(_)) = (&rule.session, &*rule.action) {
        made.tell(SESSION, &persistent(persistence, notes));
    }
}

fn permission(cors: &Cors, notes: &mut Notes) -> CorsPolicy {
    let mut origins = Vec::new();
    for origin in &cors.origins {
        match compared(origin) {
            Some(origin) => origins.push(origin),
            None => notes.gap("an origin by an expression that RE2 does not know: it may not call"),
        }
    }
    let asked = [&cors.methods, &cors.headers].contains(&&CorsList::Any);
    if asked && cors.credentials {
        notes.gap(
            "whatever is asked for, with credentials: browsers take the * that is answered by its letter",
        );
    }
    let list = |list: &CorsList| match list {
        CorsList::Any => "*".to_owned(),
        CorsList::These(names) => names.to_string(),
    };
    CorsPolicy {
        allow_origin_string_match: origins,
        allow_methods: list(&cors.methods),
        allow_headers: list(&cors.headers),
        expose_headers: match &cors.expose {
            CorsList::Any if cors.credentials => String::new(),
            other => list(other),
        },
        max_age: cors
            .max_age
            .map(|age| age.as_secs().to_string())
            .unwrap_or_default(),
        allow_credentials: flag(cors.credentials),
        forward_not_matching_preflights: flag(cors.forwards_unmatched),
        ..Default::default()
    }
}

pub(crate) fn faulty(fault: &Fault) -> HttpFault {
    HttpFault {
        delay: fault.delay.map(|(chance, delay)| FaultDelay {
            percentage: Some(fraction(chance)),
            fault_delay_secifier: Some(FaultDelaySecifier::FixedDelay(duration(
                delay.max(Duration::from_nanos(1)),
            ))),
        }),
        abort: fault.abort.map(|(chance, abort)| FaultAbort {
            percentage: Some(fraction(chance)),
            error_type: Some(match abort {
                Abort::Http(status) => ErrorType::HttpStatus(status.into()),
                Abort::Grpc(status) => ErrorType::GrpcStatus(status.into()),
            }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

pub(crate) fn persistent(
    persistence: &SessionPersistence,
    notes: &mut Notes,
) -> session::StatefulSessionPerRoute {
    let limit = persistence.absolute_timeout;
    let state = match &persistence.carrier {
        SessionCarrier::Cookie {
            name,
            permanent,
            path,
        } => {
            if limit.is_some() && !permanent {
                notes.gap("the absolute timeout of a session whose cookie ends with the browser is not kept");
            }
            let cookie = Cookie {
                name: name.to_string(),
                path: path.to_string(),
                ttl: limit.filter(|_| *permanent).map(duration),
                ..Default::default()
            };
            let config = CookieBasedSessionState { cookie: Some(cookie) };
            extension("envoy.http.stateful_session.cookie", &config)
        }
        SessionCarrier::Header(name) => {
            if limit.is_some() {
                notes.gap("the absolute timeout of a session in a header is not kept");
            }
            let config = HeaderBasedSessionState {
                name: name.as_str().to_owned(),
            };
            extension("envoy.http.stateful_session.header", &config)
        }
    };
    session::StatefulSessionPerRoute {
        r#override: Some(Override::StatefulSession(session::StatefulSession {
            session_state: Some(state),
            ..Default::default()
        })),
    }
}

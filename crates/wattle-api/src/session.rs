//! Gateway API session persistence (GEP-1619): requests of one session go to one endpoint.

use std::time::Duration;

use serde::Serialize;

use crate::decode::{Cursor, Decoded};
use crate::scalar::{self, write_duration};
use crate::tree::quote;

/// Longest session name in bytes (Gateway API).
const MAX_NAME: usize = 128;

/// `sessionPersistence` of a rule or of a backend policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SessionPersistence {
    /// Name of the cookie or header, an RFC 6265 token of at most 128 bytes; none lets the mesh choose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_name: Option<String>,
    /// A session ends this long after it began.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "write_duration")]
    pub absolute_timeout: Option<Duration>,
    /// A session ends this long after its last request.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "write_duration")]
    pub idle_timeout: Option<Duration>,
    /// What carries the session; default Cookie.
    #[serde(rename = "type")]
    pub carrier: SessionCarrier,
    /// How the cookie is kept; only with a cookie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cookie_config: Option<CookieConfig>,
}

/// What carries a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum SessionCarrier {
    /// A cookie.
    #[default]
    Cookie,
    /// A header.
    Header,
}

/// How a session's cookie is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CookieConfig {
    /// Default Session.
    pub lifetime_type: CookieLifetime,
}

/// How long a client keeps a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum CookieLifetime {
    /// Until the client ends; the cookie has neither Expires nor Max-Age.
    #[default]
    Session,
    /// Until `absoluteTimeout`.
    Permanent,
}

pub(crate) fn session_persistence(cursor: &Cursor<'_>) -> Decoded<SessionPersistence> {
    let known = [
        "sessionName",
        "absoluteTimeout",
        "idleTimeout",
        "type",
        "cookieConfig",
    ];
    let fields = cursor.fields(&known)?;
    let session_name = fields.optional("sessionName", session_name);
    let absolute_timeout = fields.optional("absoluteTimeout", scalar::duration);
    let idle_timeout = fields.optional("idleTimeout", scalar::duration);
    let carriers = [
        ("Cookie", SessionCarrier::Cookie),
        ("Header", SessionCarrier::Header),
    ];
    let carrier = fields.optional("type", |at| scalar::word(at, &carriers));
    let cookie_config = fields.optional("cookieConfig", cookie_config);
    let session = SessionPersistence {
        session_name: session_name?,
        absolute_timeout: absolute_timeout?,
        idle_timeout: idle_timeout?,
        carrier: carrier?.unwrap_or_default(),
        cookie_config: cookie_config?,
    };
    check(&session, cursor)?;
    Ok(session)
}

fn check(session: &SessionPersistence, cursor: &Cursor<'_>) -> Decoded<()> {
    if session.cookie_config.is_some() && session.carrier == SessionCarrier::Header {
        let reason = "cookieConfig does not belong to type Header";
        return Err(cursor.refuse_with("incompatible-fields", reason, "remove cookieConfig"));
    }
    let permanent = session
        .cookie_config
        .is_some_and(|cookie| cookie.lifetime_type == CookieLifetime::Permanent);
    if permanent && session.absolute_timeout.is_none() {
        let reason = "a Permanent cookie needs absoluteTimeout";
        return Err(cursor.refuse_with("missing-field", reason, "add absoluteTimeout"));
    }
    Ok(())
}

fn cookie_config(cursor: &Cursor<'_>) -> Decoded<CookieConfig> {
    let fields = cursor.fields(&["lifetimeType"])?;
    let lifetimes = [
        ("Session", CookieLifetime::Session),
        ("Permanent", CookieLifetime::Permanent),
    ];
    let lifetime_type = fields.optional("lifetimeType", |at| scalar::word(at, &lifetimes))?;
    Ok(CookieConfig {
        lifetime_type: lifetime_type.unwrap_or_default(),
    })
}

/// A cookie name is an HTTP token, as a header name is.
fn session_name(cursor: &Cursor<'_>) -> Decoded<String> {
    let text = scalar::text(cursor)?;
    if text.len() > MAX_NAME || http::HeaderName::from_bytes(text.as_bytes()).is_err() {
        let reason = format!(
            "found {}, expected the name of a cookie or header of at most {MAX_NAME} bytes",
            quote(&text)
        );
        return Err(cursor.refuse("invalid-name", reason));
    }
    Ok(text)
}

//! Cross-origin requests.

use std::time::Duration;

use serde::Serialize;

use crate::decode::{Cursor, Decoded};
use crate::istio::string_match::{StringMatch, string_match};
use crate::istio::time::time;
use crate::istio::value::{MAX_ITEMS, at_most_one};
use crate::scalar::{self, write_duration};
use crate::tree::quote;

/// What scripts of other origins may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CorsPolicy {
    /// Origins, any of which may match; exact `*` is every origin.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_origins: Vec<StringMatch>,
    /// Methods they may use, or `*`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_methods: Vec<String>,
    /// Request headers they may send, or `*`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub allow_headers: Vec<String>,
    /// Response headers they may read, or `*`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expose_headers: Vec<String>,
    /// How long a browser may keep the answer, in whole seconds.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "write_duration")]
    pub max_age: Option<Duration>,
    /// Whether credentials may be sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_credentials: Option<bool>,
    /// What happens to preflight requests of other origins; default FORWARD.
    pub unmatched_preflights: UnmatchedPreflights,
}

/// What happens to a preflight request whose origin does not match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum UnmatchedPreflights {
    /// It is sent on.
    #[default]
    Forward,
    /// It is answered with 200 without allowing anything.
    Ignore,
}

pub(super) fn cors_policy(cursor: &Cursor<'_>) -> Decoded<CorsPolicy> {
    let fields = cursor.fields(&[
        "allowOrigin",
        "allowOrigins",
        "allowMethods",
        "allowHeaders",
        "exposeHeaders",
        "maxAge",
        "allowCredentials",
        "unmatchedPreflights",
    ])?;
    at_most_one(&fields, &["allowOrigin", "allowOrigins"])?;
    let old = fields.optional("allowOrigin", old_origins);
    let allow_origins = fields.list("allowOrigins", MAX_ITEMS, string_match);
    let allow_methods = fields.list("allowMethods", MAX_ITEMS, method);
    let allow_headers = fields.list("allowHeaders", MAX_ITEMS, scalar::header_name);
    let expose_headers = fields.list("exposeHeaders", MAX_ITEMS, scalar::header_name);
    let max_age = fields.optional("maxAge", whole_seconds);
    let allow_credentials = fields.optional("allowCredentials", scalar::flag);
    let unmatched_preflights = fields.optional("unmatchedPreflights", unmatched_preflights);
    let mut origins = allow_origins?;
    origins.extend(old?.unwrap_or_default());
    Ok(CorsPolicy {
        allow_origins: origins,
        allow_methods: allow_methods?,
        allow_headers: allow_headers?,
        expose_headers: expose_headers?,
        max_age: max_age?,
        allow_credentials: allow_credentials?,
        unmatched_preflights: unmatched_preflights?.unwrap_or_default(),
    })
}

fn old_origins(cursor: &Cursor<'_>) -> Decoded<Vec<StringMatch>> {
    let origins = cursor.list(MAX_ITEMS, |at| scalar::filled(at).map(StringMatch::Exact))?;
    cursor.warn(
        "deprecated-field",
        "the field is deprecated",
        "write allowOrigins",
    );
    Ok(origins)
}

fn method(cursor: &Cursor<'_>) -> Decoded<String> {
    let text = scalar::text(cursor)?;
    // Any token is a method by RFC 9110, and `*` is one too.
    if http::Method::from_bytes(text.as_bytes()).is_err() {
        let reason = format!("found {}, expected a method or *", quote(&text));
        return Err(cursor.refuse("invalid-method", reason));
    }
    Ok(text)
}

fn whole_seconds(cursor: &Cursor<'_>) -> Decoded<Duration> {
    let time = time(cursor)?;
    if time.subsec_nanos() != 0 {
        return Err(cursor.refuse("invalid-duration", "expected whole seconds"));
    }
    Ok(time)
}

fn unmatched_preflights(cursor: &Cursor<'_>) -> Decoded<UnmatchedPreflights> {
    let words = [
        ("UNSPECIFIED", UnmatchedPreflights::Forward),
        ("FORWARD", UnmatchedPreflights::Forward),
        ("IGNORE", UnmatchedPreflights::Ignore),
    ];
    scalar::word(cursor, &words)
}

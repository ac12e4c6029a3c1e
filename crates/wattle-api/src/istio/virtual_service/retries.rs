//! When and how often a request is tried again.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::decode::{Cursor, Decoded, one_of};
use crate::istio::time::time;
use crate::istio::value;
use crate::scalar::{self, write_duration};

/// Retries of a rule; every field that is none has the mesh's default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Retries {
    /// Tries after the first one; 0 means none, and is the default when `retries` is written.
    pub attempts: u32,
    /// How long one try may take, from 1 ms; none means the rule's timeout.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "write_duration")]
    pub per_try_timeout: Option<Duration>,
    /// What is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_on: Option<RetryOn>,
    /// Whether endpoints of other localities are tried.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_remote_localities: Option<bool>,
    /// Whether endpoints that were tried before are avoided; default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_ignore_previous_hosts: Option<bool>,
    /// Time before the first retry, from 1 ms; it grows from try to try.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "write_duration")]
    pub backoff: Option<Duration>,
}

/// What is tried again: any of the conditions or of the statuses; never both empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RetryOn {
    /// By what happened.
    pub conditions: BTreeSet<RetryCondition>,
    /// By the status of the response, 100 to 599.
    pub statuses: BTreeSet<u16>,
}

/// What happened to a try, in the words of Envoy and gRPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RetryCondition {
    /// `5xx`: a status from 500, or no response at all.
    ServerError,
    /// `gateway-error`: status 502, 503 or 504, or no answer.
    GatewayError,
    /// `reset`: no response at all.
    Reset,
    /// `reset-before-request`: no response, and the request had not been sent.
    ResetBeforeRequest,
    /// `connect-failure`: no connection.
    ConnectFailure,
    /// `envoy-ratelimited`: the proxy's own rate limit refused it.
    EnvoyRateLimited,
    /// `retriable-4xx`: status 409.
    Retriable4xx,
    /// `refused-stream`: an HTTP/2 reset that says so.
    RefusedStream,
    /// `retriable-status-codes`: one of the statuses beside it.
    RetriableStatusCodes,
    /// `retriable-headers`: a response header that is configured elsewhere.
    RetriableHeaders,
    /// `http3-post-connect-failure`: HTTP/3 failed after it had connected.
    Http3PostConnectFailure,
    /// `cancelled`: gRPC status 1.
    Cancelled,
    /// `deadline-exceeded`: gRPC status 4.
    DeadlineExceeded,
    /// `resource-exhausted`: gRPC status 8.
    ResourceExhausted,
    /// `internal`: gRPC status 13.
    Internal,
    /// `unavailable`: gRPC status 14.
    Unavailable,
}

const CONDITIONS: [(&str, RetryCondition); 16] = [
    ("5xx", RetryCondition::ServerError),
    ("gateway-error", RetryCondition::GatewayError),
    ("reset", RetryCondition::Reset),
    ("reset-before-request", RetryCondition::ResetBeforeRequest),
    ("connect-failure", RetryCondition::ConnectFailure),
    ("envoy-ratelimited", RetryCondition::EnvoyRateLimited),
    ("retriable-4xx", RetryCondition::Retriable4xx),
    ("refused-stream", RetryCondition::RefusedStream),
    ("retriable-status-codes", RetryCondition::RetriableStatusCodes),
    ("retriable-headers", RetryCondition::RetriableHeaders),
    (
        "http3-post-connect-failure",
        RetryCondition::Http3PostConnectFailure,
    ),
    ("cancelled", RetryCondition::Cancelled),
    ("deadline-exceeded", RetryCondition::DeadlineExceeded),
    ("resource-exhausted", RetryCondition::ResourceExhausted),
    ("internal", RetryCondition::Internal),
    ("unavailable", RetryCondition::Unavailable),
];

impl RetryCondition {
    /// The condition as Istio writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        CONDITIONS
            .iter()
            .find(|(_, condition)| *condition == self)
            .map_or("", |(name, _)| name)
    }
}

impl fmt::Display for RetryOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let conditions = self
            .conditions
            .iter()
            .map(|condition| condition.as_str().to_owned());
        let statuses = self.statuses.iter().map(u16::to_string);
        f.write_str(&conditions.chain(statuses).collect::<Vec<_>>().join(","))
    }
}

impl Serialize for RetryOn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

pub(super) fn retries(cursor: &Cursor<'_>) -> Decoded<Retries> {
    let fields = cursor.fields(&[
        "attempts",
        "perTryTimeout",
        "retryOn",
        "retryRemoteLocalities",
        "retryIgnorePreviousHosts",
        "backoff",
    ])?;
    let attempts = value::natural(&fields, "attempts");
    let per_try_timeout = fields.optional("perTryTimeout", time);
    let retry_on = fields.optional("retryOn", retry_on);
    let retry_remote_localities = fields.optional("retryRemoteLocalities", scalar::flag);
    let retry_ignore_previous_hosts = fields.optional("retryIgnorePreviousHosts", scalar::flag);
    let backoff = fields.optional("backoff", time);
    let retries = Retries {
        attempts: attempts?.unwrap_or_default(),
        per_try_timeout: per_try_timeout?,
        retry_on: retry_on?.flatten(),
        retry_remote_localities: retry_remote_localities?,
        retry_ignore_previous_hosts: retry_ignore_previous_hosts?,
        backoff: backoff?,
    };
    check(&retries, cursor)?;
    Ok(retries)
}

fn check(retries: &Retries, cursor: &Cursor<'_>) -> Decoded<()> {
    let refined = retries.per_try_timeout.is_some()
        || retries.retry_on.is_some()
        || retries.retry_remote_localities.is_some();
    if retries.attempts == 0 && refined {
        let reason = "attempts is 0, which means no retries, and other fields say how to retry";
        return Err(cursor.refuse_with("incompatible-fields", reason, "give attempts a number"));
    }
    Ok(())
}

fn retry_on(cursor: &Cursor<'_>) -> Decoded<Option<RetryOn>> {
    let text = scalar::text(cursor)?;
    let mut retry_on = RetryOn::default();
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        if let Some((_, condition)) = CONDITIONS.iter().find(|(name, _)| *name == word) {
            retry_on.conditions.insert(*condition);
        } else if let Ok(status) = word.parse() {
            if !(100..=599).contains(&status) {
                let reason = format!("found status {status}, expected 100 to 599");
                return Err(cursor.refuse("out-of-range", reason));
            }
            retry_on.statuses.insert(status);
        } else {
            return Err(one_of(cursor, word, &CONDITIONS.map(|(name, _)| name)));
        }
    }
    Ok((retry_on != RetryOn::default()).then_some(retry_on))
}

//! Gateway API XBackendTrafficPolicy: how much a backend is retried, and its sessions (GEP-3388, GEP-1619).

use std::time::Duration;

use serde::Serialize;

use crate::decode::{Cursor, Decoded};
use crate::reference::{PolicyTarget, Sections, policy_targets};
use crate::scalar::{self, write_length};
use crate::session::{SessionPersistence, session_persistence};

/// Shortest interval of a budget (Gateway API).
const SECOND: Duration = Duration::from_secs(1);
/// Longest interval (Gateway API).
const HOUR: Duration = Duration::from_secs(3600);

/// `spec` of an XBackendTrafficPolicy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendTrafficPolicy {
    /// The backends it is for; at least one.
    pub target_refs: Vec<PolicyTarget>,
    /// How many requests may be retries; none means the mesh's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_constraint: Option<RetryConstraint>,
    /// Whether requests of one session stay at one endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_persistence: Option<SessionPersistence>,
}

/// How many requests may be retries: a share of all of them, and always a few.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryConstraint {
    /// The share.
    pub budget: RetryBudget,
    /// How many may be retries whatever the share.
    pub min_retry_rate: RequestRate,
}

/// A share of the requests of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RetryBudget {
    /// Percent of the requests that may be retries, 0 to 100; default 20.
    pub percent: u32,
    /// Over which requests are counted, 1 s to 1 h; default 10 s.
    #[serde(serialize_with = "write_length")]
    pub interval: Duration,
}

/// A number of requests in an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RequestRate {
    /// Requests, 1 to 1,000,000; default 10.
    pub count: u32,
    /// Above zero, at most 1 h; default 1 s.
    #[serde(serialize_with = "write_length")]
    pub interval: Duration,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self {
            percent: 20,
            interval: Duration::from_secs(10),
        }
    }
}

impl Default for RequestRate {
    fn default() -> Self {
        Self {
            count: 10,
            interval: SECOND,
        }
    }
}

pub(crate) fn backend_traffic_policy(cursor: &Cursor<'_>) -> Decoded<BackendTrafficPolicy> {
    let fields = cursor.fields(&["targetRefs", "retryConstraint", "sessionPersistence"])?;
    let target_refs = policy_targets(&fields, Sections::Whole);
    let retry_constraint = fields.optional("retryConstraint", retry_constraint);
    let session_persistence = fields.optional("sessionPersistence", session_persistence);
    Ok(BackendTrafficPolicy {
        target_refs: target_refs?,
        retry_constraint: retry_constraint?,
        session_persistence: session_persistence?,
    })
}

fn retry_constraint(cursor: &Cursor<'_>) -> Decoded<RetryConstraint> {
    let fields = cursor.fields(&["budget", "minRetryRate"])?;
    let budget = fields.optional("budget", budget);
    let min_retry_rate = fields.optional("minRetryRate", rate);
    Ok(RetryConstraint {
        budget: budget?.unwrap_or_default(),
        min_retry_rate: min_retry_rate?.unwrap_or_default(),
    })
}

fn budget(cursor: &Cursor<'_>) -> Decoded<RetryBudget> {
    let fields = cursor.fields(&["percent", "interval"])?;
    let percent = fields.optional("percent", |at| scalar::count(at, 0, 100));
    let interval = fields.optional("interval", |at| scalar::length(at, SECOND, HOUR));
    let default = RetryBudget::default();
    Ok(RetryBudget {
        percent: percent?.unwrap_or(default.percent),
        interval: interval?.unwrap_or(default.interval),
    })
}

fn rate(cursor: &Cursor<'_>) -> Decoded<RequestRate> {
    let fields = cursor.fields(&["count", "interval"])?;
    let count = fields.optional("count", |at| scalar::count(at, 1, 1_000_000));
    let interval = fields.optional("interval", |at| {
        scalar::length(at, Duration::from_millis(1), HOUR)
    });
    let default = RequestRate::default();
    Ok(RequestRate {
        count: count?.unwrap_or(default.count),
        interval: interval?.unwrap_or(default.interval),
    })
}

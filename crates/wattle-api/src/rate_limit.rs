//! Our own RateLimit: how many requests workloads take, counted at each of them or by a rate limit service.

use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::matcher::TextMatch;
use crate::peer::Selector;
use crate::reference::PolicyTarget;
use crate::route::Match;
use crate::scalar::{Port, write_length};

mod read;

pub(crate) use read::rate_limit;

/// `spec` of a RateLimit; without `targetRefs` and `selector` it is for all workloads of its namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RateLimit {
    /// Services of its namespace whose workloads it is for; never together with `selector`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub target_refs: Vec<PolicyTarget>,
    /// The workloads it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<Selector>,
    /// The rules, 1 to 64; a request must stay within every one that matches it.
    pub rules: Vec<RateLimitRule>,
}

/// One bound, and the requests it is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RateLimitRule {
    /// Name of the rule, unique in its object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The rule applies when any of them matches; never empty.
    pub matches: Vec<Match>,
    /// Workload ports; none means every port.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
    /// Identities of clients as `trust-domain/ns/NAMESPACE/sa/ACCOUNT`; none means everybody.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "texts")]
    pub clients: Vec<TextMatch>,
    /// How many of these requests may pass.
    #[serde(flatten)]
    pub limit: Limit,
}

/// Who counts, and how many requests may pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Limit {
    /// Each workload's proxy counts for itself.
    Local(LocalLimit),
    /// A rate limit service counts for all.
    Global(GlobalLimit),
}

/// A token bucket in each workload's proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalLimit {
    /// Requests that may pass in each `unit`, from 1.
    pub requests: u32,
    /// The unit of time.
    pub unit: RateUnit,
    /// Requests that may pass at once, from 1; default `requests`.
    pub burst: u32,
    /// Who shares the bucket; default total.
    pub per: RateShare,
}

/// A unit of time of a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RateUnit {
    /// 1 s.
    Second,
    /// 60 s.
    Minute,
    /// 3600 s.
    Hour,
}

impl RateUnit {
    /// The length of the unit.
    #[must_use]
    pub fn length(self) -> Duration {
        Duration::from_secs(match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
        })
    }
}

/// Who shares a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RateShare {
    /// All clients.
    #[default]
    Total,
    /// Nobody: each identity has its own; clients without one share one.
    Identity,
}

/// A question to a rate limit service about each request (Envoy's `rls.proto`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GlobalLimit {
    /// The service that is asked.
    pub service: RateLimitService,
    /// Domain of the descriptors; never empty.
    pub domain: String,
    /// What is told of a request, 1 to 16 entries of one descriptor; keys unique.
    pub descriptors: Vec<DescriptorEntry>,
    /// How long an answer is waited for, above zero and at most 10 s; default 100 ms.
    #[serde(serialize_with = "write_length")]
    pub timeout: Duration,
    /// What happens to a request without an answer; default Deny.
    pub on_failure: OnFailure,
}

/// A Service that answers questions about rate limits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RateLimitService {
    /// Name of the Service.
    pub name: String,
    /// Its namespace; none means that of the RateLimit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its port.
    pub port: Port,
}

/// What happens to a request when the service does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum OnFailure {
    /// It is refused.
    #[default]
    Deny,
    /// It may pass.
    Allow,
}

/// One entry of a descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescriptorEntry {
    /// Its key; never empty.
    pub key: String,
    /// Where its value comes from.
    pub source: DescriptorSource,
}

/// Where the value of an entry comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DescriptorSource {
    /// Always this.
    Value(String),
    /// The value of this request header; without it the rule does not apply.
    Header(String),
    /// The identity of the client.
    ClientIdentity,
    /// The path of the request.
    Path,
    /// The method of the request.
    Method,
}

impl Serialize for DescriptorEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("key", &self.key)?;
        match &self.source {
            DescriptorSource::Value(value) => map.serialize_entry("value", value)?,
            DescriptorSource::Header(name) => map.serialize_entry("header", name)?,
            DescriptorSource::ClientIdentity => map.serialize_entry("clientIdentity", &true)?,
            DescriptorSource::Path => map.serialize_entry("path", &true)?,
            DescriptorSource::Method => map.serialize_entry("method", &true)?,
        }
        map.end()
    }
}

fn texts<S: Serializer>(clients: &[TextMatch], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(clients.iter().map(ToString::to_string))
}

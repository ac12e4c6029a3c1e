//! Linkerd ServiceProfile: routes by regular expression, retries within a budget, and traffic splits.

use std::time::Duration;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::scalar::{Pattern, Port, write_duration, write_length};

mod read;

pub(crate) use read::service_profile;

/// `spec` of a ServiceProfile, which is named after the Service's DNS name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceProfile {
    /// The routes; the first that matches applies.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<ProfileRoute>,
    /// How many requests may be retries; none means the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_budget: Option<ProfileRetryBudget>,
    /// Where requests go instead, by weight.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dst_overrides: Vec<WeightedDst>,
    /// Ports whose bytes are not looked at.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "texts")]
    pub opaque_ports: Vec<Port>,
}

/// One route of a profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProfileRoute {
    /// Name, for metrics; never empty.
    pub name: String,
    /// Which requests it is for.
    pub condition: RequestCondition,
    /// Which responses are failures, the first that matches deciding; otherwise 5xx are.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub response_classes: Vec<ResponseClass>,
    /// Whether failures are retried within the budget; default false.
    pub is_retryable: bool,
    /// How long a request may take with its retries; none or zero means no bound.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "write_duration")]
    pub timeout: Option<Duration>,
}

/// A condition on a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestCondition {
    /// All of them hold.
    All(Vec<Self>),
    /// One of them holds.
    Any(Vec<Self>),
    /// It does not hold.
    Not(Box<Self>),
    /// The method is this one.
    Method(String),
    /// The whole path matches.
    Path(Pattern),
}

/// Which responses are failures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ResponseClass {
    /// The responses.
    pub condition: ResponseCondition,
    /// Whether they are failures; default false.
    pub is_failure: bool,
}

/// A condition on a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResponseCondition {
    /// All of them hold.
    All(Vec<Self>),
    /// One of them holds.
    Any(Vec<Self>),
    /// It does not hold.
    Not(Box<Self>),
    /// The status lies between these two, both of them included; each 100 to 599.
    Status {
        /// Least; default 100.
        min: u16,
        /// Most; default 599.
        max: u16,
    },
}

/// How many requests may be retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProfileRetryBudget {
    /// Retries for each original request in millionths, 0 to 1000 million; Linkerd's own default is 0.2.
    #[serde(rename = "retryRatio", serialize_with = "millionths")]
    pub retry_ratio_millionths: u32,
    /// Retries that are always allowed, per second; Linkerd's own default is 10.
    pub min_retries_per_second: u32,
    /// How long a request counts, 1 s to 60 s; Linkerd's own default is 10 s.
    #[serde(serialize_with = "write_length")]
    pub ttl: Duration,
}

/// A Service that requests go to instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WeightedDst {
    /// Host name and perhaps a port, such as `a.b.svc.cluster.local:80`.
    pub authority: String,
    /// Weight in thousandths relative to the others; `1` and `1000m` are 1000.
    #[serde(rename = "weight", serialize_with = "thousandths")]
    pub weight_thousandths: u32,
}

fn texts<S: Serializer>(ports: &[Port], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(ports.iter().map(ToString::to_string))
}

fn millionths<S: Serializer>(ratio: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(f64::from(*ratio) / 1e6)
}

fn thousandths<S: Serializer>(weight: &u32, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{weight}m"))
}

impl Serialize for RequestCondition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Self::All(inner) => map.serialize_entry("all", inner)?,
            Self::Any(inner) => map.serialize_entry("any", inner)?,
            Self::Not(inner) => map.serialize_entry("not", inner)?,
            Self::Method(method) => map.serialize_entry("method", method)?,
            Self::Path(pattern) => map.serialize_entry("pathRegex", pattern)?,
        }
        map.end()
    }
}

impl Serialize for ResponseCondition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Self::All(inner) => map.serialize_entry("all", inner)?,
            Self::Any(inner) => map.serialize_entry("any", inner)?,
            Self::Not(inner) => map.serialize_entry("not", inner)?,
            Self::Status { min, max } => {
                map.serialize_entry("status", &serde_json::json!({ "min": min, "max": max }))?;
            }
        }
        map.end()
    }
}

//! HTTPRoute of the Gateway API and of Linkerd: rules and timeouts.
//!
//! Parents and backends are in `reference.rs`, matches in `matching.rs`, filters in `filter.rs`.

use std::time::Duration;

use serde::Serialize;

use crate::filter::Filter;
use crate::matching::{HeaderMatch, PathMatch, QueryMatch};
use crate::reference::{BackendRef, ParentRef};
use crate::retry::Retry;
use crate::scalar::write_duration;
use crate::session::SessionPersistence;

mod read;

pub(crate) use read::{check_rules, http_matches, http_route};

/// `spec` of an HTTPRoute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpRoute {
    /// What the route attaches to; for the mesh, Services.
    pub parent_refs: Vec<ParentRef>,
    /// Host names; without meaning on a Service parent (GEP-1426).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hostnames: Vec<String>,
    /// The rules; when none were written, one that matches everything.
    pub rules: Vec<Rule>,
}

/// One rule of a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// Name of the rule, unique in its route (GEP-995).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The rule applies when any of them matches; never empty.
    pub matches: Vec<Match>,
    /// What is changed on the way.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
    /// Where matching requests go, by weight; empty means status 500 unless a filter redirects.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub backend_refs: Vec<BackendRef>,
    /// How long it may take.
    pub timeouts: Timeouts,
    /// When and how often it is tried again (GEP-1731); none means never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Whether requests of one session stay at one endpoint (GEP-1619).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_persistence: Option<SessionPersistence>,
}

/// Conditions that must all hold for a request; the default is any request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Match {
    /// The path; default prefix `/`.
    pub path: PathMatch,
    /// Headers that must all match; names unique without regard to case.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderMatch>,
    /// Query parameters that must all match; names unique.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub query_params: Vec<QueryMatch>,
    /// The method; none means any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<&'static str>,
}

/// Timeouts of a rule (GEP-1742); zero means none, absent means the mesh's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Timeouts {
    /// From the request's arrival to the end of the response.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "write_duration")]
    pub request: Option<Duration>,
    /// For one attempt at a backend; at most `request`.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "write_duration")]
    pub backend_request: Option<Duration>,
}

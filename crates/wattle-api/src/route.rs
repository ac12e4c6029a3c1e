//! Gateway API HTTPRoute: parents, rules, matches and backends. Matches are in `matching.rs`, filters in `filter.rs`.

use std::time::Duration;

use serde::Serialize;

use crate::filter::Filter;
use crate::matching::{HeaderMatch, PathMatch, QueryMatch};
use crate::scalar::{Port, write_duration};

mod read;

pub(crate) use read::http_route;

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

/// What a route attaches to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ParentRef {
    /// API group; default `gateway.networking.k8s.io`, empty for a Service.
    pub group: String,
    /// Kind; default Gateway.
    pub kind: String,
    /// Namespace; default the route's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// Name of a listener or of a Service port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section_name: Option<String>,
    /// Port; none means every port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<Port>,
}

impl ParentRef {
    /// Whether the parent is a core Service.
    #[must_use]
    pub fn is_service(&self) -> bool {
        self.group.is_empty() && self.kind == "Service"
    }
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
}

/// Conditions that must all hold for a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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

/// Where requests go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendRef {
    /// API group; default the core group.
    pub group: String,
    /// Kind; default Service.
    pub kind: String,
    /// Namespace; default the route's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// Port; always there for a Service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<Port>,
    /// Share of the requests relative to the rule's other backends, 0 to 1,000,000; default 1.
    pub weight: u32,
    /// What is changed for this backend only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
}

impl BackendRef {
    /// Whether the backend is a core Service.
    #[must_use]
    pub fn is_service(&self) -> bool {
        self.group.is_empty() && self.kind == "Service"
    }
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

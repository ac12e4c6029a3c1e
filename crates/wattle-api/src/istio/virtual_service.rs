//! Istio VirtualService: where requests and connections to a host go.

use std::time::Duration;

use serde::Serialize;

use crate::scalar::write_duration;

use super::export_to::ExportTo;
use super::gateway_ref::GatewayRef;
use super::headers::Headers;
use super::host::Host;

mod action;
mod cors;
mod fault;
mod layer4;
mod matches;
mod mirror;
mod read;
mod retries;
mod rewrite;

pub use action::{
    Body, Delegate, DerivePort, DirectResponse, HttpAction, HttpDestination, Redirect, RedirectPort,
};
pub use cors::{CorsPolicy, UnmatchedPreflights};
pub use fault::{Abort, AbortWith, Delay, Fault, GrpcStatus};
pub use layer4::{L4Match, TcpRule, TlsMatch, TlsRule};
pub use matches::HttpMatch;
pub use mirror::Mirror;
pub use retries::{Retries, RetryCondition, RetryOn};
pub use rewrite::{RegexRewrite, Rewrite};

pub(crate) use read::virtual_service;

/// `spec` of a VirtualService.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VirtualService {
    /// Hosts it is for, distinct; none makes it a delegate, which another VirtualService names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<Host>,
    /// Where it applies; default the mesh, and empty for a delegate.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<GatewayRef>,
    /// Rules for HTTP, of which the first that matches is taken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub http: Vec<HttpRule>,
    /// Rules for TLS that is not terminated, of which the first that matches is taken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tls: Vec<TlsRule>,
    /// Rules for other connections, of which the first that matches is taken.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tcp: Vec<TcpRule>,
    /// The namespaces whose workloads it is for.
    #[serde(skip_serializing_if = "ExportTo::is_empty")]
    pub export_to: ExportTo,
}

impl VirtualService {
    /// Whether it has no hosts of its own and applies only where another one delegates to it.
    #[must_use]
    pub fn is_delegate(&self) -> bool {
        self.hosts.is_empty()
    }

    /// Whether it applies to proxies beside workloads.
    #[must_use]
    pub fn is_for_mesh(&self) -> bool {
        self.gateways.contains(&GatewayRef::Mesh)
    }
}

/// One rule for HTTP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpRule {
    /// Name for logs and messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The rule applies when any of them matches; empty matches everything.
    #[serde(rename = "match", skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<HttpMatch>,
    /// What happens to a request.
    #[serde(flatten)]
    pub action: HttpAction,
    /// How path and host change on the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rewrite: Option<Rewrite>,
    /// How long the whole exchange may take, from 1 ms; none means no limit.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "write_duration")]
    pub timeout: Option<Duration>,
    /// When and how often it is tried again; none means the mesh's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<Retries>,
    /// Faults that are made up for tests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// Where copies go; their responses are dropped.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mirrors: Vec<Mirror>,
    /// Cross-origin requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cors_policy: Option<CorsPolicy>,
    /// How headers change on the way.
    #[serde(skip_serializing_if = "Headers::is_empty")]
    pub headers: Headers,
}

//! Istio DestinationRule: how a host's endpoints are chosen, connected to and watched.

use std::time::Duration;

use serde::Serialize;

use crate::meta::Labels;
use crate::peer::Selector;
use crate::scalar::{Port, write_duration};

use super::client_tls::ClientTls;
use super::connection_pool::ConnectionPool;
use super::destination::write_port_number;
use super::export_to::ExportTo;
use super::host::Host;
use super::load_balancer::LoadBalancer;
use super::outlier::OutlierDetection;
use super::value::Percentage;

mod read;

pub(crate) use read::destination_rule;

/// `spec` of a DestinationRule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DestinationRule {
    /// The host it is for; without a dot it is a Service of the rule's namespace.
    pub host: Host,
    /// The client workloads of the rule's namespace it is for; none means all clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_selector: Option<Selector>,
    /// What applies to all endpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic_policy: Option<Box<TrafficPolicy>>,
    /// Named parts of the endpoints; names unique.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subsets: Vec<Subset>,
    /// The namespaces whose workloads it is for.
    #[serde(skip_serializing_if = "ExportTo::is_empty")]
    pub export_to: ExportTo,
}

/// The endpoints with some labels, under a name that routes use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Subset {
    /// Name.
    pub name: String,
    /// Labels an endpoint must have; empty means every endpoint.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// What replaces the rule's own policy, field by field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub traffic_policy: Option<TrafficPolicy>,
}

/// How connections and requests are sent; a field that is none was not written, and inherits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TrafficPolicy {
    /// What may also be said per port.
    #[serde(flatten)]
    pub settings: Settings,
    /// What holds for one port instead: all of it, since nothing is merged with `settings`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub port_level_settings: Vec<PortPolicy>,
    /// A tunnel through a proxy, for TCP and TLS routes only; never together with `proxy_protocol`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tunnel: Option<Tunnel>,
    /// The PROXY protocol towards the endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy_protocol: Option<ProxyProtocol>,
    /// How many retries there may be at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_budget: Option<RetryBudget>,
}

/// What may be said for all ports and per port; a field that is none was not written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// How an endpoint is chosen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_balancer: Option<LoadBalancer>,
    /// How many connections and requests there may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_pool: Option<ConnectionPool>,
    /// When an endpoint is left out for a while; none means never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outlier_detection: Option<OutlierDetection>,
    /// TLS towards the endpoint; none means mutual TLS of the mesh wherever the endpoint speaks it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ClientTls>,
}

/// What holds for one port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PortPolicy {
    /// The Service's port.
    #[serde(serialize_with = "write_port_number")]
    pub port: Port,
    /// What holds for it.
    #[serde(flatten)]
    pub settings: Settings,
}

/// A tunnel through a proxy, which is the rule's host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tunnel {
    /// Default CONNECT.
    pub protocol: TunnelProtocol,
    /// Where the tunnel leads, a name or an address.
    pub target_host: Host,
    /// Port there.
    pub target_port: Port,
}

/// How a tunnel is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TunnelProtocol {
    /// HTTP CONNECT.
    #[default]
    Connect,
    /// HTTP POST.
    Post,
}

/// The PROXY protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "version")]
pub enum ProxyProtocol {
    /// Text; the default.
    V1,
    /// Binary.
    V2,
}

/// How many retries there may be at once, relative to the requests that are under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RetryBudget {
    /// Share of the requests; none means 20 percent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub percent: Option<Percentage>,
    /// Retries that are always allowed; none means 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_retry_concurrency: Option<u32>,
    /// Time over which requests are counted; none means those under way now.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "write_duration")]
    pub budget_interval: Option<Duration>,
}

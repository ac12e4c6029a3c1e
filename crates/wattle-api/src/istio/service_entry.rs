//! Istio ServiceEntry: a service that Kubernetes does not know of.

use ipnet::IpNet;
use serde::Serialize;

use crate::scalar::Port;
use crate::workload::WorkloadEntry;

use super::export_to::ExportTo;
use super::host::Host;
use super::value::{WorkloadSelector, write_blocks};

mod read;

pub(crate) use read::{app_protocol, service_entry};

/// `spec` of a ServiceEntry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServiceEntry {
    /// Names or `*.` patterns of names, 1 to 256; never `*` alone.
    pub hosts: Vec<Host>,
    /// Virtual addresses, at most 256; blocks only with NONE and STATIC.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "write_blocks")]
    pub addresses: Vec<IpNet>,
    /// Ports, at most 256; numbers and names unique.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<EntryPort>,
    /// Default MESH_EXTERNAL.
    pub location: Location,
    /// How endpoints are found; default NONE.
    pub resolution: Resolution,
    /// The endpoints, at most 4096; never together with `workload_selector`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<WorkloadEntry>,
    /// Workloads of the own namespace that are the endpoints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_selector: Option<WorkloadSelector>,
    /// The namespaces whose workloads it is for.
    #[serde(skip_serializing_if = "ExportTo::is_empty")]
    pub export_to: ExportTo,
    /// Names of which an endpoint's certificate must have one; empty means that nothing is asked beyond the usual.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subject_alt_names: Vec<String>,
}

/// A port of a ServiceEntry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EntryPort {
    /// Number.
    pub number: Port,
    /// What is spoken; none means that it is found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<AppProtocol>,
    /// Name.
    pub name: String,
    /// Port of the endpoint, unless the endpoint says otherwise; none means the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_port: Option<Port>,
}

/// What is spoken on a port, in Istio's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum AppProtocol {
    /// HTTP/1, or HTTP/2 by upgrade.
    #[serde(rename = "HTTP")]
    Http,
    /// HTTP/2.
    #[serde(rename = "HTTP2")]
    Http2,
    /// HTTP over TLS, which is passed on as it is.
    #[serde(rename = "HTTPS")]
    Https,
    /// gRPC.
    #[serde(rename = "GRPC")]
    Grpc,
    /// gRPC-Web.
    #[serde(rename = "GRPC-WEB")]
    GrpcWeb,
    /// Anything over TLS, which is passed on as it is.
    #[serde(rename = "TLS")]
    Tls,
    /// Anything.
    #[serde(rename = "TCP")]
    Tcp,
    /// MongoDB.
    #[serde(rename = "MONGO")]
    Mongo,
    /// Redis.
    #[serde(rename = "REDIS")]
    Redis,
    /// MySQL.
    #[serde(rename = "MYSQL")]
    Mysql,
    /// Datagrams.
    #[serde(rename = "UDP")]
    Udp,
}

/// Whether a service belongs to the mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Location {
    /// No: plain connections, policies of the server side do not hold.
    #[default]
    MeshExternal,
    /// Yes: mutual TLS.
    MeshInternal,
}

/// How endpoints are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Resolution {
    /// The address the client dialled is the endpoint.
    #[default]
    None,
    /// The addresses of `endpoints` or of the workloads that are selected.
    Static,
    /// By DNS, all addresses of the name.
    Dns,
    /// By DNS, one address after the other.
    DnsRoundRobin,
    /// By DNS at the time of the request, by the name in it; for patterns only.
    DynamicDns,
}

impl Resolution {
    /// Whether endpoints are found by DNS.
    #[must_use]
    pub fn is_dns(self) -> bool {
        matches!(self, Self::Dns | Self::DnsRoundRobin | Self::DynamicDns)
    }
}

//! Istio Sidecar: what the proxies beside some workloads listen on, and what they know of.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Serialize, Serializer};

use crate::scalar::Port;

use super::connection_pool::ConnectionPool;
use super::destination::Destination;
use super::host::Host;
use super::server_tls::ServerTls;
use super::service_entry::AppProtocol;
use super::value::WorkloadSelector;

mod read;

pub(crate) use read::{outbound_mode, sidecar};

/// `spec` of a Sidecar; at least one field beside the selector is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sidecar {
    /// The workloads it is for; none means all of the namespace, or of the mesh in the root namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_selector: Option<WorkloadSelector>,
    /// Listeners towards the workload; empty means those that its Services ask for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ingress: Vec<Ingress>,
    /// Listeners for what the workload sends, and what they know of; empty means all there is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub egress: Vec<Egress>,
    /// Limits towards the workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inbound_connection_pool: Option<ConnectionPool>,
    /// What happens to destinations that nothing describes; none means the mesh's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outbound_traffic_policy: Option<OutboundTrafficPolicy>,
}

/// A listener towards the workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ingress {
    /// Port; numbers unique.
    pub port: SidecarPort,
    /// Address it listens on; none means that of the workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind: Option<IpAddr>,
    /// How traffic comes to it.
    pub capture_mode: CaptureMode,
    /// Where traffic goes; none means the same port of the workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_endpoint: Option<DefaultEndpoint>,
    /// TLS that is terminated; none means that of the mesh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ServerTls>,
    /// Limits towards the workload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connection_pool: Option<ConnectionPool>,
}

/// A listener for what the workload sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Egress {
    /// Port; none, which only the last listener has, means every port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<SidecarPort>,
    /// Address it listens on; only with a port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind: Option<IpAddr>,
    /// How traffic comes to it.
    pub capture_mode: CaptureMode,
    /// What it knows of; never empty.
    pub hosts: Vec<EgressHost>,
}

/// A port of a listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SidecarPort {
    /// Number.
    pub number: Port,
    /// What is spoken; none means that it is found out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<AppProtocol>,
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// How traffic comes to a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum CaptureMode {
    /// As the environment does it.
    #[default]
    Default,
    /// By redirection.
    Iptables,
    /// The workload dials it.
    None,
}

/// Where traffic of an ingress listener goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DefaultEndpoint {
    /// The loopback address, or the unspecified one, which stands for that of the workload.
    Socket(SocketAddr),
    /// A Unix socket, by absolute path.
    Unix(String),
}

impl Serialize for DefaultEndpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Socket(address) => serializer.collect_str(address),
            Self::Unix(path) => serializer.collect_str(&format_args!("unix://{path}")),
        }
    }
}

/// Hosts of a namespace, written `NAMESPACE/HOST`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EgressHost {
    /// Whether these hosts are left out, whatever other entries say; written with `~` before the namespace.
    pub excluded: bool,
    /// Namespace of the service.
    pub namespace: EgressNamespace,
    /// Host.
    pub host: Host,
}

/// The namespace of services.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EgressNamespace {
    /// `*`: any.
    Any,
    /// `.`: the own one.
    Own,
    /// `~/*`: none at all.
    Nowhere,
    /// This one.
    Named(String),
}

impl fmt::Display for EgressHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let excluded = if self.excluded { "~" } else { "" };
        let namespace = match &self.namespace {
            EgressNamespace::Any => "*",
            EgressNamespace::Own => ".",
            EgressNamespace::Nowhere => "~",
            EgressNamespace::Named(name) => name,
        };
        write!(f, "{excluded}{namespace}/{}", self.host)
    }
}

impl Serialize for EgressHost {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What happens to destinations that nothing describes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutboundTrafficPolicy {
    /// Default REGISTRY_ONLY, once the policy is written.
    pub mode: OutboundMode,
    /// Where they are sent instead; its port is always there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress_proxy: Option<Destination>,
}

/// Whether destinations that nothing describes can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OutboundMode {
    /// No.
    #[default]
    RegistryOnly,
    /// Yes, as they are dialled.
    AllowAny,
}

//! Linkerd Server: one port of some workloads, to which policy is attached.

use serde::Serialize;

use super::selector::{LabelSelector, label_selector};
use crate::core::{TargetPort, target_port};
use crate::decode::{Cursor, Decoded};
use crate::scalar;

/// `spec` of a Server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Server {
    /// The workloads it is for, in its own namespace; an empty selector means all of them.
    pub pod_selector: LabelSelector,
    /// The workload port, by number or name.
    pub port: TargetPort,
    /// What the port speaks; default unknown, which is to be detected.
    pub proxy_protocol: ProxyProtocol,
    /// What happens to requests that no policy allows; default deny.
    pub access_policy: AccessPolicy,
}

/// What a port speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum ProxyProtocol {
    /// It is detected.
    #[default]
    #[serde(rename = "unknown")]
    Unknown,
    /// HTTP/1.
    #[serde(rename = "HTTP/1")]
    Http1,
    /// HTTP/2.
    #[serde(rename = "HTTP/2")]
    Http2,
    /// gRPC.
    #[serde(rename = "gRPC")]
    Grpc,
    /// Bytes that are not looked at.
    #[serde(rename = "opaque")]
    Opaque,
    /// TLS of the application itself.
    #[serde(rename = "TLS")]
    Tls,
}

/// What happens to requests that no policy allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessPolicy {
    /// They are refused.
    #[default]
    Deny,
    /// They may pass and are logged.
    Audit,
    /// They may pass.
    AllUnauthenticated,
    /// They may pass with an identity of the mesh.
    AllAuthenticated,
    /// They may pass from addresses of the cluster.
    ClusterUnauthenticated,
    /// They may pass from addresses of the cluster with an identity of the mesh.
    ClusterAuthenticated,
}

pub(crate) fn server(cursor: &Cursor<'_>) -> Decoded<Server> {
    let known = [
        "podSelector",
        "externalWorkloadSelector",
        "port",
        "proxyProtocol",
        "accessPolicy",
    ];
    let fields = cursor.fields(&known)?;
    if let Some(at) = fields.at("externalWorkloadSelector") {
        let reason = "external workloads are not supported";
        return Err(at.refuse_with("unsupported-field", reason, "select workloads with podSelector"));
    }
    let protocols = [
        ("unknown", ProxyProtocol::Unknown),
        ("HTTP/1", ProxyProtocol::Http1),
        ("HTTP/2", ProxyProtocol::Http2),
        ("gRPC", ProxyProtocol::Grpc),
        ("opaque", ProxyProtocol::Opaque),
        ("TLS", ProxyProtocol::Tls),
    ];
    let pod_selector = fields.required("podSelector", label_selector);
    let port = fields.required("port", target_port);
    let proxy_protocol = fields.optional("proxyProtocol", |at| scalar::word(at, &protocols));
    let access_policy = fields.optional("accessPolicy", |at| scalar::word(at, &AccessPolicy::NAMES));
    Ok(Server {
        pod_selector: pod_selector?,
        port: port?,
        proxy_protocol: proxy_protocol?.unwrap_or_default(),
        access_policy: access_policy?.unwrap_or_default(),
    })
}

impl AccessPolicy {
    /// Every policy by its name.
    pub(crate) const NAMES: [(&'static str, Self); 6] = [
        ("deny", Self::Deny),
        ("audit", Self::Audit),
        ("all-unauthenticated", Self::AllUnauthenticated),
        ("all-authenticated", Self::AllAuthenticated),
        ("cluster-unauthenticated", Self::ClusterUnauthenticated),
        ("cluster-authenticated", Self::ClusterAuthenticated),
    ];

    /// The policy of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let found = Self::NAMES.iter().find(|(known, _)| *known == name);
        found.map(|(_, policy)| *policy)
    }
}

//! The name of an object: kind, namespace and name.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// The kinds that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// Core `v1` Namespace; the only kind that is not in a namespace.
    Namespace,
    /// Core `v1` Service.
    Service,
    /// Core `v1` ServiceAccount.
    ServiceAccount,
    /// Gateway API HTTPRoute.
    HttpRoute,
    /// Gateway API ReferenceGrant.
    ReferenceGrant,
    /// Gateway API GRPCRoute.
    GrpcRoute,
    /// Gateway API TLSRoute.
    TlsRoute,
    /// Gateway API TCPRoute.
    TcpRoute,
    /// Gateway API BackendTLSPolicy.
    BackendTlsPolicy,
    /// Gateway API XBackendTrafficPolicy (experimental).
    BackendTrafficPolicy,
    /// Kubernetes EndpointSlice.
    EndpointSlice,
    /// Istio PeerAuthentication.
    PeerAuthentication,
    /// Istio RequestAuthentication.
    RequestAuthentication,
    /// Istio AuthorizationPolicy.
    AuthorizationPolicy,
    /// Istio WorkloadEntry.
    WorkloadEntry,
    /// Istio VirtualService.
    VirtualService,
    /// Istio DestinationRule.
    DestinationRule,
    /// Istio ServiceEntry.
    ServiceEntry,
    /// Istio WorkloadGroup.
    WorkloadGroup,
    /// Istio Sidecar.
    Sidecar,
    /// Our Process.
    Process,
    /// Linkerd HTTPRoute, of which the Gateway API's is the successor.
    LinkerdHttpRoute,
    /// Linkerd Server.
    Server,
    /// Linkerd AuthorizationPolicy, which is not Istio's.
    ServerPolicy,
    /// Linkerd ServerAuthorization.
    ServerAuthorization,
    /// Linkerd MeshTLSAuthentication.
    MeshTlsAuthentication,
    /// Linkerd NetworkAuthentication.
    NetworkAuthentication,
    /// Linkerd HTTPLocalRateLimitPolicy.
    LocalRateLimit,
    /// Linkerd EgressNetwork.
    EgressNetwork,
    /// Linkerd ServiceProfile.
    ServiceProfile,
    /// Our RateLimit.
    RateLimit,
    /// Our EgressPolicy.
    EgressPolicy,
    /// Core ConfigMap: Istio's MeshConfig, or certificates of authorities.
    ConfigMap,
}

impl Kind {
    /// Every kind, in the order a reader meets them.
    pub const ALL: [Self; 33] = [
        Self::Namespace,
        Self::Service,
        Self::ServiceAccount,
        Self::HttpRoute,
        Self::ReferenceGrant,
        Self::GrpcRoute,
        Self::TlsRoute,
        Self::TcpRoute,
        Self::BackendTlsPolicy,
        Self::BackendTrafficPolicy,
        Self::EndpointSlice,
        Self::PeerAuthentication,
        Self::RequestAuthentication,
        Self::AuthorizationPolicy,
        Self::WorkloadEntry,
        Self::VirtualService,
        Self::DestinationRule,
        Self::ServiceEntry,
        Self::WorkloadGroup,
        Self::Sidecar,
        Self::Process,
        Self::LinkerdHttpRoute,
        Self::Server,
        Self::ServerPolicy,
        Self::ServerAuthorization,
        Self::MeshTlsAuthentication,
        Self::NetworkAuthentication,
        Self::LocalRateLimit,
        Self::EgressNetwork,
        Self::ServiceProfile,
        Self::RateLimit,
        Self::EgressPolicy,
        Self::ConfigMap,
    ];

    /// The kind as written in a manifest; two kinds of different groups may be written alike.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Namespace => "Namespace",
            Self::Service => "Service",
            Self::ServiceAccount => "ServiceAccount",
            Self::HttpRoute => "HTTPRoute",
            Self::ReferenceGrant => "ReferenceGrant",
            Self::GrpcRoute => "GRPCRoute",
            Self::TlsRoute => "TLSRoute",
            Self::TcpRoute => "TCPRoute",
            Self::BackendTlsPolicy => "BackendTLSPolicy",
            Self::BackendTrafficPolicy => "XBackendTrafficPolicy",
            Self::EndpointSlice => "EndpointSlice",
            Self::PeerAuthentication => "PeerAuthentication",
            Self::RequestAuthentication => "RequestAuthentication",
            Self::AuthorizationPolicy => "AuthorizationPolicy",
            Self::WorkloadEntry => "WorkloadEntry",
            Self::VirtualService => "VirtualService",
            Self::DestinationRule => "DestinationRule",
            Self::ServiceEntry => "ServiceEntry",
            Self::WorkloadGroup => "WorkloadGroup",
            Self::Sidecar => "Sidecar",
            Self::Process => "Process",
            Self::LinkerdHttpRoute => "HTTPRoute",
            Self::Server => "Server",
            Self::ServerPolicy => "AuthorizationPolicy",
            Self::ServerAuthorization => "ServerAuthorization",
            Self::MeshTlsAuthentication => "MeshTLSAuthentication",
            Self::NetworkAuthentication => "NetworkAuthentication",
            Self::LocalRateLimit => "HTTPLocalRateLimitPolicy",
            Self::EgressNetwork => "EgressNetwork",
            Self::ServiceProfile => "ServiceProfile",
            Self::RateLimit => "RateLimit",
            Self::EgressPolicy => "EgressPolicy",
            Self::ConfigMap => "ConfigMap",
        }
    }

    /// The API group; empty for the core group.
    #[must_use]
    pub fn group(self) -> &'static str {
        match self {
            Self::Namespace | Self::Service | Self::ServiceAccount | Self::ConfigMap => "",
            Self::HttpRoute | Self::ReferenceGrant => "gateway.networking.k8s.io",
            Self::GrpcRoute | Self::TlsRoute | Self::TcpRoute | Self::BackendTlsPolicy => {
                "gateway.networking.k8s.io"
            }
            Self::BackendTrafficPolicy => "gateway.networking.x-k8s.io",
            Self::EndpointSlice => "discovery.k8s.io",
            Self::PeerAuthentication | Self::RequestAuthentication | Self::AuthorizationPolicy => {
                "security.istio.io"
            }
            Self::WorkloadEntry
            | Self::VirtualService
            | Self::DestinationRule
            | Self::ServiceEntry
            | Self::WorkloadGroup
            | Self::Sidecar => "networking.istio.io",
            Self::Process => "wattle.io",
            Self::LinkerdHttpRoute
            | Self::Server
            | Self::ServerPolicy
            | Self::ServerAuthorization
            | Self::MeshTlsAuthentication
            | Self::NetworkAuthentication
            | Self::LocalRateLimit
            | Self::EgressNetwork => "policy.linkerd.io",
            Self::ServiceProfile => "linkerd.io",
            Self::RateLimit | Self::EgressPolicy => "wattle.io",
        }
    }

    /// The kind as no other is called: with its group where another kind is written alike, as kubectl takes it.
    #[must_use]
    pub fn unique_name(self) -> &'static str {
        match self {
            Self::LinkerdHttpRoute => "HTTPRoute.policy.linkerd.io",
            Self::ServerPolicy => "AuthorizationPolicy.policy.linkerd.io",
            _ => self.as_str(),
        }
    }

    /// The API versions that are read, the preferred one first.
    #[must_use]
    pub fn versions(self) -> &'static [&'static str] {
        match self {
            Self::Namespace | Self::Service | Self::ServiceAccount | Self::ConfigMap => &["v1"],
            Self::HttpRoute
            | Self::ReferenceGrant
            | Self::PeerAuthentication
            | Self::RequestAuthentication
            | Self::AuthorizationPolicy => &["v1", "v1beta1"],
            Self::WorkloadEntry
            | Self::VirtualService
            | Self::DestinationRule
            | Self::ServiceEntry
            | Self::WorkloadGroup
            | Self::Sidecar => &["v1", "v1beta1", "v1alpha3"],
            Self::Process => &["v1alpha1"],
            Self::GrpcRoute | Self::BackendTlsPolicy | Self::EndpointSlice => &["v1"],
            Self::TlsRoute => &["v1", "v1alpha3", "v1alpha2"],
            Self::TcpRoute => &["v1", "v1alpha2"],
            Self::BackendTrafficPolicy | Self::RateLimit | Self::EgressPolicy => &["v1alpha1"],
            Self::LinkerdHttpRoute => &["v1beta3", "v1beta2", "v1beta1", "v1alpha1"],
            Self::Server => &["v1beta3", "v1beta2", "v1beta1"],
            Self::ServerAuthorization => &["v1beta1", "v1alpha1"],
            Self::ServerPolicy
            | Self::MeshTlsAuthentication
            | Self::NetworkAuthentication
            | Self::LocalRateLimit
            | Self::EgressNetwork => &["v1alpha1"],
            Self::ServiceProfile => &["v1alpha2"],
        }
    }

    /// The preferred `apiVersion` of the kind.
    #[must_use]
    pub fn api_version(self) -> String {
        let version = self.versions().first().copied().unwrap_or("v1");
        match self.group() {
            "" => version.to_owned(),
            group => format!("{group}/{version}"),
        }
    }

    /// Whether objects of the kind live in a namespace.
    #[must_use]
    pub fn namespaced(self) -> bool {
        self != Self::Namespace
    }

    /// The kind of this name in `group`, whatever the version.
    #[must_use]
    pub fn find(group: &str, kind: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|known| known.as_str() == kind && known.group() == group)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.unique_name())
    }
}

impl Serialize for Kind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.unique_name())
    }
}

/// Kind, namespace and name: what makes an object the same object. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct ObjectKey {
    /// The kind.
    pub kind: Kind,
    /// The namespace; empty for a Namespace.
    #[serde(serialize_with = "shared_text")]
    pub namespace: Arc<str>,
    /// The name.
    #[serde(serialize_with = "shared_text")]
    pub name: Arc<str>,
}

/// Writes shared text; serde does so itself only with a feature that every crate would be rebuilt for.
pub(crate) fn shared_text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

impl ObjectKey {
    /// A key of these parts.
    #[must_use]
    pub fn new(kind: Kind, namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self {
            kind,
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{} {}", self.kind, self.name)
        } else {
            write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
        }
    }
}

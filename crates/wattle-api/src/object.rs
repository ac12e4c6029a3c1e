//! An object of any kind, with its metadata and the place it was written at.

use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::authentication::RequestAuthentication;
use crate::authorization::AuthorizationPolicy;
use crate::backend_tls::BackendTlsPolicy;
use crate::backend_traffic::BackendTrafficPolicy;
use crate::config_map::ConfigMap;
use crate::core::{Namespace, Service, ServiceAccount};
use crate::egress_policy::EgressPolicy;
use crate::endpoint_slice::EndpointSlice;
use crate::grant::ReferenceGrant;
use crate::grpc::GrpcRoute;
use crate::istio::{DestinationRule, ServiceEntry, Sidecar, VirtualService, WorkloadGroup};
use crate::key::{Kind, ObjectKey};
use crate::linkerd::{
    EgressNetwork, LocalRateLimit, MeshTlsAuthentication, NetworkAuthentication, Server, ServerAuthorization,
    ServerPolicy, ServiceProfile,
};
use crate::meta::{Meta, Origin};
use crate::peer::PeerAuthentication;
use crate::process::Process;
use crate::rate_limit::RateLimit;
use crate::route::HttpRoute;
use crate::stream_route::{TcpRoute, TlsRoute};
use crate::workload::WorkloadEntry;

/// An object: what it is called, what it says, and where it was written.
///
/// Two resources are equal when name and meaning are; where they were written does not count.
#[derive(Debug, Clone)]
pub struct Resource<S> {
    /// Name, labels and the like.
    pub meta: Meta,
    /// What it says.
    pub spec: S,
    /// Where it was written.
    pub origin: Origin,
}

impl<S: PartialEq> PartialEq for Resource<S> {
    fn eq(&self, other: &Self) -> bool {
        self.meta == other.meta && self.spec == other.spec
    }
}

impl<S: Eq> Eq for Resource<S> {}

/// An object of any kind that is read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Object {
    /// Core Namespace.
    Namespace(Resource<Namespace>),
    /// Core Service.
    Service(Resource<Service>),
    /// Core ServiceAccount.
    ServiceAccount(Resource<ServiceAccount>),
    /// Gateway API HTTPRoute.
    HttpRoute(Resource<HttpRoute>),
    /// Gateway API ReferenceGrant.
    ReferenceGrant(Resource<ReferenceGrant>),
    /// Gateway API GRPCRoute.
    GrpcRoute(Resource<GrpcRoute>),
    /// Gateway API TLSRoute.
    TlsRoute(Resource<TlsRoute>),
    /// Gateway API TCPRoute.
    TcpRoute(Resource<TcpRoute>),
    /// Gateway API BackendTLSPolicy.
    BackendTlsPolicy(Resource<BackendTlsPolicy>),
    /// Gateway API XBackendTrafficPolicy (experimental).
    BackendTrafficPolicy(Resource<BackendTrafficPolicy>),
    /// Kubernetes EndpointSlice.
    EndpointSlice(Resource<EndpointSlice>),
    /// Istio PeerAuthentication.
    PeerAuthentication(Resource<PeerAuthentication>),
    /// Istio RequestAuthentication.
    RequestAuthentication(Resource<RequestAuthentication>),
    /// Istio AuthorizationPolicy.
    AuthorizationPolicy(Resource<AuthorizationPolicy>),
    /// Istio WorkloadEntry.
    WorkloadEntry(Resource<WorkloadEntry>),
    /// Istio VirtualService.
    VirtualService(Resource<VirtualService>),
    /// Istio DestinationRule.
    DestinationRule(Resource<DestinationRule>),
    /// Istio ServiceEntry.
    ServiceEntry(Resource<ServiceEntry>),
    /// Istio WorkloadGroup.
    WorkloadGroup(Resource<WorkloadGroup>),
    /// Istio Sidecar.
    Sidecar(Resource<Sidecar>),
    /// Our Process.
    Process(Resource<Process>),
    /// Linkerd HTTPRoute, of which the Gateway API's is the successor.
    LinkerdHttpRoute(Resource<HttpRoute>),
    /// Linkerd Server.
    Server(Resource<Server>),
    /// Linkerd AuthorizationPolicy, which is not Istio's.
    ServerPolicy(Resource<ServerPolicy>),
    /// Linkerd ServerAuthorization.
    ServerAuthorization(Resource<ServerAuthorization>),
    /// Linkerd MeshTLSAuthentication.
    MeshTlsAuthentication(Resource<MeshTlsAuthentication>),
    /// Linkerd NetworkAuthentication.
    NetworkAuthentication(Resource<NetworkAuthentication>),
    /// Linkerd HTTPLocalRateLimitPolicy.
    LocalRateLimit(Resource<LocalRateLimit>),
    /// Linkerd EgressNetwork.
    EgressNetwork(Resource<EgressNetwork>),
    /// Linkerd ServiceProfile.
    ServiceProfile(Resource<ServiceProfile>),
    /// Our RateLimit.
    RateLimit(Resource<RateLimit>),
    /// Our EgressPolicy.
    EgressPolicy(Resource<EgressPolicy>),
    /// ConfigMap.
    ConfigMap(Resource<ConfigMap>),
}

/// The same expression for the resource of whatever kind.
macro_rules! each {
    ($object:expr, $resource:ident => $then:expr) => {
        match $object {
            Object::Namespace($resource) => $then,
            Object::Service($resource) => $then,
            Object::ServiceAccount($resource) => $then,
            Object::HttpRoute($resource) => $then,
            Object::ReferenceGrant($resource) => $then,
            Object::GrpcRoute($resource) => $then,
            Object::TlsRoute($resource) => $then,
            Object::TcpRoute($resource) => $then,
            Object::BackendTlsPolicy($resource) => $then,
            Object::BackendTrafficPolicy($resource) => $then,
            Object::EndpointSlice($resource) => $then,
            Object::PeerAuthentication($resource) => $then,
            Object::RequestAuthentication($resource) => $then,
            Object::AuthorizationPolicy($resource) => $then,
            Object::WorkloadEntry($resource) => $then,
            Object::VirtualService($resource) => $then,
            Object::DestinationRule($resource) => $then,
            Object::ServiceEntry($resource) => $then,
            Object::WorkloadGroup($resource) => $then,
            Object::Sidecar($resource) => $then,
            Object::Process($resource) => $then,
            Object::LinkerdHttpRoute($resource) => $then,
            Object::Server($resource) => $then,
            Object::ServerPolicy($resource) => $then,
            Object::ServerAuthorization($resource) => $then,
            Object::MeshTlsAuthentication($resource) => $then,
            Object::NetworkAuthentication($resource) => $then,
            Object::LocalRateLimit($resource) => $then,
            Object::EgressNetwork($resource) => $then,
            Object::ServiceProfile($resource) => $then,
            Object::RateLimit($resource) => $then,
            Object::EgressPolicy($resource) => $then,
            Object::ConfigMap($resource) => $then,
        }
    };
}

impl Object {
    /// The kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Namespace(_) => Kind::Namespace,
            Self::Service(_) => Kind::Service,
            Self::ServiceAccount(_) => Kind::ServiceAccount,
            Self::HttpRoute(_) => Kind::HttpRoute,
            Self::ReferenceGrant(_) => Kind::ReferenceGrant,
            Self::GrpcRoute(_) => Kind::GrpcRoute,
            Self::TlsRoute(_) => Kind::TlsRoute,
            Self::TcpRoute(_) => Kind::TcpRoute,
            Self::BackendTlsPolicy(_) => Kind::BackendTlsPolicy,
            Self::BackendTrafficPolicy(_) => Kind::BackendTrafficPolicy,
            Self::EndpointSlice(_) => Kind::EndpointSlice,
            Self::PeerAuthentication(_) => Kind::PeerAuthentication,
            Self::RequestAuthentication(_) => Kind::RequestAuthentication,
            Self::AuthorizationPolicy(_) => Kind::AuthorizationPolicy,
            Self::WorkloadEntry(_) => Kind::WorkloadEntry,
            Self::VirtualService(_) => Kind::VirtualService,
            Self::DestinationRule(_) => Kind::DestinationRule,
            Self::ServiceEntry(_) => Kind::ServiceEntry,
            Self::WorkloadGroup(_) => Kind::WorkloadGroup,
            Self::Sidecar(_) => Kind::Sidecar,
            Self::Process(_) => Kind::Process,
            Self::LinkerdHttpRoute(_) => Kind::LinkerdHttpRoute,
            Self::Server(_) => Kind::Server,
            Self::ServerPolicy(_) => Kind::ServerPolicy,
            Self::ServerAuthorization(_) => Kind::ServerAuthorization,
            Self::MeshTlsAuthentication(_) => Kind::MeshTlsAuthentication,
            Self::NetworkAuthentication(_) => Kind::NetworkAuthentication,
            Self::LocalRateLimit(_) => Kind::LocalRateLimit,
            Self::EgressNetwork(_) => Kind::EgressNetwork,
            Self::ServiceProfile(_) => Kind::ServiceProfile,
            Self::RateLimit(_) => Kind::RateLimit,
            Self::EgressPolicy(_) => Kind::EgressPolicy,
            Self::ConfigMap(_) => Kind::ConfigMap,
        }
    }

    /// The metadata.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        each!(self, resource => &resource.meta)
    }

    /// Where it was written.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        each!(self, resource => &resource.origin)
    }

    /// Kind, namespace and name.
    #[must_use]
    pub fn key(&self) -> ObjectKey {
        self.meta().key(self.kind())
    }

    /// Whether two versions of an object mean the same to the mesh: annotations that nobody here reads do not count.
    #[must_use]
    pub fn means_the_same(&self, other: &Self) -> bool {
        fn same<S: PartialEq>(a: &Resource<S>, b: &Resource<S>) -> bool {
            a.spec == b.spec && a.meta.means_the_same(&b.meta)
        }
        match (self, other) {
            (Self::Namespace(a), Self::Namespace(b)) => same(a, b),
            (Self::Service(a), Self::Service(b)) => same(a, b),
            (Self::ServiceAccount(a), Self::ServiceAccount(b)) => same(a, b),
            (Self::HttpRoute(a), Self::HttpRoute(b)) => same(a, b),
            (Self::ReferenceGrant(a), Self::ReferenceGrant(b)) => same(a, b),
            (Self::GrpcRoute(a), Self::GrpcRoute(b)) => same(a, b),
            (Self::TlsRoute(a), Self::TlsRoute(b)) => same(a, b),
            (Self::TcpRoute(a), Self::TcpRoute(b)) => same(a, b),
            (Self::BackendTlsPolicy(a), Self::BackendTlsPolicy(b)) => same(a, b),
            (Self::BackendTrafficPolicy(a), Self::BackendTrafficPolicy(b)) => same(a, b),
            (Self::EndpointSlice(a), Self::EndpointSlice(b)) => same(a, b),
            (Self::PeerAuthentication(a), Self::PeerAuthentication(b)) => same(a, b),
            (Self::RequestAuthentication(a), Self::RequestAuthentication(b)) => same(a, b),
            (Self::AuthorizationPolicy(a), Self::AuthorizationPolicy(b)) => same(a, b),
            (Self::WorkloadEntry(a), Self::WorkloadEntry(b)) => same(a, b),
            (Self::VirtualService(a), Self::VirtualService(b)) => same(a, b),
            (Self::DestinationRule(a), Self::DestinationRule(b)) => same(a, b),
            (Self::ServiceEntry(a), Self::ServiceEntry(b)) => same(a, b),
            (Self::WorkloadGroup(a), Self::WorkloadGroup(b)) => same(a, b),
            (Self::Sidecar(a), Self::Sidecar(b)) => same(a, b),
            (Self::Process(a), Self::Process(b)) => same(a, b),
            (Self::LinkerdHttpRoute(a), Self::LinkerdHttpRoute(b)) => same(a, b),
            (Self::Server(a), Self::Server(b)) => same(a, b),
            (Self::ServerPolicy(a), Self::ServerPolicy(b)) => same(a, b),
            (Self::ServerAuthorization(a), Self::ServerAuthorization(b)) => same(a, b),
            (Self::MeshTlsAuthentication(a), Self::MeshTlsAuthentication(b)) => same(a, b),
            (Self::NetworkAuthentication(a), Self::NetworkAuthentication(b)) => same(a, b),
            (Self::LocalRateLimit(a), Self::LocalRateLimit(b)) => same(a, b),
            (Self::EgressNetwork(a), Self::EgressNetwork(b)) => same(a, b),
            (Self::ServiceProfile(a), Self::ServiceProfile(b)) => same(a, b),
            (Self::RateLimit(a), Self::RateLimit(b)) => same(a, b),
            (Self::EgressPolicy(a), Self::EgressPolicy(b)) => same(a, b),
            (Self::ConfigMap(a), Self::ConfigMap(b)) => same(a, b),
            _ => false,
        }
    }

    /// The object as a manifest, defaults filled in; parsing it gives an equal object.
    ///
    /// # Errors
    /// None that is known: every field is text, number, list or mapping with text keys.
    pub fn manifest(&self) -> Result<Json, serde_json::Error> {
        let spec = match self {
            Self::ConfigMap(config) => config.spec.as_data()?,
            other => each!(other, resource => write(&resource.spec)?),
        };
        let mut manifest = json!({
            "apiVersion": self.kind().api_version(),
            "kind": self.kind().as_str(),
            "metadata": serde_json::to_value(self.meta())?,
        });
        match (self.kind(), spec) {
            (Kind::Namespace | Kind::ServiceAccount, _) => {}
            (Kind::EndpointSlice, Json::Object(fields)) => {
                fields.into_iter().for_each(|(key, value)| manifest[key] = value);
            }
            (Kind::ConfigMap, data) => manifest["data"] = data,
            (_, spec) => manifest["spec"] = spec,
        }
        if let Self::WorkloadEntry(Resource {
            spec: WorkloadEntry {
                healthy: Some(healthy),
                ..
            },
            ..
        }) = self
        {
            let status = if *healthy { "True" } else { "False" };
            manifest["status"] = json!({ "conditions": [{ "type": "Healthy", "status": status }] });
        }
        Ok(manifest)
    }
}

fn write<S: Serialize>(spec: &S) -> Result<Json, serde_json::Error> {
    serde_json::to_value(spec)
}

//! An object of any kind, with its metadata and the place it was written at.

use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::authorization::AuthorizationPolicy;
use crate::core::{Namespace, Service, ServiceAccount};
use crate::grant::ReferenceGrant;
use crate::istio::{DestinationRule, ServiceEntry, Sidecar, VirtualService, WorkloadGroup};
use crate::key::{Kind, ObjectKey};
use crate::meta::{Meta, Origin};
use crate::peer::PeerAuthentication;
use crate::process::Process;
use crate::route::HttpRoute;
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
    /// Istio PeerAuthentication.
    PeerAuthentication(Resource<PeerAuthentication>),
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
            Object::PeerAuthentication($resource) => $then,
            Object::AuthorizationPolicy($resource) => $then,
            Object::WorkloadEntry($resource) => $then,
            Object::VirtualService($resource) => $then,
            Object::DestinationRule($resource) => $then,
            Object::ServiceEntry($resource) => $then,
            Object::WorkloadGroup($resource) => $then,
            Object::Sidecar($resource) => $then,
            Object::Process($resource) => $then,
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
            Self::PeerAuthentication(_) => Kind::PeerAuthentication,
            Self::AuthorizationPolicy(_) => Kind::AuthorizationPolicy,
            Self::WorkloadEntry(_) => Kind::WorkloadEntry,
            Self::VirtualService(_) => Kind::VirtualService,
            Self::DestinationRule(_) => Kind::DestinationRule,
            Self::ServiceEntry(_) => Kind::ServiceEntry,
            Self::WorkloadGroup(_) => Kind::WorkloadGroup,
            Self::Sidecar(_) => Kind::Sidecar,
            Self::Process(_) => Kind::Process,
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
            (Self::PeerAuthentication(a), Self::PeerAuthentication(b)) => same(a, b),
            (Self::AuthorizationPolicy(a), Self::AuthorizationPolicy(b)) => same(a, b),
            (Self::WorkloadEntry(a), Self::WorkloadEntry(b)) => same(a, b),
            (Self::VirtualService(a), Self::VirtualService(b)) => same(a, b),
            (Self::DestinationRule(a), Self::DestinationRule(b)) => same(a, b),
            (Self::ServiceEntry(a), Self::ServiceEntry(b)) => same(a, b),
            (Self::WorkloadGroup(a), Self::WorkloadGroup(b)) => same(a, b),
            (Self::Sidecar(a), Self::Sidecar(b)) => same(a, b),
            (Self::Process(a), Self::Process(b)) => same(a, b),
            _ => false,
        }
    }

    /// The object as a manifest, defaults filled in; parsing it gives an equal object.
    ///
    /// # Errors
    /// None that is known: every field is text, number, list or mapping with text keys.
    pub fn manifest(&self) -> Result<Json, serde_json::Error> {
        let spec = each!(self, resource => write(&resource.spec)?);
        let mut manifest = json!({
            "apiVersion": self.kind().api_version(),
            "kind": self.kind().as_str(),
            "metadata": serde_json::to_value(self.meta())?,
        });
        if !matches!(self.kind(), Kind::Namespace | Kind::ServiceAccount) {
            manifest["spec"] = spec;
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

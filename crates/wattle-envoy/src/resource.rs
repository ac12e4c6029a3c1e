//! What comes out of an encoding.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use wattle_model::ObjectRef;

/// Kind of an xDS resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `envoy.config.cluster.v3.Cluster`.
    Cluster,
    /// `envoy.config.endpoint.v3.ClusterLoadAssignment`.
    Endpoints,
    /// `envoy.config.listener.v3.Listener`.
    Listener,
    /// `envoy.config.route.v3.RouteConfiguration`.
    Route,
}

impl Kind {
    /// In the order in which changes are sent (make before break).
    pub const ALL: [Self; 4] = [Self::Cluster, Self::Endpoints, Self::Listener, Self::Route];

    /// The type URL of its messages.
    pub fn type_url(self) -> &'static str {
        match self {
            Self::Cluster => "type.googleapis.com/envoy.config.cluster.v3.Cluster",
            Self::Endpoints => "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
            Self::Listener => "type.googleapis.com/envoy.config.listener.v3.Listener",
            Self::Route => "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        }
    }

    /// The kind of a type URL.
    pub fn of_type_url(url: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.type_url() == url)
    }
}

/// One encoded message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// The serialised message, without the `Any` around it.
    pub body: Bytes,
    /// Changes exactly when the body does.
    pub version: Arc<str>,
}

/// Something that is asked for and that Envoy, or gRPC, cannot be told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gap {
    /// Who asked for it, where that is known.
    pub origin: Option<ObjectRef>,
    /// The dialled address or the backend it concerns.
    pub place: Arc<str>,
    /// What is asked for, in the words of the object, and what happens instead.
    pub reason: Arc<str>,
}

/// Everything one client is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// By kind and name.
    pub resources: BTreeMap<Kind, BTreeMap<Arc<str>, Resource>>,
    /// What could not be said; sorted.
    pub gaps: Vec<Gap>,
}

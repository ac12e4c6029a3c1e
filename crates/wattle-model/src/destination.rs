//! What an outbound proxy knows of an address its workload dials.

use std::sync::Arc;

use crate::{Protocol, RouteTable};

/// Name of a set of endpoints: `namespace/service:port`.
pub type BackendId = Arc<str>;

/// A port of a service, by its frontend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// Namespace of the Service.
    pub namespace: Arc<str>,
    /// Name of the Service.
    pub name: Arc<str>,
    /// Fully qualified host, e.g. `reviews.default.svc.cluster.local`.
    pub host: Arc<str>,
    /// Port of the Service.
    pub port: u16,
}

/// Everything needed to carry traffic to one dialled `ip:port` or `host:port`, seen from one namespace.
#[derive(Clone, Debug, PartialEq)]
pub struct Destination {
    /// The name asked for, `ip:port` or `host:port`.
    pub name: Arc<str>,
    /// The service behind it; `None` for an address the mesh does not know (passed through as it is).
    pub service: Option<ServicePort>,
    /// Declared protocol.
    pub protocol: Protocol,
    /// HTTP routes; empty means that everything goes to [`Self::default_backend`]. Once a rule exists, what matches none is refused with 404.
    pub routes: RouteTable,
    /// Backends that routes refer to by index.
    pub backends: Vec<Backend>,
    /// Where requests go without routes, and all opaque connections; index into [`Self::backends`]. `None` refuses them.
    pub default_backend: Option<u32>,
}

/// What a route refers to: one port of one service, or the dialled address itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Name of its [`Endpoints`](crate::Endpoints) resource; empty for "the original destination, as dialled", which has none.
    pub id: BackendId,
    /// The service port it stands for; `None` for the original destination and for a workload address that no Service exposes.
    pub service: Option<ServicePort>,
    /// Protocol its endpoints speak.
    pub protocol: Protocol,
}

//! What an outbound proxy knows of an address its workload dials.

use std::sync::Arc;

use crate::{BackendPolicy, ByName, CallerBackend, CallerScope, ConnectionRoute, Protocol, RouteTable};

/// Name of a set of endpoints: `namespace/service:port`, with `|subset` behind it where it is one.
pub type BackendId = Arc<str>;

/// A port of a service, by its frontend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// Namespace of the Service or ServiceEntry.
    pub namespace: Arc<str>,
    /// Name of the Service; the host for a ServiceEntry.
    pub name: Arc<str>,
    /// Fully qualified host, e.g. `reviews.default.svc.cluster.local`.
    pub host: Arc<str>,
    /// Port of the Service.
    pub port: u16,
}

/// Everything needed to carry traffic to one dialled `ip:port` or `host:port`, seen from one namespace.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Destination {
    /// The name asked for, `ip:port` or `host:port`.
    pub name: Arc<str>,
    /// The service behind it; `None` for an address the mesh does not know (passed through as it is).
    pub service: Option<ServicePort>,
    /// Nothing of the mesh has the dialled address, whatever listens on the port: it is no virtual address, no cluster's and
    /// no workload's. False for what is dialled by name.
    pub outside: bool,
    /// Declared protocol.
    pub protocol: Protocol,
    /// What it is to callers with certain labels; the first that covers a caller counts, and without any it is open.
    pub scopes: Vec<CallerScope>,
    /// HTTP routes; empty means that everything goes to [`Self::default_backend`]. Once a rule exists, what matches none is refused with 404.
    pub routes: RouteTable,
    /// Routes of opaque connections, in order; empty means that all go to [`Self::default_backend`]. Once one exists, a
    /// connection that matches none is refused.
    pub connections: Vec<ConnectionRoute>,
    /// Backends that routes refer to by index.
    pub backends: Vec<Backend>,
    /// Where requests and connections go without routes; index into [`Self::backends`]. `None` refuses them.
    pub default_backend: Option<u32>,
}

/// What a route refers to: one port of one service, or the dialled address itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Backend {
    /// Name of its [`Endpoints`](crate::Endpoints) resource; empty for "the original destination, as dialled", which has none.
    pub id: BackendId,
    /// The service port it stands for; `None` for the original destination and for a workload address that no Service exposes.
    pub service: Option<ServicePort>,
    /// Subset of the service; empty for all of it.
    pub subset: Arc<str>,
    /// Protocol its endpoints speak.
    pub protocol: Protocol,
    /// How traffic to it is spread, limited and secured.
    pub policy: Arc<BackendPolicy>,
    /// Of the original destination: it counts only where DNS gives it for the host that is asked for, by `:authority` or by
    /// the server name of TLS; else an address that DNS gives is dialled.
    pub verifies_host: bool,
    /// Of the original destination: it is not the dialled address, but what DNS gives for the host that is asked for.
    pub by_name: Option<Arc<ByName>>,
    /// What it is instead to callers with certain labels; the first that covers a caller counts. It is followed when
    /// config arrives ([`Destination::seen_by`]), not by request.
    pub callers: Vec<CallerBackend>,
}

//! Model values with little writing.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use wattle_envoy::{Others, Resources, Scene, Sidecar};
use wattle_model::{
    Action, Backend, BackendId, BackendPolicy, CallerBackend, CallerLabel, Destination, Endpoint, Endpoints,
    Hop, Inbound, Locality, ObjectRef, Protocol, RequestMatch, RouteRule, RouteTable, RuleRef, SeenBackend,
    ServicePort, Timeouts, WeightedBackend, Workload,
};

use super::SECRETS;

/// A mesh to be encoded.
#[derive(Default)]
pub struct Mesh {
    pub destinations: Vec<Arc<Destination>>,
    pub endpoints: BTreeMap<BackendId, Arc<Endpoints>>,
    pub labels: Vec<CallerLabel>,
    pub locality: Locality,
    pub others: Others,
    pub open: BTreeMap<u16, Others>,
    pub inbound: Option<Inbound>,
    pub inbound_at: Option<SocketAddr>,
}

/// Addresses that no destination names, all alike.
pub fn anywhere(destination: Destination) -> Others {
    Others {
        anywhere: Some(Arc::new(destination)),
        blocks: Vec::new(),
    }
}

impl Mesh {
    /// Adds endpoints of a backend.
    pub fn endpoints(&mut self, id: &str, endpoints: Vec<Endpoint>) {
        let id: Arc<str> = id.into();
        let endpoints = Endpoints {
            id: id.clone(),
            endpoints,
            names: Vec::new(),
        };
        self.endpoints.insert(id, Arc::new(endpoints));
    }

    /// Adds a destination.
    pub fn add(&mut self, destination: Destination) {
        self.destinations.push(Arc::new(destination));
    }

    pub fn encode(&self) -> Resources {
        let workload = Workload::default();
        let sidecar = Sidecar {
            scene: Scene {
                workload: &workload,
                labels: &self.labels,
                locality: &self.locality,
                destinations: &self.destinations,
                endpoints: &self.endpoints,
            },
            others: &self.others,
            open: &self.open,
            inbound: self.inbound.as_ref(),
            outbound_listener: ([127, 0, 0, 1], 15001).into(),
            inbound_listener: self.inbound_at.unwrap_or(([127, 0, 0, 1], 15006).into()),
            secrets: SECRETS.into(),
        };
        sidecar.encode()
    }
}

pub fn object(name: &str) -> ObjectRef {
    ObjectRef {
        kind: "HTTPRoute".into(),
        namespace: "shop".into(),
        name: name.into(),
        file: "".into(),
        line: 0,
    }
}

pub fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint {
        address,
        weight: 1,
        health: Default::default(),
        locality: Locality::default(),
        hop: Hop::Plaintext,
        workload: Arc::default(),
        labels: Vec::new(),
    }
}

pub fn secured(address: SocketAddr, account: &str) -> Endpoint {
    let workload = Workload {
        trust_domain: "mesh.test".into(),
        namespace: "shop".into(),
        service_account: account.into(),
        ..Workload::default()
    };
    Endpoint {
        hop: Hop::MutualTls,
        workload: Arc::new(workload),
        ..endpoint(address)
    }
}

pub fn service(name: &str) -> ServicePort {
    ServicePort {
        namespace: "shop".into(),
        name: name.into(),
        host: format!("{name}.shop.test").into(),
        port: 80,
    }
}

pub fn backend(id: &str) -> Backend {
    governed(id, BackendPolicy::default())
}

pub fn governed(id: &str, policy: BackendPolicy) -> Backend {
    Backend {
        id: id.into(),
        service: Some(service(id.split(':').next().unwrap())),
        policy: Arc::new(policy),
        ..Backend::default()
    }
}

/// A destination at an address, with these backends, of which the first is the default.
pub fn destination(name: SocketAddr, protocol: Protocol, backends: Vec<Backend>) -> Destination {
    Destination {
        name: name.to_string().into(),
        service: Some(service("web")),
        protocol,
        default_backend: (!backends.is_empty()).then_some(0),
        backends,
        ..Destination::default()
    }
}

pub fn to(backend: u32, weight: u32) -> WeightedBackend {
    WeightedBackend {
        backend: Some(backend),
        written: "written".into(),
        weight,
        filters: None,
    }
}

/// A rule that does this with these requests.
pub fn rule(matches: RequestMatch, action: Action) -> RouteRule {
    RouteRule {
        origin: RuleRef {
            object: object("routes"),
            rule: 0,
            matched: 0,
            name: "".into(),
        },
        matches,
        filters: Arc::default(),
        action: Arc::new(action),
        timeouts: Timeouts::default(),
        retry: None,
        session: None,
    }
}

pub fn routed(destination: Destination, rules: Vec<RouteRule>) -> Destination {
    Destination {
        routes: RouteTable::new(rules),
        ..destination
    }
}

/// A backend that is governed otherwise to callers with `app: web`.
pub fn for_some(backend: Backend, policy: BackendPolicy) -> Backend {
    let seen = SeenBackend {
        id: backend.id.clone(),
        policy: Arc::new(policy),
    };
    Backend {
        callers: vec![CallerBackend {
            labels: vec![("app".into(), "web".into())],
            seen: Some(seen),
        }],
        ..backend
    }
}

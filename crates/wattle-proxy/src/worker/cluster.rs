//! The endpoints of one backend as one worker balances over them.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use wattle_balance::{Config, Endpoint, EndpointId, EndpointSet, Picked};
use wattle_model::{EndpointHealth, Endpoints, Hop, Workload};

use super::{Upstream, Worker};

/// A backend's endpoints, their load and health.
pub(crate) struct Cluster {
    set: RefCell<EndpointSet<Upstream>>,
    /// A sweep found it without a destination.
    orphan: Cell<bool>,
}

impl Cluster {
    /// Without endpoints.
    pub(crate) fn new() -> Self {
        Self {
            set: RefCell::new(EndpointSet::new(Config::default())),
            orphan: Cell::new(false),
        }
    }

    /// One endpoint without a proxy: an address outside the mesh, as it was dialled.
    pub(crate) fn passthrough(address: SocketAddr, worker: &Worker) -> Self {
        let cluster = Self::new();
        let endpoint = Endpoint {
            address,
            instance: "".into(),
            weight: 1,
            priority: 0,
            locality: None,
            locality_weight: 0,
        };
        cluster
            .set
            .borrow_mut()
            .update(vec![endpoint], worker.clock.now_ns(), |endpoint| {
                Upstream::new(
                    endpoint.address,
                    Hop::Plaintext,
                    Arc::new(Workload::default()),
                    worker,
                )
            });
        cluster
    }

    /// A sweep found no destination that holds it; true when the one before found none either.
    pub(crate) fn orphaned(&self) -> bool {
        self.orphan.replace(true)
    }

    /// News speak of it.
    pub(crate) fn wanted(&self) {
        self.orphan.set(false);
    }

    /// Takes over a new set; endpoints that stay keep load, health and connections.
    pub(crate) fn update(&self, endpoints: &Endpoints, worker: &Worker) {
        let healthy = |endpoint: &&wattle_model::Endpoint| endpoint.health == EndpointHealth::Healthy;
        let draining = |endpoint: &&wattle_model::Endpoint| endpoint.health == EndpointHealth::Draining;
        let mut wanted: Vec<_> = endpoints.endpoints.iter().filter(healthy).collect();
        if wanted.is_empty() {
            wanted = endpoints.endpoints.iter().filter(draining).collect();
        }
        let listed = wanted.iter().map(|endpoint| Endpoint {
            address: endpoint.address,
            instance: instance(endpoint),
            weight: endpoint.weight,
            priority: 0,
            locality: None,
            locality_weight: 0,
        });
        let removed = self
            .set
            .borrow_mut()
            .update(listed.collect(), worker.clock.now_ns(), |new| {
                // By instance too: two may share an address, one with and one without a proxy.
                let found = wanted
                    .iter()
                    .find(|e| e.address == new.address && instance(e) == new.instance);
                let (hop, workload) =
                    found.map_or((Hop::MutualTls, Arc::default()), |e| (e.hop, e.workload.clone()));
                Upstream::new(new.address, hop, workload, worker)
            });
        for member in removed.removed {
            member.payload().http1.sweep(0, true);
            drop(member.payload().http2.take(|_| true));
        }
    }

    /// An endpoint for one request or connection.
    pub(crate) fn pick(&self, random: u64, now: u64, avoid: &[EndpointId]) -> Option<Picked<Upstream>> {
        self.set.borrow().pick(random, now, avoid)
    }

    /// Closes connections that were idle too long.
    pub(crate) fn sweep(&self, now: u64) {
        for member in self.set.borrow().members() {
            member.payload().http1.sweep(now, false);
        }
    }

    /// Lets go of connections whose certificate was replaced, as soon as they are idle.
    pub(crate) fn forget_idle(&self) {
        for member in self.set.borrow().members() {
            member.payload().http1.sweep(0, true);
            // Requests under way keep theirs; the next one opens a new connection.
            drop(member.payload().http2.take(|_| true));
        }
    }
}

/// What else makes an endpoint this one: a change of its identity or security makes a new one, with connections of its own.
fn instance(endpoint: &wattle_model::Endpoint) -> Arc<str> {
    let workload = &endpoint.workload;
    let hop = match endpoint.hop {
        Hop::Plaintext => "plain",
        Hop::MutualTls => "mtls",
    };
    format!(
        "{hop} {} {} {} {} {} {}",
        workload.trust_domain,
        workload.namespace,
        workload.service_account,
        workload.instance,
        workload.name,
        workload.version
    )
    .into()
}

/// Shared handle.
pub(crate) type SharedCluster = Rc<Cluster>;

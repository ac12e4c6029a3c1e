//! What a worker knows of the addresses its workload dials.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use hashbrown::HashMap;
use tokio::sync::Notify;
use wattle_model::traffic::Balance;
use wattle_model::{Backend, BackendId, Destination, Endpoints, Reason};

use super::bounds::Security;
use super::cluster::SharedCluster;
use super::{Cluster, Service, Worker};
use crate::config::Ask;

/// A destination nobody dialled for so long is forgotten.
const IDLE_NS: u64 = 600 * 1_000_000_000;

enum Slot {
    /// Asked for; whoever dials it waits.
    Waiting(Rc<Notify>),
    /// Known.
    Ready(Rc<Service>),
    /// The control plane knows no way there.
    Unknown,
}

struct Entry {
    slot: Slot,
    last_used: Cell<u64>,
}

/// Destinations and clusters of one worker.
#[derive(Default)]
pub(crate) struct Destinations {
    entries: RefCell<HashMap<SocketAddr, Entry>>,
    /// Services that the proxy itself calls by name; few, told without being asked for.
    named: RefCell<HashMap<Arc<str>, Rc<Service>>>,
    clusters: RefCell<HashMap<BackendId, SharedCluster>>,
}

impl Destinations {
    /// The service behind an address, asking for it when it is dialled for the first time.
    pub(crate) async fn find(&self, worker: &Worker, address: SocketAddr) -> Result<Rc<Service>, Reason> {
        let waiting = match self.look(worker, address) {
            Found::Service(service) => return Ok(service),
            Found::Unknown => return Err(Reason::UnknownDestination),
            Found::Overload => return Err(Reason::Overload),
            Found::Wait(notify) => notify,
        };
        let told = tokio::time::timeout(worker.settings.config_timeout, async {
            loop {
                let notified = waiting.notified();
                tokio::pin!(notified);
                notified.as_mut().enable();
                match self.look(worker, address) {
                    Found::Wait(_) => notified.await,
                    found => return found,
                }
            }
        });
        match told.await {
            Ok(Found::Service(service)) => Ok(service),
            Ok(Found::Unknown) => Err(Reason::UnknownDestination),
            Ok(Found::Overload) => Err(Reason::Overload),
            Ok(Found::Wait(_)) | Err(_) => {
                self.give_up(address);
                Err(Reason::ConfigUnavailable)
            }
        }
    }

    fn look(&self, worker: &Worker, address: SocketAddr) -> Found {
        let mut entries = self.entries.borrow_mut();
        if let Some(entry) = entries.get(&address) {
            entry.last_used.set(worker.clock.recent_ns());
            return match &entry.slot {
                Slot::Ready(service) => Found::Service(service.clone()),
                Slot::Waiting(notify) => Found::Wait(notify.clone()),
                Slot::Unknown => Found::Unknown,
            };
        }
        if !worker.post.ask(Ask::Destination(address)) {
            return Found::Overload;
        }
        let notify = Rc::new(Notify::new());
        let slot = Slot::Waiting(notify.clone());
        entries.insert(
            address,
            Entry {
                slot,
                last_used: Cell::new(worker.clock.now_ns()),
            },
        );
        Found::Wait(notify)
    }

    /// The answer did not come in time: the next who dials asks again.
    fn give_up(&self, address: SocketAddr) {
        let mut entries = self.entries.borrow_mut();
        if entries
            .get(&address)
            .is_some_and(|entry| matches!(entry.slot, Slot::Waiting(_)))
        {
            entries.remove(&address);
        }
    }

    /// News: the destination behind an address; its endpoints were told before.
    pub(crate) fn set(&self, worker: &Worker, address: SocketAddr, destination: Option<Arc<Destination>>) {
        let slot = match destination {
            None => Slot::Unknown,
            Some(destination) => {
                let clusters = destination
                    .backends
                    .iter()
                    .map(|backend| self.cluster_of(worker, address, backend));
                let clusters = clusters.collect();
                Slot::Ready(Rc::new(Service::new(destination, clusters)))
            }
        };
        let mut entries = self.entries.borrow_mut();
        let Some(entry) = entries.get_mut(&address) else {
            entries.insert(
                address,
                Entry {
                    slot,
                    last_used: Cell::new(worker.clock.now_ns()),
                },
            );
            return;
        };
        if let Slot::Waiting(notify) = std::mem::replace(&mut entry.slot, slot) {
            notify.notify_waiters();
        }
    }

    /// The service of this name, which the proxy itself calls.
    pub(crate) fn named(&self, name: &str) -> Result<Rc<Service>, Reason> {
        self.named
            .borrow()
            .get(name)
            .cloned()
            .ok_or(Reason::UnknownDestination)
    }

    /// News: the destination behind a name; its endpoints were told before.
    pub(crate) fn set_named(&self, worker: &Worker, name: &Arc<str>, destination: Option<Arc<Destination>>) {
        let Some(destination) = destination else {
            self.named.borrow_mut().remove(name);
            return;
        };
        // Where traffic would go as dialled there is no address: nothing is reached.
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let backends = destination.backends.iter();
        let clusters = backends.map(|backend| self.cluster_of(worker, nowhere, backend));
        let service = Rc::new(Service::new(destination.clone(), clusters.collect()));
        self.named.borrow_mut().insert(name.clone(), service);
    }

    /// The cluster of a backend of the destination at `address`, under the backend's policy.
    pub(super) fn cluster_of(
        &self,
        worker: &Worker,
        address: SocketAddr,
        backend: &Backend,
    ) -> SharedCluster {
        let cluster = match backend.id.is_empty() {
            true => Rc::new(Cluster::passthrough(address, worker)),
            false => self.cluster(worker, &backend.id),
        };
        let host = backend.service.as_ref().map(|service| &*service.host);
        cluster.bounds.name_server(host);
        cluster.bounds.speak(backend.protocol);
        cluster.govern(&backend.policy, worker);
        match is_address(backend) && !backend.id.is_empty() {
            true => Rc::new(Cluster::original(address, cluster, worker)),
            false => cluster,
        }
    }

    fn cluster(&self, worker: &Worker, id: &BackendId) -> SharedCluster {
        let mut clusters = self.clusters.borrow_mut();
        let cluster = clusters
            .entry(id.clone())
            .or_insert_with(|| Rc::new(Cluster::new(id, worker)))
            .clone();
        cluster.wanted();
        cluster
    }

    /// News: the endpoints of a backend.
    pub(crate) fn set_endpoints(&self, worker: &Worker, id: &BackendId, endpoints: &Arc<Endpoints>) {
        self.cluster(worker, id).update(endpoints, worker);
    }

    /// The workload's own place or labels changed: endpoints are near and far anew.
    pub(crate) fn place_anew(&self, worker: &Worker) {
        self.each_cluster(|cluster| cluster.place(worker));
    }

    /// Forgets destinations nobody dialled for long and closes idle connections.
    pub(crate) fn sweep(&self, worker: &Worker) {
        let now = worker.clock.now_ns();
        self.entries.borrow_mut().retain(|address, entry| {
            let keep =
                now.saturating_sub(entry.last_used.get()) < IDLE_NS || matches!(entry.slot, Slot::Waiting(_));
            keep || !worker.post.ask(Ask::Forget(*address))
        });
        // A cluster that no destination holds is held by the map alone; twice in a row, since its destination may just be on the way.
        self.clusters
            .borrow_mut()
            .retain(|_, cluster| Rc::strong_count(cluster) > 1 || !cluster.orphaned());
        self.each_cluster(|cluster| cluster.sweep(worker));
        for entry in self.entries.borrow().values() {
            if let Slot::Ready(service) = &entry.slot {
                service.sweep(worker);
            }
        }
        for service in self.named.borrow().values() {
            service.sweep(worker);
        }
    }

    /// A new certificate: idle connections made with the old one go.
    pub(crate) fn forget_idle(&self) {
        self.each_cluster(Cluster::forget_idle);
    }

    /// Files of TLS policies changed: idle connections made with the old ones go.
    pub(crate) fn forget_outside(&self) {
        self.each_cluster(|cluster| {
            if cluster.bounds.hop().security == Security::Outside {
                cluster.forget_idle();
            }
        });
    }

    fn each_cluster(&self, act: impl Fn(&Cluster)) {
        self.clusters.borrow().values().for_each(|cluster| act(cluster));
    }
}

/// Does its traffic go to the dialled address itself?
pub(super) fn is_address(backend: &Backend) -> bool {
    backend.id.is_empty() || backend.policy.balance == Balance::OriginalDestination
}

enum Found {
    Service(Rc<Service>),
    Wait(Rc<Notify>),
    Unknown,
    Overload,
}

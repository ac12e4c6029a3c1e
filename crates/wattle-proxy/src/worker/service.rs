//! A dialled address as one worker carries traffic there.

use std::cell::{OnceCell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use wattle_model::{Backend, Destination, Reason};
use wattle_telemetry::EdgeMetrics;

use super::cluster::SharedCluster;
use super::destinations::is_address;
use super::upstream::Series;
use super::{Cluster, Worker};

/// Addresses that are kept of backends that are not where was dialled; beyond it the one kept for longest goes.
const MAX_ELSEWHERE: usize = 64;

/// A dialled address with everything to carry traffic there.
pub(crate) struct Service {
    /// The compiled destination.
    pub(crate) destination: Arc<Destination>,
    /// A cluster for each of its backends, by index.
    pub(crate) clusters: Vec<SharedCluster>,
    /// Series of requests that reached no endpoint.
    pub(crate) refused_series: Series<EdgeMetrics>,
    /// The address without the service, for callers to whom the service is none.
    as_dialled: OnceCell<Rc<Service>>,
    /// Backends at other addresses than the dialled one, where DNS says that their host is.
    elsewhere: RefCell<Vec<(u32, SocketAddr, SharedCluster)>>,
}

/// What decides where a backend is that goes by the host that is asked for.
#[derive(Clone, Copy)]
pub(crate) struct AskedHost<'a> {
    /// The host of the request or of the ClientHello, without a port.
    pub(crate) host: Option<&'a str>,
    /// The address that was dialled.
    pub(crate) dialled: SocketAddr,
    /// The caller's address.
    pub(crate) caller: IpAddr,
}

/// Does a backend go by the host that is asked for?
pub(crate) fn goes_by_host(backend: &Backend) -> bool {
    backend.verifies_host || backend.by_name.is_some()
}

impl Service {
    pub(super) fn new(destination: Arc<Destination>, clusters: Vec<SharedCluster>) -> Self {
        Self {
            destination,
            clusters,
            refused_series: Series::default(),
            as_dialled: OnceCell::new(),
            elsewhere: RefCell::default(),
        }
    }

    /// A backend that goes by the host that is asked for.
    pub(crate) async fn by_host(
        &self,
        worker: &Worker,
        (index, backend): (u32, &Backend),
        asked: AskedHost<'_>,
    ) -> Result<SharedCluster, Reason> {
        let host = asked.host.ok_or(Reason::UnknownDestination)?;
        let Some(by_name) = &backend.by_name else {
            return self.verified(worker, (index, backend), asked.dialled, host).await;
        };
        if !by_name.takes(host) {
            return Err(Reason::UnknownDestination);
        }
        let wanted = SocketAddr::new(asked.dialled.ip(), by_name.port);
        let address = worker
            .named_hosts
            .outside(worker, host, wanted, asked.caller)
            .await?;
        Ok(self.elsewhere(worker, (index, backend), address))
    }

    /// A backend that verifies its host: at the dialled address if DNS gives that for `host`, else at one that it gives.
    async fn verified(
        &self,
        worker: &Worker,
        (index, backend): (u32, &Backend),
        dialled: SocketAddr,
        host: &str,
    ) -> Result<SharedCluster, Reason> {
        let cluster = self.cluster(index).ok_or(Reason::NoBackend)?;
        let address = worker.named_hosts.address(worker, host, dialled.ip()).await?;
        Ok(match address == dialled.ip() {
            true => cluster.clone(),
            false => self.elsewhere(worker, (index, backend), SocketAddr::new(address, dialled.port())),
        })
    }

    fn elsewhere(
        &self,
        worker: &Worker,
        (index, backend): (u32, &Backend),
        address: SocketAddr,
    ) -> SharedCluster {
        let mut elsewhere = self.elsewhere.borrow_mut();
        let mut known = elsewhere.iter();
        if let Some((_, _, cluster)) = known.find(|known| (known.0, known.1) == (index, address)) {
            return cluster.clone();
        }
        if elsewhere.len() >= MAX_ELSEWHERE {
            elsewhere.remove(0);
        }
        let cluster = worker.destinations.cluster_of(worker, address, backend);
        elsewhere.push((index, address, cluster.clone()));
        cluster
    }

    /// The address that was dialled, as if the mesh knew nothing of it.
    pub(crate) fn as_dialled(&self, worker: &Worker, address: SocketAddr) -> Rc<Self> {
        let make = || {
            let destination = Destination {
                name: address.to_string().into(),
                backends: vec![Backend::default()],
                default_backend: Some(0),
                ..Destination::default()
            };
            let clusters = vec![Rc::new(Cluster::passthrough(address, worker))];
            Rc::new(Self::new(Arc::new(destination), clusters))
        };
        self.as_dialled.get_or_init(make).clone()
    }

    /// Closes connections to the address itself that were idle too long; clusters of backends are swept by their names.
    pub(super) fn sweep(&self, worker: &Worker) {
        let backends = self.destination.backends.iter();
        for (_, cluster) in backends.zip(&self.clusters).filter(|(b, _)| is_address(b)) {
            cluster.sweep(worker);
        }
        for (_, _, cluster) in self.elsewhere.borrow().iter() {
            cluster.sweep(worker);
        }
        if let Some(dialled) = self.as_dialled.get() {
            dialled.sweep(worker);
        }
    }

    /// The cluster of a backend.
    pub(crate) fn cluster(&self, index: u32) -> Option<&SharedCluster> {
        self.clusters.get(usize::try_from(index).ok()?)
    }
}

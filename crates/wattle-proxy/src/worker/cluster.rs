//! The endpoints of one backend as one worker balances over them.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use wattle_balance::{Endpoint, EndpointId, EndpointSet, Health, Member, Picked};
use wattle_model::traffic::Place;
use wattle_model::{BackendPolicy, EndpointHealth, Endpoints, Hop, Reason, Workload};

use super::bounds::Bounds;
use super::checks::Checks;
use super::cluster_series::Series;
use super::{Upstream, Worker, policy};

/// A backend's endpoints, their load and health, and the policy about them.
///
/// Destinations that name one backend share it; where they bring different policies of it, the one told last is in force.
pub(crate) struct Cluster {
    set: RefCell<EndpointSet<Upstream>>,
    /// The policy, and what counts against it.
    pub(crate) bounds: Rc<Bounds>,
    /// As last told, to be placed anew when the policy or the workload's own place changes.
    told: RefCell<Arc<Endpoints>>,
    /// The backend that this is one address of (`OriginalDestination`).
    base: Option<(SocketAddr, SharedCluster)>,
    checks: RefCell<Option<Checks>>,
    series: Series,
    seed: u64,
    /// A sweep found it without a destination.
    orphan: Cell<bool>,
}

impl Cluster {
    /// Without endpoints.
    pub(crate) fn new(name: &str, worker: &Worker) -> Self {
        Self::with(name, Bounds::new(BackendPolicy::none()), None, worker)
    }

    fn with(
        name: &str,
        bounds: Rc<Bounds>,
        base: Option<(SocketAddr, SharedCluster)>,
        worker: &Worker,
    ) -> Self {
        let seed = worker.clock.random();
        Self {
            set: RefCell::new(EndpointSet::new(policy::config(&bounds.policy(), seed))),
            bounds,
            told: RefCell::default(),
            base,
            checks: RefCell::default(),
            series: Series::new(name),
            seed,
            orphan: Cell::new(false),
        }
    }

    /// One endpoint without a proxy: an address outside the mesh, as it was dialled.
    pub(crate) fn passthrough(address: SocketAddr, worker: &Worker) -> Self {
        let cluster = Self::new("", worker);
        cluster.put_address(address, worker);
        cluster
    }

    /// The dialled address alone, as the backend's endpoint there, else as if it were outside the mesh.
    pub(crate) fn original(address: SocketAddr, base: SharedCluster, worker: &Worker) -> Self {
        let bounds = base.bounds.clone();
        let cluster = Self::with("", bounds, Some((address, base)), worker);
        cluster.put_address(address, worker);
        cluster
    }

    fn put_address(&self, address: SocketAddr, worker: &Worker) {
        let endpoint = Endpoint {
            address,
            instance: "".into(),
            weight: 1,
            priority: 0,
            locality: None,
            locality_weight: 0,
        };
        let make = |endpoint: &Endpoint| {
            let nobody = Arc::new(Workload::default());
            Upstream::new(
                endpoint.address,
                Hop::Plaintext,
                nobody,
                self.bounds.clone(),
                worker,
            )
        };
        let now = worker.clock.now_ns();
        self.set.borrow_mut().update(vec![endpoint], now, make);
    }

    /// A sweep found no destination that holds it; true when the one before found none either.
    pub(crate) fn orphaned(&self) -> bool {
        self.orphan.replace(true)
    }

    /// News speak of it.
    pub(crate) fn wanted(&self) {
        self.orphan.set(false);
    }

    /// Takes a policy; endpoints keep load, health and connections, except that a change of how connections are made
    /// lets go of those that are idle.
    pub(crate) fn govern(self: &Rc<Self>, policy: &Arc<BackendPolicy>, worker: &Worker) {
        let old = self.bounds.policy();
        if old == *policy {
            return;
        }
        self.bounds.set(policy.clone());
        let now = worker.clock.now_ns();
        let config = policy::config(policy, self.seed);
        if config != policy::config(&old, self.seed) {
            self.set.borrow_mut().configure(config, now);
        }
        if old.locality != policy.locality {
            self.place(worker);
        }
        self.each(Upstream::bound);
        if old.health_check != policy.health_check {
            self.each_member(|member| member.judge(true));
            let start = |check| Checks::start(Rc::downgrade(self), worker, check);
            *self.checks.borrow_mut() = policy.health_check.clone().map(start);
        }
        if connects_otherwise(&old, policy) {
            self.forget_idle();
        }
    }

    /// Takes over a new set; endpoints that stay keep load, health and connections.
    pub(crate) fn update(&self, endpoints: &Arc<Endpoints>, worker: &Worker) {
        *self.told.borrow_mut() = endpoints.clone();
        self.place(worker);
    }

    /// Arranges the endpoints as seen from where the workload runs.
    pub(crate) fn place(&self, worker: &Worker) {
        let told = self.told.borrow().clone();
        let wanted = usable(&told.endpoints);
        let places = self.places(&wanted, worker);
        let listed = wanted.iter().zip(places).map(|(endpoint, place)| Endpoint {
            address: endpoint.address,
            instance: instance(endpoint),
            weight: endpoint.weight,
            priority: place.priority,
            locality: place.group.map(|(group, _)| group.to_string().into()),
            locality_weight: place.group.map_or(0, |(_, weight)| weight),
        });
        let make = |new: &Endpoint| {
            // By instance too: two may share an address, one with and one without a proxy.
            let found = wanted
                .iter()
                .find(|e| e.address == new.address && instance(e) == new.instance);
            let (hop, workload) =
                found.map_or((Hop::MutualTls, Arc::default()), |e| (e.hop, e.workload.clone()));
            Upstream::new(new.address, hop, workload, self.bounds.clone(), worker)
        };
        let now = worker.clock.now_ns();
        let updated = self.set.borrow_mut().update(listed.collect(), now, make);
        for member in updated.removed {
            member.payload().forget_idle();
        }
    }

    fn places(&self, endpoints: &[wattle_model::Endpoint], worker: &Worker) -> Vec<Place> {
        let policy = self.bounds.policy();
        match worker.inbound() {
            Some(own) => policy.locality.places(&own.locality, &own.labels, endpoints),
            None => vec![Place::default(); endpoints.len()],
        }
    }

    /// An endpoint for one request or connection, by its hash where the policy goes by one.
    pub(crate) fn pick(
        &self,
        hash: Option<u64>,
        worker: &Worker,
        avoid: &[EndpointId],
    ) -> Result<Picked<Upstream>, Reason> {
        let (random, now) = (worker.clock.random(), worker.clock.now_ns());
        if let Some((address, base)) = &self.base
            && let Some(there) = base.set.borrow().pick_at(*address, random, now)
        {
            return Ok(there);
        }
        let set = self.set.borrow();
        set.pick_by_hash(hash.unwrap_or(random), random, now, avoid)
            .ok_or_else(|| match (set.is_empty(), self.told.borrow().names.is_empty()) {
                (true, false) => Reason::UpstreamNameFailure,
                (true, true) => Reason::NoEndpoints,
                (false, _) => Reason::NoHealthyEndpoint,
            })
    }

    /// The endpoint of this tag, if it is fit. Looks at every endpoint.
    pub(crate) fn tagged(&self, tag: u64, now: u64) -> Option<Rc<Member<Upstream>>> {
        let set = self.set.borrow();
        let found = set.members().find(|member| member.payload().tag == tag)?;
        (found.health(now) == Health::Healthy).then(|| found.clone())
    }

    /// The endpoints, for health checks.
    pub(crate) fn members(&self) -> Vec<Rc<Member<Upstream>>> {
        self.set.borrow().members().cloned().collect()
    }

    /// Ends and begins ejections, closes connections that were idle too long, and publishes what was counted.
    pub(crate) fn sweep(&self, worker: &Worker) {
        let now = worker.clock.now_ns();
        self.set.borrow_mut().sweep(now);
        self.each(|upstream| upstream.sweep(now));
        if self.base.is_none() {
            let ejections = self.set.borrow().ejections();
            self.series.publish(worker, &self.bounds.overflows(), &ejections);
        }
    }

    /// Lets go of connections that are made otherwise by now, as soon as they are idle.
    pub(crate) fn forget_idle(&self) {
        self.bounds.forget_tls();
        self.each(Upstream::forget_idle);
    }

    fn each(&self, act: impl Fn(&Upstream)) {
        self.each_member(|member| act(member.payload()));
    }

    fn each_member(&self, act: impl Fn(&Member<Upstream>)) {
        self.set.borrow().members().for_each(|member| act(member));
    }
}

/// The endpoints that may be asked: the healthy ones, else those that are finishing.
fn usable(endpoints: &[wattle_model::Endpoint]) -> Vec<wattle_model::Endpoint> {
    let of = |health| {
        let has = move |endpoint: &&wattle_model::Endpoint| endpoint.health == health;
        endpoints.iter().filter(has).cloned().collect::<Vec<_>>()
    };
    let healthy = of(EndpointHealth::Healthy);
    match healthy.is_empty() {
        true => of(EndpointHealth::Draining),
        false => healthy,
    }
}

/// Do connections under one policy differ from those under the other?
fn connects_otherwise(old: &BackendPolicy, new: &BackendPolicy) -> bool {
    (&old.tls, &old.proxy_protocol, &old.tunnel, &old.http_version)
        != (&new.tls, &new.proxy_protocol, &new.tunnel, &new.http_version)
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

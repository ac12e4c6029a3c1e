//! What a worker keeps per endpoint: connections, TLS settings, metrics.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use wattle_balance::{Shared, SharedLimits};
use wattle_http::h2;
use wattle_model::traffic::hash_text;
use wattle_model::{Hop, Workload};
use wattle_telemetry::{EdgeMetrics, Protocol, TcpMetrics};

use super::bounds::{Bounds, Security};
use super::http_pool::HttpPool;
use crate::identity::Alpn;
use crate::worker::Worker;

/// An endpoint of a cluster, with this worker's connections to it.
pub(crate) struct Upstream {
    /// Where to connect.
    pub(crate) address: SocketAddr,
    /// How the connection is secured.
    pub(crate) hop: Hop,
    /// Who is there.
    pub(crate) workload: Arc<Workload>,
    /// HTTP/1.1 connections, one request at a time.
    pub(crate) http1: Rc<HttpPool>,
    /// HTTP/2 connections, many requests at once.
    pub(crate) http2: Shared<h2::Client>,
    /// The peer's proxy speaks HTTP/1.1 only on the hop, as seen in a handshake.
    pub(crate) http1_only: Cell<bool>,
    /// The peer's proxy multiplexes HTTP/2 only, as seen in a handshake: it is not one of ours.
    pub(crate) http2_only: Cell<bool>,
    /// What bounds it, together with the other endpoints of its backend.
    pub(crate) bounds: Rc<Bounds>,
    /// Names it in the token of a session, the same in every proxy.
    pub(crate) tag: u64,
    /// Connections for each name that a server outside the mesh is asked for, where that is the request's; last used last.
    named: RefCell<Vec<(ServerName<'static>, Rc<Connections>)>>,
    tls: RefCell<TlsCache>,
    /// Series of requests to here.
    pub(crate) http_series: Series<EdgeMetrics>,
    /// Series of opaque connections to here.
    pub(crate) tcp_series: Series<TcpMetrics>,
}

/// Names that a server outside the mesh is asked for whose connections are kept, by endpoint.
const MAX_NAMES: usize = 64;

/// Connections to an endpoint for one name that it is asked for.
pub(crate) struct Connections {
    pub(crate) http1: Rc<HttpPool>,
    pub(crate) http2: Shared<h2::Client>,
    /// As [`Upstream::http1_only`].
    pub(crate) http1_only: Cell<bool>,
}

fn shared(bounds: &Bounds) -> Shared<h2::Client> {
    Shared::new(SharedLimits {
        max_connections: bounds.shared_connections(),
        ..SharedLimits::default()
    })
}

/// Series by the service that was dialled and its protocol: few, made when first needed.
pub(crate) struct Series<M>(RefCell<Vec<Labelled<M>>>);

/// A series with what tells it apart.
type Labelled<M> = (Option<Arc<str>>, Protocol, Rc<M>);

impl<M> Series<M> {
    /// The series of this service host and protocol.
    pub(crate) fn at(&self, host: Option<&Arc<str>>, protocol: Protocol, make: impl FnOnce() -> M) -> Rc<M> {
        let known = |(h, p, _): &&Labelled<M>| *p == protocol && h.as_ref() == host;
        if let Some((_, _, series)) = self.0.borrow().iter().find(known) {
            return series.clone();
        }
        let series = Rc::new(make());
        self.0
            .borrow_mut()
            .push((host.cloned(), protocol, series.clone()));
        series
    }
}

impl<M> Default for Series<M> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

/// TLS settings of one certificate generation, by offer.
#[derive(Default)]
struct TlsCache {
    generation: u64,
    configs: Vec<(&'static [Alpn], Arc<ClientConfig>)>,
}

impl Upstream {
    pub(crate) fn new(
        address: SocketAddr,
        hop: Hop,
        workload: Arc<Workload>,
        bounds: Rc<Bounds>,
        worker: &Worker,
    ) -> Self {
        Self {
            tag: tag(address, &workload),
            address,
            hop,
            workload,
            http1: HttpPool::new(worker, bounds.clone()),
            http2: shared(&bounds),
            bounds,
            http1_only: Cell::new(false),
            http2_only: Cell::new(false),
            named: RefCell::default(),
            tls: RefCell::default(),
            http_series: Series::default(),
            tcp_series: Series::default(),
        }
    }

    /// How a connection to it is secured: as the policy says, else as it asks.
    pub(crate) fn security(&self) -> Security {
        match (self.bounds.hop().security, self.hop) {
            (Security::AsEndpoint, Hop::Plaintext) => Security::Plaintext,
            (Security::AsEndpoint, Hop::MutualTls) => Security::Mesh,
            (security, _) => security,
        }
    }

    /// Its connections for one name that a server is asked for; those of the name that was not used for longest go when
    /// there are too many.
    pub(crate) fn named(&self, worker: &Worker, name: &ServerName<'static>) -> Rc<Connections> {
        let mut known = self.named.borrow_mut();
        if let Some(at) = known.iter().position(|(of, _)| of == name) {
            let found = known.remove(at);
            known.push(found);
        } else {
            if known.len() >= MAX_NAMES {
                known.remove(0);
            }
            let made = Connections {
                http1: HttpPool::new(worker, self.bounds.clone()),
                http2: shared(&self.bounds),
                http1_only: Cell::new(false),
            };
            known.push((name.clone(), Rc::new(made)));
        }
        known[known.len() - 1].1.clone()
    }

    /// Lets go of its connections as soon as they are idle: requests under way keep theirs, the next one opens a new one.
    pub(crate) fn forget_idle(&self) {
        self.http1.sweep(0, true);
        drop(self.http2.take(|_| true));
        self.named.borrow_mut().clear();
        self.http1_only.set(false);
        self.http2_only.set(false);
    }

    /// Closes connections that were idle too long.
    pub(crate) fn sweep(&self, now: u64) {
        self.http1.sweep(now, false);
        for (_, connections) in self.named.borrow().iter() {
            connections.http1.sweep(now, false);
        }
    }

    /// Takes over the bounds of its connections as they are now.
    pub(crate) fn bound(&self) {
        let (idle, shared) = (self.bounds.http_idle(), self.bounds.shared_connections());
        self.http1.set_idle(idle);
        self.http2.set_max_connections(shared);
        for (_, connections) in self.named.borrow().iter() {
            connections.http1.set_idle(idle);
            connections.http2.set_max_connections(shared);
        }
    }

    /// TLS settings for dialling with this offer under certificate generation `generation`; made once for each.
    pub(crate) fn tls<E>(
        &self,
        generation: u64,
        offer: &'static [Alpn],
        make: impl FnOnce() -> Result<Arc<ClientConfig>, E>,
    ) -> Result<Arc<ClientConfig>, E> {
        let mut cache = self.tls.borrow_mut();
        if cache.generation != generation {
            *cache = TlsCache {
                generation,
                configs: Vec::new(),
            };
        }
        if let Some((_, config)) = cache.configs.iter().find(|(known, _)| *known == offer) {
            return Ok(config.clone());
        }
        let config = make()?;
        cache.configs.push((offer, config.clone()));
        Ok(config)
    }
}

/// By everything that makes it this endpoint, so that a token means nothing once another has its address.
fn tag(address: SocketAddr, workload: &Workload) -> u64 {
    hash_text(&format!(
        "{address} {} {} {} {}",
        workload.trust_domain, workload.namespace, workload.service_account, workload.instance
    ))
}

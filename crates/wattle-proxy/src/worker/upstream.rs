//! What a worker keeps per endpoint: connections, TLS settings, metrics.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use rustls::ClientConfig;
use wattle_balance::{CheckedOut, IdleLimits, IdlePool, Permit, Shared, SharedLimits};
use wattle_http::{h1, h2};
use wattle_model::{Hop, Workload};
use wattle_telemetry::{EdgeMetrics, Protocol, TcpMetrics};

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
    tls: RefCell<TlsCache>,
    /// Series of requests to here.
    pub(crate) http_series: Series<EdgeMetrics>,
    /// Series of opaque connections to here.
    pub(crate) tcp_series: Series<TcpMetrics>,
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
    pub(crate) fn new(address: SocketAddr, hop: Hop, workload: Arc<Workload>, worker: &Worker) -> Self {
        Self {
            address,
            hop,
            workload,
            http1: HttpPool::new(worker),
            http2: Shared::new(SharedLimits::default()),
            http1_only: Cell::new(false),
            http2_only: Cell::new(false),
            tls: RefCell::default(),
            http_series: Series::default(),
            tcp_series: Series::default(),
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

/// Idle HTTP/1.1 connections to one address.
pub(crate) struct HttpPool {
    idle: RefCell<IdlePool<Pooled>>,
    worker: Weak<Worker>,
}

/// An idle connection with the handle through which it comes back.
struct Pooled {
    client: h1::Client,
    back: Rc<Return>,
}

impl HttpPool {
    /// Connections in use at once; tunnels count, and an application may hold many.
    const MAX_ACTIVE: usize = 16_384;
    /// Connections kept idle: as many as a busy worker had in use, or each burst would open and close them anew.
    const MAX_IDLE: usize = 1_024;

    pub(crate) fn new(worker: &Worker) -> Rc<Self> {
        let limits = IdleLimits {
            max_active: Self::MAX_ACTIVE,
            max_idle: Self::MAX_IDLE,
            ..IdleLimits::default()
        };
        Rc::new(Self {
            idle: RefCell::new(IdlePool::new(limits)),
            worker: worker.weak(),
        })
    }

    /// The connection used last that is still open.
    pub(crate) fn check_out(&self, now: u64) -> Option<h1::Client> {
        loop {
            let CheckedOut {
                connection: Pooled { mut client, back },
                permit,
            } = self.idle.borrow_mut().check_out(now)?;
            if client.is_open() {
                *back.permit.borrow_mut() = Some(permit);
                return Some(client);
            }
        }
    }

    /// The right to open one more connection; `None` at the limit.
    pub(crate) fn permit(&self) -> Option<Permit> {
        self.idle.borrow().permit()
    }

    /// The handle through which a new connection comes back after use.
    pub(crate) fn checkin(self: &Rc<Self>, permit: Permit) -> Rc<dyn h1::Checkin> {
        Rc::new_cyclic(|own| Return {
            own: own.clone(),
            pool: Rc::downgrade(self),
            permit: RefCell::new(Some(permit)),
        })
    }

    /// Closes connections that have been idle too long, or all of them.
    pub(crate) fn sweep(&self, now: u64, all: bool) {
        let swept = if all {
            self.idle.borrow_mut().clear()
        } else {
            self.idle.borrow_mut().sweep(now)
        };
        drop(swept);
    }
}

/// Brings one connection back to its pool, with the permit it holds while in use.
struct Return {
    own: Weak<Return>,
    pool: Weak<HttpPool>,
    permit: RefCell<Option<Permit>>,
}

impl h1::Checkin for Return {
    fn check_in(&self, client: h1::Client) {
        let (Some(pool), Some(back)) = (self.pool.upgrade(), self.own.upgrade()) else {
            return;
        };
        let Some(worker) = pool.worker.upgrade() else {
            return;
        };
        let Some(permit) = self.permit.borrow_mut().take() else {
            return;
        };
        if worker.draining.is_draining() {
            return;
        }
        let evicted = pool
            .idle
            .borrow_mut()
            .check_in(Pooled { client, back }, permit, worker.clock.now_ns());
        drop(evicted);
    }
}

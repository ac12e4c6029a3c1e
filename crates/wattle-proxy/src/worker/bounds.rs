//! What a backend's policy bounds, and what is under way towards it: shared by its endpoints and their connections.

mod outside;
mod repeats;

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use wattle_balance::{Breaker, BreakerCounts, Permit, Picked, RetryBudget, SharedLimits};
use wattle_model::traffic::{Balance, HttpVersion, ProxyProtocol, Tunnel, UpstreamTls};
use wattle_model::{BackendPolicy, Protocol, Reason};

use super::policy;
use outside::{Named, OutsideTls};
pub(crate) use repeats::Repetition;

/// A policy with what counts against it.
pub(crate) struct Bounds {
    policy: RefCell<Arc<BackendPolicy>>,
    /// The policy bounds something: without that, nothing is counted.
    counts: Cell<bool>,
    by_hash: Cell<bool>,
    breaker: Breaker,
    budget: RefCell<Option<Rc<RetryBudget>>>,
    /// Of routes that repeat requests, where the policy says nothing.
    default_budget: OnceCell<Rc<RetryBudget>>,
    uses: Cell<Uses>,
    hop: Cell<Hopping>,
    /// The endpoints are declared to speak HTTP/2.
    http2: Cell<bool>,
    /// The backend's service, whose name a server outside the mesh is asked for.
    host: RefCell<Named>,
    /// Settings by what they offer, each made of what the files held then.
    tls: RefCell<Vec<OutsideTls>>,
    /// A connection was closed or came back.
    freed: Notify,
}

/// How much one connection is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Uses {
    /// Requests over one connection.
    pub(crate) requests: u64,
    /// Streams at once on a multiplexed connection.
    pub(crate) streams: usize,
    /// Life of a connection, in nanoseconds.
    pub(crate) life_ns: u64,
}

impl Default for Uses {
    fn default() -> Self {
        Self {
            requests: u64::MAX,
            streams: usize::MAX,
            life_ns: u64::MAX,
        }
    }
}

/// How connections to a backend are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hopping {
    /// How they are secured.
    pub(crate) security: Security,
    /// HTTP/2 for all requests, whatever version they came in.
    pub(crate) http2: bool,
}

/// How connections to a backend are secured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Security {
    /// As each endpoint asks.
    #[default]
    AsEndpoint,
    /// Not at all.
    Plaintext,
    /// By the mesh's own mutual TLS.
    Mesh,
    /// By TLS of the outside world.
    Outside,
}

/// Time after which an idle connection is closed, where the policy says nothing.
pub(crate) const HTTP_IDLE: Duration = Duration::from_secs(60);

impl Bounds {
    /// Of this policy, with nothing under way.
    pub(crate) fn new(policy: Arc<BackendPolicy>) -> Rc<Self> {
        let bounds = Self {
            policy: RefCell::default(),
            counts: Cell::new(false),
            by_hash: Cell::new(false),
            breaker: Breaker::default(),
            budget: RefCell::default(),
            default_budget: OnceCell::new(),
            uses: Cell::default(),
            hop: Cell::default(),
            http2: Cell::default(),
            host: RefCell::default(),
            tls: RefCell::default(),
            freed: Notify::new(),
        };
        bounds.set(policy);
        Rc::new(bounds)
    }

    /// Takes another policy; what is under way stays and counts.
    pub(crate) fn set(&self, policy: Arc<BackendPolicy>) {
        let limits = policy::limits(&policy);
        self.breaker.set_limits(limits);
        if policy.retry_budget != self.policy.borrow().retry_budget {
            let budget = policy.retry_budget.as_ref().map(policy::budget);
            *self.budget.borrow_mut() = budget.map(|config| Rc::new(RetryBudget::new(config)));
        }
        self.counts
            .set(limits != wattle_balance::Limits::default() || policy.retry_budget.is_some());
        self.by_hash.set(matches!(policy.balance, Balance::Hash { .. }));
        self.uses.set(uses(&policy));
        self.hop.set(hopping(&policy));
        *self.policy.borrow_mut() = policy;
        // A wider bound may let in who waits.
        self.freed.notify_waiters();
    }

    /// The policy in force.
    pub(crate) fn policy(&self) -> Arc<BackendPolicy> {
        self.policy.borrow().clone()
    }

    /// How connections are made.
    pub(crate) fn hop(&self) -> Hopping {
        let hop = self.hop.get();
        Hopping {
            http2: hop.http2 || self.http2.get(),
            ..hop
        }
    }

    /// What the endpoints are declared to speak: one that speaks HTTP/2 is not asked in HTTP/1 (GEP-1911).
    pub(crate) fn speak(&self, protocol: Protocol) {
        self.http2.set(is_http2(protocol));
    }

    /// The version of the PROXY protocol that connections begin with.
    pub(crate) fn proxy_protocol(&self) -> Option<ProxyProtocol> {
        self.policy.borrow().proxy_protocol
    }

    /// The proxy that opaque connections go through.
    pub(crate) fn tunnel(&self) -> Option<Tunnel> {
        self.policy.borrow().tunnel.clone()
    }

    /// How much one connection may be used.
    pub(crate) fn uses(&self) -> Uses {
        self.uses.get()
    }

    /// Does the policy choose by a hash?
    pub(crate) fn is_by_hash(&self) -> bool {
        self.by_hash.get()
    }

    /// Connections to one endpoint that carry many requests each.
    pub(crate) fn shared_connections(&self) -> usize {
        let most = SharedLimits::default().max_connections;
        let bound = self.policy.borrow().limits.connections;
        bound.map_or(most, |bound| most.min(bound as usize))
    }

    /// Time without a byte, and life, of an opaque connection.
    pub(crate) fn relaying(&self) -> (Option<Duration>, Option<Duration>) {
        let limits = &self.policy.borrow().limits;
        (limits.tcp_idle, limits.connection_life)
    }

    /// Time after which an idle HTTP connection is closed.
    pub(crate) fn http_idle(&self) -> Duration {
        self.policy.borrow().limits.http_idle.unwrap_or(HTTP_IDLE)
    }

    /// Counts one more try: what holds its place is attached to the pick.
    pub(crate) fn admit<T>(&self, picked: &mut Picked<T>) -> Result<(), Reason> {
        if self.counts.get() {
            picked.attach(self.breaker.try_request().ok_or(Reason::UpstreamOverflow)?);
        }
        Ok(())
    }

    /// Counts a request towards the application, which goes to no endpoint that is picked, while the permit is held.
    pub(crate) fn request(&self) -> Result<Option<Permit>, Reason> {
        if !self.counts.get() {
            return Ok(None);
        }
        self.breaker
            .try_request()
            .map(Some)
            .ok_or(Reason::UpstreamOverflow)
    }

    /// Counts a request that waits for a connection, one that is dialled for it included.
    pub(crate) fn pending(&self) -> Result<Option<Permit>, Reason> {
        if !self.counts.get() {
            return Ok(None);
        }
        self.breaker
            .try_pending()
            .map(Some)
            .ok_or(Reason::UpstreamOverflow)
    }

    /// The right to one more connection, now or not; [`Connecting::Full`] at the bound.
    pub(crate) fn connection(&self) -> Connecting {
        if !self.counts.get() {
            return Connecting::Uncounted;
        }
        self.breaker
            .try_connection()
            .map_or(Connecting::Full, Connecting::Counted)
    }

    /// Done when a connection was closed or came back.
    pub(crate) async fn freed(&self) {
        self.freed.notified().await;
    }

    /// Tells one of those who wait that a connection was closed or came back.
    pub(crate) fn free(&self) {
        if self.counts.get() {
            self.freed.notify_one();
        }
    }

    /// What was refused since the beginning; retries by the budget included.
    pub(crate) fn overflows(&self) -> BreakerCounts {
        let mut counts = self.breaker.overflows();
        counts.retries += self
            .budget
            .borrow()
            .as_ref()
            .map_or(0, |budget| budget.exhausted());
        counts
    }
}

/// The right to a connection.
pub(crate) enum Connecting {
    /// Nothing is bounded.
    Uncounted,
    /// To be held as long as the connection is open.
    Counted(Permit),
    /// As many as allowed are open.
    Full,
}

/// Is it HTTP/2 for all requests?
pub(crate) fn is_http2(protocol: Protocol) -> bool {
    matches!(protocol, Protocol::Http2 | Protocol::Grpc)
}

fn hopping(policy: &BackendPolicy) -> Hopping {
    Hopping {
        security: match policy.tls {
            UpstreamTls::Mesh => Security::AsEndpoint,
            UpstreamTls::Disabled => Security::Plaintext,
            UpstreamTls::MeshMutual => Security::Mesh,
            UpstreamTls::Origination { .. } => Security::Outside,
        },
        http2: policy.http_version == HttpVersion::Http2,
    }
}

fn uses(policy: &BackendPolicy) -> Uses {
    let limits = &policy.limits;
    let none = Uses::default();
    Uses {
        requests: limits.requests_per_connection.map_or(none.requests, u64::from),
        streams: limits
            .concurrent_streams
            .map_or(none.streams, |streams| streams as usize),
        life_ns: limits.connection_life.map_or(none.life_ns, |life| {
            u64::try_from(life.as_nanos()).unwrap_or(u64::MAX)
        }),
    }
}

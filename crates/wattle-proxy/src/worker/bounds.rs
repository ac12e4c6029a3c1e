//! What a backend's policy bounds, and what is under way towards it: shared by its endpoints and their connections.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use wattle_balance::{Breaker, BreakerCounts, Permit, Picked, RetryBudget, SharedLimits};
use wattle_model::traffic::Balance;
use wattle_model::{BackendPolicy, Reason};

use super::policy;

/// A policy with what counts against it.
pub(crate) struct Bounds {
    policy: RefCell<Arc<BackendPolicy>>,
    /// The policy bounds something: without that, nothing is counted.
    counts: Cell<bool>,
    by_hash: Cell<bool>,
    breaker: Breaker,
    budget: RefCell<Option<Rc<RetryBudget>>>,
    uses: Cell<Uses>,
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
            uses: Cell::default(),
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
        *self.policy.borrow_mut() = policy;
        // A wider bound may let in who waits.
        self.freed.notify_waiters();
    }

    /// The policy in force.
    pub(crate) fn policy(&self) -> Arc<BackendPolicy> {
        self.policy.borrow().clone()
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

    /// Time after which an idle HTTP connection is closed.
    pub(crate) fn http_idle(&self) -> Duration {
        self.policy.borrow().limits.http_idle.unwrap_or(HTTP_IDLE)
    }

    /// Counts one more request: what holds its place is attached to the pick. `first` for the first try of a request.
    pub(crate) fn admit<T>(&self, picked: &mut Picked<T>, now: u64, first: bool) -> Result<(), Reason> {
        if !self.counts.get() {
            return Ok(());
        }
        picked.attach(self.breaker.try_request().ok_or(Reason::UpstreamOverflow)?);
        if let (true, Some(budget)) = (first, self.budget.borrow().as_ref()) {
            picked.attach(budget.request(now));
        }
        Ok(())
    }

    /// The right to repeat a request, to be held while that lasts; an overflow when the breaker or the budget has none left.
    pub(crate) fn retry(&self, now: u64) -> Result<Repetition, Reason> {
        if !self.counts.get() {
            return Ok(Repetition::default());
        }
        let retry = self.breaker.try_retry().ok_or(Reason::UpstreamOverflow)?;
        let budget = match self.budget.borrow().as_ref() {
            None => None,
            Some(budget) => Some(budget.try_retry(now).ok_or(Reason::UpstreamOverflow)?),
        };
        Ok(Repetition {
            _permits: (Some(retry), budget),
        })
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
    pub(super) fn overflows(&self) -> BreakerCounts {
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

/// What a repetition holds while it lasts.
#[derive(Debug, Default)]
pub(crate) struct Repetition {
    _permits: (Option<Permit>, Option<Permit>),
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

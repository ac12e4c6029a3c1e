//! Circuit breakers: how much a worker lets go to one backend at a time.

use std::cell::Cell;

use crate::permit::{Gauge, Permit};

/// The bounds of a [`Breaker`], each for one backend and one worker.
///
/// Every default is 4,294,967,295, Istio's: no bound of the backend's own. The bounds of each endpoint ([`crate::IdleLimits`],
/// [`crate::SharedLimits`]) hold all the same. Zero lets nothing through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once (Istio's `tcp.maxConnections`, Envoy's `max_connections`).
    pub max_connections: u32,
    /// Requests that wait for a connection (Istio's `http1MaxPendingRequests`, Envoy's `max_pending_requests`).
    pub max_pending_requests: u32,
    /// Requests at once (Istio's `http2MaxRequests`, Envoy's `max_requests`).
    pub max_requests: u32,
    /// Retries at once (Istio's `maxRetries`, Envoy's `max_retries`); a retry budget is [`crate::RetryBudget`].
    pub max_retries: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: u32::MAX,
            max_pending_requests: u32::MAX,
            max_requests: u32::MAX,
            max_retries: u32::MAX,
        }
    }
}

/// One number for each bound of [`Limits`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BreakerCounts {
    /// Of connections.
    pub connections: u64,
    /// Of requests that wait for a connection.
    pub pending_requests: u64,
    /// Of requests.
    pub requests: u64,
    /// Of retries.
    pub retries: u64,
}

/// What is counted against one bound.
#[derive(Debug, Default)]
struct Circuit {
    active: Gauge,
    overflow: Cell<u64>,
}

impl Circuit {
    #[inline]
    fn enter(&self, limit: u32) -> Option<Permit> {
        let permit = self.active.try_begin(limit as usize);
        if permit.is_none() {
            self.overflow.set(self.overflow.get().saturating_add(1));
        }
        permit
    }
}

/// The circuit breakers of one backend.
#[derive(Debug, Default)]
pub struct Breaker {
    limits: Cell<Limits>,
    connections: Circuit,
    pending: Circuit,
    requests: Circuit,
    retries: Circuit,
}

impl Breaker {
    /// With nothing under way.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        let breaker = Self::default();
        breaker.set_limits(limits);
        breaker
    }

    /// Takes new bounds; what is under way stays, even beyond a bound that became smaller.
    pub fn set_limits(&self, limits: Limits) {
        self.limits.set(limits);
    }

    /// One connection; `None` is an overflow.
    #[must_use]
    pub fn try_connection(&self) -> Option<Permit> {
        self.connections.enter(self.limits.get().max_connections)
    }

    /// One request that waits for a connection; `None` is an overflow.
    #[must_use]
    pub fn try_pending(&self) -> Option<Permit> {
        self.pending.enter(self.limits.get().max_pending_requests)
    }

    /// One request; `None` is an overflow.
    #[must_use]
    pub fn try_request(&self) -> Option<Permit> {
        self.requests.enter(self.limits.get().max_requests)
    }

    /// One retry; `None` is an overflow.
    #[must_use]
    pub fn try_retry(&self) -> Option<Permit> {
        self.retries.enter(self.limits.get().max_retries)
    }

    /// What is under way.
    #[must_use]
    pub fn active(&self) -> BreakerCounts {
        self.counts(|circuit| circuit.active.count() as u64)
    }

    /// What was refused since the beginning, for metrics.
    #[must_use]
    pub fn overflows(&self) -> BreakerCounts {
        self.counts(|circuit| circuit.overflow.get())
    }

    fn counts(&self, count: impl Fn(&Circuit) -> u64) -> BreakerCounts {
        BreakerCounts {
            connections: count(&self.connections),
            pending_requests: count(&self.pending),
            requests: count(&self.requests),
            retries: count(&self.retries),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Enter = fn(&Breaker) -> Option<Permit>;

    const CIRCUITS: [Enter; 4] = [
        Breaker::try_connection,
        Breaker::try_pending,
        Breaker::try_request,
        Breaker::try_retry,
    ];

    fn two_of_each() -> Breaker {
        Breaker::new(Limits {
            max_connections: 2,
            max_pending_requests: 2,
            max_requests: 2,
            max_retries: 2,
        })
    }

    #[test]
    fn each_bound_holds_by_itself_and_a_dropped_permit_frees_its_place() {
        let breaker = two_of_each();
        for enter in CIRCUITS {
            let first = enter(&breaker);
            let second = enter(&breaker);
            assert!(first.is_some() && second.is_some());
            assert!(enter(&breaker).is_none());
            drop(first);
            assert!(enter(&breaker).is_some());
        }
        assert_eq!(breaker.active(), BreakerCounts::default());
    }

    #[test]
    fn what_is_refused_is_counted_under_its_own_name() {
        let breaker = two_of_each();
        let held: Vec<_> = (0..5).map(|_| breaker.try_request()).collect();
        let waiting: Vec<_> = (0..3).map(|_| breaker.try_pending()).collect();
        let refused = BreakerCounts {
            requests: 3,
            pending_requests: 1,
            ..BreakerCounts::default()
        };
        assert_eq!(breaker.overflows(), refused);
        assert_eq!(breaker.active().requests, 2);
        drop((held, waiting));
    }

    #[test]
    fn a_bound_that_shrinks_refuses_what_is_new_and_leaves_what_is_under_way() {
        let breaker = two_of_each();
        let held: Vec<_> = (0..2).filter_map(|_| breaker.try_request()).collect();
        breaker.set_limits(Limits {
            max_requests: 1,
            ..Limits::default()
        });
        assert_eq!(breaker.active().requests, 2);
        assert!(breaker.try_request().is_none());
        drop(held);
        assert!(breaker.try_request().is_some());
    }

    #[test]
    fn without_bounds_of_its_own_a_backend_refuses_nothing() {
        let breaker = Breaker::default();
        let held: Vec<_> = (0..10_000).map(|_| breaker.try_connection()).collect();
        assert!(held.iter().all(Option::is_some));
    }
}

//! Connections that serve one request at a time.

use std::collections::VecDeque;
use std::time::Duration;

use crate::permit::{Gauge, Permit};

/// The bounds of an [`IdlePool`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleLimits {
    /// Connections kept idle; default 32. At the limit the one idle longest is given back to be closed.
    pub max_idle: usize,
    /// Connections in use or being opened; default 1,024 (Envoy's `max_connections`). At the limit no further one is permitted.
    pub max_active: usize,
    /// How long a connection may be idle; default 60 s. Older ones are never handed out and leave with the next sweep.
    pub idle_timeout: Duration,
}

impl Default for IdleLimits {
    fn default() -> Self {
        Self {
            max_idle: 32,
            max_active: 1_024,
            idle_timeout: Duration::from_secs(60),
        }
    }
}

/// A connection taken from the pool with the permit to use it.
#[derive(Debug)]
pub struct CheckedOut<C> {
    /// The connection.
    pub connection: C,
    /// To be given back with it, or dropped when it is closed.
    pub permit: Permit,
}

#[derive(Debug)]
struct Idle<C> {
    connection: C,
    since: u64,
}

/// Idle connections to one endpoint; the one used last is used next, so that the rest can grow old and go.
#[derive(Debug)]
pub struct IdlePool<C> {
    /// Oldest first.
    idle: VecDeque<Idle<C>>,
    active: Gauge,
    limits: IdleLimits,
    timeout_ns: u64,
}

impl<C> IdlePool<C> {
    /// An empty pool, which allocates nothing.
    #[must_use]
    pub fn new(limits: IdleLimits) -> Self {
        Self {
            idle: VecDeque::new(),
            active: Gauge::default(),
            limits,
            timeout_ns: u64::try_from(limits.idle_timeout.as_nanos()).unwrap_or(u64::MAX),
        }
    }

    /// Changes how long a connection may be idle, for those that wait too.
    pub fn set_idle_timeout(&mut self, timeout: Duration) {
        self.limits.idle_timeout = timeout;
        self.timeout_ns = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
    }

    /// Permits one more connection to be opened; `None` when as many as allowed are in use.
    #[must_use]
    pub fn permit(&self) -> Option<Permit> {
        self.active.try_begin(self.limits.max_active)
    }

    /// Takes the connection used last; `None` when none is idle and young enough, or as many as allowed are in use.
    pub fn check_out(&mut self, now: u64) -> Option<CheckedOut<C>> {
        let newest = self.idle.back()?;
        if self.is_old(newest, now) {
            return None;
        }
        let permit = self.permit()?;
        self.idle.pop_back().map(|idle| CheckedOut {
            connection: idle.connection,
            permit,
        })
    }

    /// Keeps a connection for the next request; what comes back is to be closed.
    #[must_use]
    pub fn check_in(&mut self, connection: C, permit: Permit, now: u64) -> Option<C> {
        drop(permit);
        if self.limits.max_idle == 0 {
            return Some(connection);
        }
        let evicted = (self.idle.len() >= self.limits.max_idle)
            .then(|| self.idle.pop_front())
            .flatten();
        self.idle.push_back(Idle {
            connection,
            since: now,
        });
        evicted.map(|idle| idle.connection)
    }

    /// Gives out the connections that have been idle too long, to be closed; memory goes with the last.
    pub fn sweep(&mut self, now: u64) -> Vec<C> {
        let old = self.idle.iter().take_while(|idle| self.is_old(idle, now)).count();
        let swept = self.idle.drain(..old).map(|idle| idle.connection).collect();
        if self.idle.is_empty() {
            self.idle = VecDeque::new();
        }
        swept
    }

    /// Gives out every idle connection, to be closed.
    pub fn clear(&mut self) -> Vec<C> {
        std::mem::take(&mut self.idle)
            .into_iter()
            .map(|idle| idle.connection)
            .collect()
    }

    /// Connections that wait for a request.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.idle.len()
    }

    /// Connections in use or being opened.
    #[must_use]
    pub fn active(&self) -> usize {
        self.active.count()
    }

    fn is_old(&self, idle: &Idle<C>, now: u64) -> bool {
        now.saturating_sub(idle.since) >= self.timeout_ns
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    fn pool(max_idle: usize, max_active: usize) -> IdlePool<u32> {
        IdlePool::new(IdleLimits {
            max_idle,
            max_active,
            ..IdleLimits::default()
        })
    }

    fn put(pool: &mut IdlePool<u32>, connection: u32, now: u64) -> Option<u32> {
        let permit = pool.permit().unwrap();
        pool.check_in(connection, permit, now)
    }

    #[test]
    fn the_connection_used_last_is_used_next() {
        let mut pool = pool(4, 4);
        put(&mut pool, 1, 0);
        put(&mut pool, 2, 1);
        assert_eq!(pool.check_out(2).unwrap().connection, 2);
        assert_eq!(pool.check_out(2).unwrap().connection, 1);
        assert!(pool.check_out(2).is_none());
    }

    #[test]
    fn a_full_pool_gives_back_the_connection_that_is_idle_longest() {
        let mut pool = pool(2, 4);
        assert_eq!(put(&mut pool, 1, 0), None);
        assert_eq!(put(&mut pool, 2, 1), None);
        assert_eq!(put(&mut pool, 3, 2), Some(1));
        assert_eq!(pool.idle(), 2);
    }

    #[test]
    fn connections_idle_too_long_are_never_handed_out_and_leave_with_the_sweep() {
        let mut pool = pool(4, 4);
        put(&mut pool, 1, 0);
        put(&mut pool, 2, 30 * SECOND);
        assert_eq!(pool.sweep(60 * SECOND), [1]);
        assert!(pool.check_out(90 * SECOND).is_none());
        assert_eq!(pool.sweep(90 * SECOND), [2]);
    }

    #[test]
    fn no_more_connections_are_permitted_than_the_limit_and_a_dropped_permit_frees_its_place() {
        let pool = pool(4, 2);
        let first = pool.permit().unwrap();
        let _second = pool.permit().unwrap();
        assert!(pool.permit().is_none());
        drop(first);
        assert!(pool.permit().is_some());
    }

    proptest! {
        #[test]
        fn the_bounds_hold_whatever_is_done(steps in proptest::collection::vec((0u8..5, 0u64..20), 0..200)) {
            let mut pool = pool(3, 4);
            let mut held = Vec::new();
            let mut now = 0;
            for (step, seconds) in steps {
                now += seconds * SECOND;
                match step {
                    0 => held.extend(pool.permit()),
                    1 => held.extend(pool.check_out(now).map(|out| out.permit)),
                    2 => { held.pop(); }
                    3 => if let Some(permit) = held.pop() {
                        let _ = pool.check_in(1, permit, now);
                    },
                    _ => { pool.sweep(now); }
                }
                prop_assert!(pool.idle() <= 3);
                prop_assert!(pool.active() <= 4);
                prop_assert_eq!(pool.active(), held.len());
            }
        }
    }
}

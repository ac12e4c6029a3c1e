//! Local rate limits: the generic cell rate algorithm, for one counter and for one counter per key.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use hashbrown::HashMap;

/// The most keys a [`KeyedRateLimiter`] remembers.
pub const MAX_KEYS: usize = 10_000;

/// How much may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests in each `per`; zero lets nothing through.
    pub requests: u32,
    /// The time they spread over; at least 1 ns for each request.
    pub per: Duration,
    /// Requests that may come at once after a pause; at least 1. Linkerd's tolerance of a second is a burst of the requests per second.
    pub burst: u32,
}

impl RateLimit {
    /// The time that one request uses up, rounded up so that never more pass than allowed.
    fn interval_ns(&self) -> u64 {
        let per = u64::try_from(self.per.as_nanos()).unwrap_or(u64::MAX);
        per.div_ceil(u64::from(self.requests.max(1))).max(1)
    }

    /// Decides on one request whose theoretical arrival time is `expected`: the next one's, or the nanoseconds to wait.
    #[inline]
    fn admit(&self, expected: u64, now: u64) -> Result<u64, u64> {
        if self.requests == 0 {
            return Err(u64::MAX);
        }
        let interval = self.interval_ns();
        let ahead = interval.saturating_mul(u64::from(self.burst.max(1) - 1));
        let earliest = expected.saturating_sub(ahead);
        if now < earliest {
            return Err(earliest - now);
        }
        Ok(expected.max(now).saturating_add(interval))
    }
}

/// The request is one too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rate limit reached, the next request fits in {retry_after_ns} ns")]
pub struct RateLimited {
    /// When one would fit, from now, in nanoseconds; `u64::MAX` means never.
    pub retry_after_ns: u64,
}

/// One counter.
#[derive(Debug)]
pub struct RateLimiter {
    limit: RateLimit,
    expected: Cell<u64>,
    limited: Cell<u64>,
}

impl RateLimiter {
    /// With the whole burst to spend.
    #[must_use]
    pub const fn new(limit: RateLimit) -> Self {
        Self {
            limit,
            expected: Cell::new(0),
            limited: Cell::new(0),
        }
    }

    /// Counts one request; an error when it is one too many, which then does not count.
    pub fn check(&self, now: u64) -> Result<(), RateLimited> {
        match self.limit.admit(self.expected.get(), now) {
            Ok(next) => {
                self.expected.set(next);
                Ok(())
            }
            Err(retry_after_ns) => Err(limited(&self.limited, retry_after_ns)),
        }
    }

    /// Requests refused since the beginning, for metrics.
    #[must_use]
    pub const fn limited(&self) -> u64 {
        self.limited.get()
    }
}

fn limited(count: &Cell<u64>, retry_after_ns: u64) -> RateLimited {
    count.set(count.get().saturating_add(1));
    RateLimited { retry_after_ns }
}

/// The theoretical arrival times by key.
type Expected = HashMap<u64, u64>;

/// One counter per key, such as the number of an identity.
///
/// At most [`MAX_KEYS`] keys are remembered, in two generations of half as many: when the younger is full, the older is forgotten. A
/// key seen among the last 5,000 different ones is therefore never forgotten; one that is starts again with its whole burst.
#[derive(Debug)]
pub struct KeyedRateLimiter {
    limit: RateLimit,
    young: RefCell<Expected>,
    old: RefCell<Expected>,
    limited: Cell<u64>,
}

impl KeyedRateLimiter {
    /// Without any key, which allocates nothing.
    #[must_use]
    pub fn new(limit: RateLimit) -> Self {
        Self {
            limit,
            young: RefCell::default(),
            old: RefCell::default(),
            limited: Cell::new(0),
        }
    }

    /// Counts one request of `key`; an error when it is one too many, which then does not count.
    pub fn check(&self, key: u64, now: u64) -> Result<(), RateLimited> {
        let mut young = self.young.borrow_mut();
        let known = young.get(&key).copied();
        let expected = known.or_else(|| self.old.borrow_mut().remove(&key)).unwrap_or(0);
        let admitted = self.limit.admit(expected, now);
        if known.is_none() && young.len() >= MAX_KEYS / 2 {
            // Swapped and cleared, so that the memory of both is used again.
            let mut old = self.old.borrow_mut();
            std::mem::swap(&mut *old, &mut *young);
            young.clear();
        }
        young.insert(key, admitted.unwrap_or(expected));
        admitted
            .map(|_| ())
            .map_err(|retry_after_ns| limited(&self.limited, retry_after_ns))
    }

    /// Keys remembered.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.young.borrow().len() + self.old.borrow().len()
    }

    /// Requests refused since the beginning, for metrics.
    #[must_use]
    pub const fn limited(&self) -> u64 {
        self.limited.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;
    const SECOND: u64 = 1_000 * MS;

    const TEN_A_SECOND: RateLimit = RateLimit {
        requests: 10,
        per: Duration::from_secs(1),
        burst: 3,
    };

    #[test]
    fn after_the_burst_requests_pass_at_the_rate_and_the_refused_hear_when_to_come_again() {
        let limiter = RateLimiter::new(TEN_A_SECOND);
        let start = 5 * SECOND;
        for _ in 0..3 {
            assert_eq!(limiter.check(start), Ok(()));
        }
        let refused = |retry_after_ns| Err(RateLimited { retry_after_ns });
        assert_eq!(limiter.check(start), refused(100 * MS));
        assert_eq!(limiter.check(start + 99 * MS), refused(MS));
        assert_eq!(limiter.check(start + 100 * MS), Ok(()));
        assert_eq!(limiter.check(start + 100 * MS), refused(100 * MS));
        assert_eq!(limiter.limited(), 3);
    }

    #[test]
    fn a_pause_brings_back_the_burst_and_no_more() {
        let limiter = RateLimiter::new(TEN_A_SECOND);
        assert!(limiter.check(0).is_ok());
        let passed = (0..10).filter(|_| limiter.check(60 * SECOND).is_ok()).count();
        assert_eq!(passed, 3);
    }

    #[test]
    fn a_limit_of_zero_lets_nothing_through() {
        let limiter = RateLimiter::new(RateLimit {
            requests: 0,
            ..TEN_A_SECOND
        });
        assert!(limiter.check(u64::MAX).is_err());
    }

    #[test]
    fn one_key_that_is_over_its_limit_takes_nothing_from_another() {
        let limiter = KeyedRateLimiter::new(TEN_A_SECOND);
        let passed = |key| (0..10).filter(|_| limiter.check(key, SECOND).is_ok()).count();
        assert_eq!([passed(1), passed(2), passed(1)], [3, 3, 0]);
    }

    #[test]
    fn keys_are_bounded_and_those_in_use_are_not_forgotten() {
        let limiter = KeyedRateLimiter::new(TEN_A_SECOND);
        for _ in 0..3 {
            assert!(limiter.check(0, SECOND).is_ok());
        }
        for key in 1..100_000 {
            assert!(limiter.check(key, SECOND).is_ok());
            assert!(limiter.keys() <= MAX_KEYS);
            if key % 4_000 == 0 {
                assert!(limiter.check(0, SECOND).is_err(), "forgotten after {key}");
            }
        }
    }

    proptest! {
        #[test]
        fn in_no_stretch_of_time_pass_more_than_the_burst_and_the_rate_allow(
            requests in 1u32..2_000, burst in 1u32..50,
            gaps in proptest::collection::vec(0u64..3 * MS, 1..400)
        ) {
            let limit = RateLimit { requests, per: Duration::from_secs(1), burst };
            let limiter = RateLimiter::new(limit);
            let mut now = SECOND;
            let mut passed = Vec::new();
            for gap in gaps {
                now += gap;
                if limiter.check(now).is_ok() {
                    passed.push(now);
                }
            }
            for (first, &from) in passed.iter().enumerate() {
                for (last, &to) in passed.iter().enumerate().skip(first) {
                    let allowed = u64::from(burst) + (to - from) * u64::from(requests) / SECOND;
                    prop_assert!((last - first + 1) as u64 <= allowed);
                }
            }
        }
    }
}

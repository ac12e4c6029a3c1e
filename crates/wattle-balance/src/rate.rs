//! Local rate limits: the generic cell rate algorithm, for one counter and for one counter per key.
//!
//! The one part of this crate that threads share: what a workload takes is said of the whole process, and connections do
//! not spread evenly over its workers, so that neither a share for each worker nor the whole for each would hold. A
//! counter is one atomic word, a key one word more; nobody ever waits for another thread.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::random::mix;

/// The most keys a [`KeyedRateLimiter`] remembers.
pub const MAX_KEYS: usize = SETS * WAYS;

/// Sets of the table of keys, a power of two.
const SETS: usize = 2_048;
/// Keys of one set.
const WAYS: usize = 8;

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

/// A limit in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// What one request uses up, rounded up so that never more pass than allowed; `None` lets nothing through.
    interval: Option<u64>,
    /// How far ahead of time requests may come.
    ahead: u64,
}

impl Pace {
    fn of(limit: RateLimit) -> Self {
        let per = u64::try_from(limit.per.as_nanos()).unwrap_or(u64::MAX);
        let interval = per.div_ceil(u64::from(limit.requests.max(1))).max(1);
        Self {
            interval: (limit.requests > 0).then_some(interval),
            ahead: interval.saturating_mul(u64::from(limit.burst.max(1) - 1)),
        }
    }

    /// Decides on one request whose theoretical arrival time is `expected`: the next one's, or the nanoseconds to wait.
    #[inline]
    fn admit(&self, expected: u64, now: u64) -> Result<u64, u64> {
        let Some(interval) = self.interval else {
            return Err(u64::MAX);
        };
        let earliest = expected.saturating_sub(self.ahead);
        if now < earliest {
            return Err(earliest - now);
        }
        Ok(expected.max(now).saturating_add(interval))
    }

    /// Counts one request on a counter that other threads count on as well.
    fn count(&self, expected: &AtomicU64, now: u64) -> Result<(), RateLimited> {
        let next = |seen| self.admit(seen, now).ok();
        // Nothing else is published by the counter, so that its own order suffices.
        match expected.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) {
            Ok(_) => Ok(()),
            Err(seen) => Err(RateLimited {
                retry_after_ns: self.admit(seen, now).err().unwrap_or(0),
            }),
        }
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
    pace: Pace,
    expected: AtomicU64,
}

impl RateLimiter {
    /// With the whole burst to spend.
    #[must_use]
    pub fn new(limit: RateLimit) -> Self {
        Self {
            pace: Pace::of(limit),
            expected: AtomicU64::new(0),
        }
    }

    /// Counts one request; an error when it is one too many, which then does not count. `now` is of one clock for all threads.
    pub fn check(&self, now: u64) -> Result<(), RateLimited> {
        self.pace.count(&self.expected, now)
    }
}

/// A key and its counter; an empty one has neither.
#[derive(Debug, Default)]
struct Slot {
    key: AtomicU64,
    expected: AtomicU64,
}

/// One counter per key, such as the hash of an identity.
///
/// At most [`MAX_KEYS`] keys are remembered, eight of those that share a set. A key whose time has passed has its whole burst again, as
/// if it had never come, and gives up its place without loss; one that comes when all of its set are in use takes over the counter
/// that is soonest free, with what that owes, so that a flood of keys never lets more through. Two threads that meet a new key at
/// once may, very rarely, give it two counters for a while.
#[derive(Debug)]
pub struct KeyedRateLimiter {
    pace: Pace,
    slots: OnceLock<Box<[Slot]>>,
}

impl KeyedRateLimiter {
    /// Without any key, which allocates nothing.
    #[must_use]
    pub fn new(limit: RateLimit) -> Self {
        Self {
            pace: Pace::of(limit),
            slots: OnceLock::new(),
        }
    }

    /// Counts one request of `key`; an error when it is one too many, which then does not count. `now` is of one clock for all threads.
    pub fn check(&self, key: u64, now: u64) -> Result<(), RateLimited> {
        let slots = self
            .slots
            .get_or_init(|| std::iter::repeat_with(Slot::default).take(MAX_KEYS).collect());
        // Zero is the key of an empty slot.
        let key = key.max(1);
        let first = (mix(key) as usize & (SETS - 1)) * WAYS;
        let slot = slot_of(&slots[first..first + WAYS], key);
        self.pace.count(&slot.expected, now)
    }

    /// Keys remembered.
    #[must_use]
    pub fn keys(&self) -> usize {
        let used = |slot: &&Slot| slot.key.load(Ordering::Relaxed) != 0;
        self.slots
            .get()
            .map_or(0, |slots| slots.iter().filter(used).count())
    }
}

/// The key's slot, which it takes over from another where it has none.
fn slot_of(set: &[Slot], key: u64) -> &Slot {
    // Each round that fails is another thread's success; after a few of them a shared counter does as well.
    for _ in 0..WAYS {
        if let Some(known) = set.iter().find(|slot| slot.key.load(Ordering::Relaxed) == key) {
            return known;
        }
        let free = soonest_free(set);
        let old = free.key.load(Ordering::Relaxed);
        let taken = free
            .key
            .compare_exchange(old, key, Ordering::Relaxed, Ordering::Relaxed);
        if taken.is_ok() {
            return free;
        }
    }
    soonest_free(set)
}

fn soonest_free(set: &[Slot]) -> &Slot {
    set.iter()
        .min_by_key(|slot| slot.expected.load(Ordering::Relaxed))
        .unwrap_or(&set[0])
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
    fn keys_are_bounded_and_one_that_is_over_its_limit_is_not_forgotten_for_others_that_are_not() {
        let limiter = KeyedRateLimiter::new(TEN_A_SECOND);
        let mut now = SECOND;
        for key in 1..100_000 {
            // Each key that comes has recovered long before its set is full.
            now += MS;
            assert!(limiter.check(key, now).is_ok());
            while limiter.check(u64::MAX, now).is_ok() {}
            assert!(limiter.check(u64::MAX, now).is_err(), "forgotten after {key}");
        }
        assert!(limiter.keys() <= MAX_KEYS);
    }

    #[test]
    fn more_keys_at_once_than_are_remembered_never_let_through_more_than_as_many_bursts() {
        let limiter = KeyedRateLimiter::new(TEN_A_SECOND);
        let passed = (1..=400_000)
            .filter(|key| limiter.check(*key, SECOND).is_ok())
            .count();
        assert_eq!(passed, MAX_KEYS * 3);
    }

    #[test]
    fn threads_together_get_no_more_than_one_would() {
        let (one, keyed) = (
            RateLimiter::new(TEN_A_SECOND),
            KeyedRateLimiter::new(TEN_A_SECOND),
        );
        // The key is known before, as two that meet a new one may count it twice.
        assert!(keyed.check(7, SECOND).is_ok());
        let passed = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let both = |_: &u32| (one.check(SECOND).is_ok(), keyed.check(7, SECOND).is_ok());
                    for (first, second) in (0..1_000).map(|turn| both(&turn)) {
                        passed.fetch_add(u64::from(first) + u64::from(second), Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(passed.into_inner(), 3 + 2);
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

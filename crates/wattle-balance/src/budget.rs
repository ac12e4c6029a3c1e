//! Retry budgets: retries may add only so much to the load, so that an outage is not multiplied by every tier above it.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use crate::permit::{Gauge, Permit};

/// The steps in which a window moves on.
const SLOTS: usize = 10;

/// How many retries a backend may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryBudgetConfig {
    /// Retries at once as a share of the requests at once (Envoy's and Istio's form).
    Concurrent {
        /// Retries per hundred requests under way (Istio's `retryBudget.percent`); default 20.
        percent: u32,
        /// Retries at once that are always allowed (Istio's `minRetryConcurrency`); default 3.
        min_concurrency: u32,
        /// Requests begun in so long a time count beside those under way, whichever is more (Istio's `budgetInterval`); default zero.
        interval: Duration,
    },
    /// Retries as a share of the requests of a while (Linkerd's form, and that of GEP-3388).
    Windowed {
        /// Retries per hundred requests in the window (Linkerd's `retryRatio`, Gateway API's `budget.percent`); default 20.
        percent: u32,
        /// How long a request counts (Linkerd's `ttl`, Gateway API's `budget.interval`); default 10 s, at least 10 ns.
        window: Duration,
        /// Retries allowed in each `min_interval` on top (Linkerd's `minRetriesPerSecond`, Gateway API's `minRetryRate.count`); default 10.
        min_retries: u32,
        /// The time that `min_retries` refers to (Gateway API's `minRetryRate.interval`); default 1 s, at least 1 ns.
        min_interval: Duration,
    },
}

impl RetryBudgetConfig {
    /// Istio's defaults.
    #[must_use]
    pub const fn concurrent() -> Self {
        Self::Concurrent {
            percent: 20,
            min_concurrency: 3,
            interval: Duration::ZERO,
        }
    }

    /// Linkerd's and Gateway API's defaults.
    #[must_use]
    pub const fn windowed() -> Self {
        Self::Windowed {
            percent: 20,
            window: Duration::from_secs(10),
            min_retries: 10,
            min_interval: Duration::from_secs(1),
        }
    }

    const fn window(&self) -> Duration {
        match self {
            Self::Concurrent { interval, .. } => *interval,
            Self::Windowed { window, .. } => *window,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    /// Which step of time it counts, so that an old one is known as such.
    step: u64,
    requests: u64,
    retries: u64,
}

/// Requests and retries of the last while.
#[derive(Debug)]
struct Window {
    slots: RefCell<[Slot; SLOTS]>,
    /// One slot's share of the window; zero when nothing is to be remembered.
    step_ns: u64,
}

impl Window {
    fn new(length: Duration) -> Self {
        let length_ns = u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        Self {
            slots: RefCell::default(),
            step_ns: length_ns.div_ceil(SLOTS as u64),
        }
    }

    #[inline]
    fn count(&self, now: u64, add: impl FnOnce(&mut Slot)) {
        if self.step_ns == 0 {
            return;
        }
        // One more than the quotient, so that no step is that of a slot never used.
        let step = now / self.step_ns + 1;
        let slot = &mut self.slots.borrow_mut()[(step % SLOTS as u64) as usize];
        if slot.step != step {
            *slot = Slot {
                step,
                ..Slot::default()
            };
        }
        add(slot);
    }

    fn sum(&self, now: u64) -> (u64, u64) {
        if self.step_ns == 0 {
            return (0, 0);
        }
        let step = now / self.step_ns + 1;
        let recent = |slot: &&Slot| slot.step != 0 && step.saturating_sub(slot.step) < SLOTS as u64;
        let slots = self.slots.borrow();
        slots
            .iter()
            .filter(recent)
            .fold((0, 0), |(requests, retries), slot| {
                (requests + slot.requests, retries + slot.retries)
            })
    }
}

/// The retry budget of one backend in one worker.
#[derive(Debug)]
pub struct RetryBudget {
    config: RetryBudgetConfig,
    requests: Gauge,
    retries: Gauge,
    window: Window,
    exhausted: Cell<u64>,
}

impl RetryBudget {
    /// With nothing under way.
    #[must_use]
    pub fn new(config: RetryBudgetConfig) -> Self {
        Self {
            config,
            requests: Gauge::default(),
            retries: Gauge::default(),
            window: Window::new(config.window()),
            exhausted: Cell::new(0),
        }
    }

    /// Counts a request of a caller's, once however often it is retried, for as long as the permit is held.
    #[must_use]
    pub fn request(&self, now: u64) -> Permit {
        self.window.count(now, |slot| slot.requests += 1);
        self.requests.begin()
    }

    /// Allows a retry, to be held while it lasts; `None` when the budget is spent.
    #[must_use]
    pub fn try_retry(&self, now: u64) -> Option<Permit> {
        if !self.affords(now) {
            self.exhausted.set(self.exhausted.get().saturating_add(1));
            return None;
        }
        self.window.count(now, |slot| slot.retries += 1);
        Some(self.retries.begin())
    }

    /// Retries refused since the beginning, for metrics.
    #[must_use]
    pub const fn exhausted(&self) -> u64 {
        self.exhausted.get()
    }

    /// Retries under way.
    #[must_use]
    pub fn retries(&self) -> usize {
        self.retries.count()
    }

    fn affords(&self, now: u64) -> bool {
        let (requests, retries) = self.window.sum(now);
        match self.config {
            RetryBudgetConfig::Concurrent {
                percent,
                min_concurrency,
                ..
            } => {
                let base = requests.max(self.requests.count() as u64);
                let allowed = share(base, percent).max(u64::from(min_concurrency));
                (self.retries.count() as u64) < allowed
            }
            RetryBudgetConfig::Windowed {
                percent,
                window,
                min_retries,
                min_interval,
            } => {
                let reserve = u128::from(min_retries) * window.as_nanos() / min_interval.as_nanos().max(1);
                u128::from(retries) < u128::from(share(requests, percent)) + reserve
            }
        }
    }
}

fn share(requests: u64, percent: u32) -> u64 {
    requests.saturating_mul(u64::from(percent)) / 100
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MS: u64 = 1_000_000;
    const SECOND: u64 = 1_000 * MS;

    fn taken(budget: &RetryBudget, now: u64) -> Vec<Permit> {
        std::iter::from_fn(|| budget.try_retry(now)).take(1_000).collect()
    }

    #[test]
    fn a_fifth_of_the_requests_under_way_may_be_retries_and_three_always() {
        let budget = RetryBudget::new(RetryBudgetConfig::concurrent());
        assert_eq!(taken(&budget, 0).len(), 3);
        let requests: Vec<_> = (0..100).map(|_| budget.request(0)).collect();
        let retries = taken(&budget, 0);
        assert_eq!(retries.len(), 20);
        assert_eq!(budget.exhausted(), 2);
        drop(retries);
        assert_eq!(taken(&budget, 0).len(), 20);
        drop(requests);
        assert_eq!(taken(&budget, 0).len(), 3);
    }

    #[test]
    fn with_an_interval_the_requests_of_that_time_count_too() {
        let budget = RetryBudget::new(RetryBudgetConfig::Concurrent {
            percent: 20,
            min_concurrency: 3,
            interval: Duration::from_secs(1),
        });
        for _ in 0..100 {
            drop(budget.request(0));
        }
        assert_eq!(taken(&budget, 900 * MS).len(), 20);
        assert_eq!(taken(&budget, 2 * SECOND).len(), 3);
    }

    #[test]
    fn over_a_window_retries_are_spent_and_come_back_when_it_has_passed() {
        let budget = RetryBudget::new(RetryBudgetConfig::windowed());
        for step in 0..1_000 {
            drop(budget.request(step * MS));
        }
        assert_eq!(taken(&budget, SECOND).len(), 200 + 100);
        assert!(budget.try_retry(5 * SECOND).is_none());
        assert_eq!(taken(&budget, 30 * SECOND).len(), 100);
    }

    /// One tier that tries each request up to three more times as its budget allows.
    fn attempts(budget: &RetryBudget, now: u64, below: &mut dyn FnMut() -> bool) -> bool {
        let _request = budget.request(now);
        (0..4).any(|attempt| {
            let _retry = match attempt {
                0 => None,
                _ => match budget.try_retry(now) {
                    Some(permit) => Some(permit),
                    None => return false,
                },
            };
            below()
        })
    }

    #[test]
    fn three_tiers_above_a_dead_backend_add_a_fifth_each_instead_of_multiplying_by_64() {
        let without_reserve = RetryBudgetConfig::Windowed {
            percent: 20,
            window: Duration::from_secs(10),
            min_retries: 0,
            min_interval: Duration::from_secs(1),
        };
        let tiers: Vec<_> = (0..3).map(|_| RetryBudget::new(without_reserve)).collect();
        let mut arrived = [0u64; 3];
        for request in 0..10_000u64 {
            let now = request * MS / 2;
            attempts(&tiers[0], now, &mut || {
                arrived[0] += 1;
                attempts(&tiers[1], now, &mut || {
                    arrived[1] += 1;
                    attempts(&tiers[2], now, &mut || {
                        arrived[2] += 1;
                        false
                    })
                })
            });
        }
        let mut offered = 10_000;
        for tier in arrived {
            assert!(tier <= offered * 12 / 10, "{arrived:?}");
            assert!(tier >= offered * 119 / 100, "{arrived:?}");
            offered = tier;
        }
    }

    proptest! {
        #[test]
        fn retries_at_once_never_exceed_the_share_or_the_minimum(
            steps in proptest::collection::vec(0u8..5, 0..300)
        ) {
            let budget = RetryBudget::new(RetryBudgetConfig::concurrent());
            let (mut requests, mut retries) = (Vec::new(), Vec::new());
            for step in steps {
                match step {
                    0 | 1 => requests.push(budget.request(0)),
                    2 => { requests.pop(); }
                    3 => { retries.pop(); }
                    _ => {
                        let allowed = (requests.len() / 5).max(3);
                        let permit = budget.try_retry(0);
                        prop_assert_eq!(permit.is_some(), retries.len() < allowed);
                        retries.extend(permit);
                    }
                }
                prop_assert_eq!(budget.retries(), retries.len());
            }
        }
    }
}

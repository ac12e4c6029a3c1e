//! How long an endpoint takes to answer, as an average that believes bad news at once and good news slowly.

use std::cell::Cell;
use std::time::Duration;

/// The most failures that weigh on an endpoint at once, so that it is forgiven in bounded time.
const MAX_FAILURES: f64 = 20.0;

/// What one success leaves of the failures before it: ten successes forgive two thirds.
const FORGIVENESS: f64 = 0.9;

/// No estimate goes below this, in nanoseconds, so that load still counts between endpoints that answer in no time.
const FLOOR_NS: f64 = 1_000.0;

/// How latency is averaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EwmaConfig {
    /// The time in which an old observation loses 63% of its weight; default 10 s, at least 1 ms.
    pub decay: Duration,
    /// What a new endpoint is taken to need until it has answered once; default 30 ms.
    pub initial: Duration,
}

impl Default for EwmaConfig {
    fn default() -> Self {
        Self {
            decay: Duration::from_secs(10),
            initial: Duration::from_millis(30),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct State {
    latency_ns: f64,
    failures: f64,
    updated_ns: u64,
    measured: bool,
}

/// The running estimate of one endpoint.
#[derive(Debug)]
pub(crate) struct Ewma {
    state: Cell<State>,
    decay_ns: f64,
}

impl Ewma {
    pub(crate) fn new(config: &EwmaConfig, now: u64) -> Self {
        Self {
            state: Cell::new(State {
                latency_ns: config.initial.as_nanos() as f64,
                failures: 0.0,
                updated_ns: now,
                measured: false,
            }),
            decay_ns: config.decay.max(Duration::from_millis(1)).as_nanos() as f64,
        }
    }

    /// Counts an answer: a peak is taken at once, anything lower sinks in over the decay time.
    pub(crate) fn success(&self, latency_ns: u64, now: u64) {
        let mut state = self.state.get();
        let kept = self.kept(&state, now);
        let latency = latency_ns as f64;
        state.latency_ns = if state.measured && latency < state.latency_ns {
            state.latency_ns * kept + latency * (1.0 - kept)
        } else {
            latency
        };
        state.failures *= kept * FORGIVENESS;
        state.measured = true;
        self.store(state, now);
    }

    /// Counts a failure: how quickly it came is no merit, only how long it took can count against the endpoint.
    pub(crate) fn failure(&self, latency_ns: u64, now: u64) {
        let mut state = self.state.get();
        let kept = self.kept(&state, now);
        state.latency_ns = (state.latency_ns * kept).max(latency_ns as f64);
        state.failures = (state.failures * kept + 1.0).min(MAX_FAILURES);
        state.measured = true;
        self.store(state, now);
    }

    /// Counts a request that was given up: the endpoint takes at least as long as was waited.
    pub(crate) fn cancelled(&self, waited_ns: u64, now: u64) {
        let mut state = self.state.get();
        let kept = self.kept(&state, now);
        if waited_ns as f64 > state.latency_ns * kept {
            state.latency_ns = waited_ns as f64;
            state.failures *= kept;
            state.measured = true;
            self.store(state, now);
        }
    }

    /// The estimate in nanoseconds with failures weighed in; it sinks with time so that a shunned endpoint is tried again.
    #[inline]
    pub(crate) fn estimate(&self, now: u64) -> f64 {
        let state = self.state.get();
        let kept = self.kept(&state, now);
        let failures = state.failures * kept;
        (state.latency_ns * kept).max(FLOOR_NS) * (1.0 + failures * failures)
    }

    /// Whether the endpoint has ever answered or failed.
    #[inline]
    pub(crate) fn is_measured(&self) -> bool {
        self.state.get().measured
    }

    fn store(&self, mut state: State, now: u64) {
        // Answers may be recorded out of order; time never runs back.
        state.updated_ns = state.updated_ns.max(now);
        self.state.set(state);
    }

    /// What is left of the weight of the past at `now`.
    #[inline]
    fn kept(&self, state: &State, now: u64) -> f64 {
        let age = now.saturating_sub(state.updated_ns) as f64 / self.decay_ns;
        // Under load the age is tiny and two terms of the series are exact to a millionth.
        if age < 0.015_625 {
            1.0 - age + age * age * 0.5
        } else {
            (-age).exp()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const SECOND: u64 = 1_000 * MS;

    fn near(left: f64, right: f64) -> bool {
        (left - right).abs() <= right * 0.01
    }

    #[test]
    fn a_new_endpoint_is_taken_to_need_the_initial_time_until_its_first_answer() {
        let ewma = Ewma::new(&EwmaConfig::default(), 0);
        assert!(near(ewma.estimate(0), 30e6));
        ewma.success(2 * MS, MS);
        assert!(near(ewma.estimate(MS), 2e6));
    }

    #[test]
    fn a_peak_is_believed_at_once_and_forgotten_over_the_decay_time() {
        let ewma = Ewma::new(&EwmaConfig::default(), 0);
        ewma.success(2 * MS, 0);
        ewma.success(800 * MS, MS);
        assert!(near(ewma.estimate(MS), 800e6));
        ewma.success(2 * MS, 10 * SECOND + MS);
        let expected = 800e6 * (-1f64).exp() + 2e6 * (1.0 - (-1f64).exp());
        assert!(near(ewma.estimate(10 * SECOND + MS), expected));
    }

    #[test]
    fn a_fast_failure_makes_an_endpoint_less_attractive_not_more() {
        let ewma = Ewma::new(&EwmaConfig::default(), 0);
        ewma.success(20 * MS, 0);
        let before = ewma.estimate(MS);
        ewma.failure(1_000, MS);
        assert!(ewma.estimate(MS) >= before * 1.9);
    }

    #[test]
    fn rare_failures_weigh_little_and_constant_ones_weigh_heavily_but_boundedly() {
        let rare = Ewma::new(&EwmaConfig::default(), 0);
        let constant = Ewma::new(&EwmaConfig::default(), 0);
        constant.success(MS, 0);
        for step in 1..10_000 {
            let now = step * MS;
            if step % 100 == 0 {
                rare.failure(MS, now);
            } else {
                rare.success(MS, now);
            }
            constant.failure(MS, now);
        }
        let now = 10_000 * MS;
        assert!(rare.estimate(now) < 3e6, "{}", rare.estimate(now));
        assert!(constant.estimate(now) > 300e6);
        assert!(constant.estimate(now) < 500e6);
        assert!(constant.estimate(now + 60 * SECOND) < 1.1e6);
    }

    #[test]
    fn a_request_given_up_after_a_long_wait_raises_the_estimate_and_a_short_one_changes_nothing() {
        let ewma = Ewma::new(&EwmaConfig::default(), 0);
        ewma.success(2 * MS, 0);
        ewma.cancelled(MS, 0);
        assert!(near(ewma.estimate(0), 2e6));
        ewma.cancelled(500 * MS, 0);
        assert!(near(ewma.estimate(0), 500e6));
    }

    #[test]
    fn a_clock_that_seems_to_run_back_does_no_harm() {
        let ewma = Ewma::new(&EwmaConfig::default(), SECOND);
        ewma.success(2 * MS, 5 * SECOND);
        ewma.success(MS, 0);
        let estimate = ewma.estimate(0);
        assert!(estimate.is_finite() && estimate > 0.0);
    }
}

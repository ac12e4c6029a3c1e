//! Whether an endpoint is fit to be asked, judged by how its requests ended.

use std::cell::Cell;
use std::time::Duration;

use crate::outlier::nanos;
use crate::picked::Outcome;
use crate::random::scale;

/// When an endpoint is taken out and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthConfig {
    /// Connect failures in a row that take an endpoint out; default 1, zero means never.
    pub connect_failures: u32,
    /// Failures in a row, of any sort, that take an endpoint out (Linkerd's `max-failures`); default 0, which means never.
    pub failures: u32,
    /// The first time out (Linkerd's `min-penalty`); default 100 ms, doubled by each failed probe, give or take the jitter.
    pub backoff: Duration,
    /// The longest time out (Linkerd's `max-penalty`); default 10 s, give or take the jitter.
    pub max_backoff: Duration,
    /// By how many percent of itself a time out is longer or shorter at random (Linkerd's `jitter-ratio`); default 20, at most 100.
    pub jitter_percent: u32,
}

impl HealthConfig {
    /// Linkerd's failure accrual `consecutive` with its defaults: 7 failures, 1 s to 60 s, jitter 50%.
    ///
    /// A refused connection is a failure like any other. Linkerd only ever lengthens a time by its jitter.
    #[must_use]
    pub const fn consecutive() -> Self {
        Self {
            connect_failures: 0,
            failures: 7,
            backoff: Duration::from_secs(1),
            max_backoff: Duration::from_secs(60),
            jitter_percent: 50,
        }
    }
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            connect_failures: 1,
            failures: 0,
            backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(10),
            jitter_percent: 20,
        }
    }
}

/// What is thought of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It is asked like any other.
    Healthy,
    /// It is out until its backoff ends, or until the probe under way has ended, or while it is ejected.
    Out,
    /// Its backoff has ended: one request may try it.
    ProbeDue,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Healthy {
        connect_failures: u32,
        failures: u32,
    },
    Out {
        since: u64,
        until: u64,
        backoff_ns: u64,
        probing: bool,
    },
}

const FRESH: State = State::Healthy {
    connect_failures: 0,
    failures: 0,
};

/// How a request ended, with what judging it needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    pub(crate) probe: bool,
    pub(crate) picked_at: u64,
    pub(crate) now: u64,
    pub(crate) random: u64,
}

/// The health of one endpoint.
#[derive(Debug)]
pub(crate) struct Record {
    state: Cell<State>,
}

impl Record {
    pub(crate) const fn new() -> Self {
        Self {
            state: Cell::new(FRESH),
        }
    }

    #[inline]
    pub(crate) const fn is_healthy(&self) -> bool {
        matches!(self.state.get(), State::Healthy { .. })
    }

    /// When a probe is due, if it is out and no probe is under way.
    pub(crate) const fn probe_at(&self) -> Option<u64> {
        match self.state.get() {
            State::Out {
                until,
                probing: false,
                ..
            } => Some(until),
            State::Out { .. } | State::Healthy { .. } => None,
        }
    }

    #[inline]
    pub(crate) fn at(&self, now: u64) -> Health {
        match self.state.get() {
            State::Healthy { .. } => Health::Healthy,
            State::Out { until, probing, .. } if now >= until && !probing => Health::ProbeDue,
            State::Out { .. } => Health::Out,
        }
    }

    /// Reserves the one probe; false when the endpoint is not waiting for any.
    pub(crate) fn begin_probe(&self, now: u64) -> bool {
        let due = self.at(now) == Health::ProbeDue;
        if due {
            self.set_probing(true);
        }
        due
    }

    pub(crate) fn ended(&self, ended: &Ended, config: &HealthConfig) {
        if ended.probe {
            self.set_probing(false);
        }
        match verdict(ended.outcome, config) {
            Some(true) => self.succeeded(ended),
            Some(false) => self.failed(ended, config),
            None => {}
        }
    }

    fn succeeded(&self, ended: &Ended) {
        match self.state.get() {
            // A request that was already under way when the endpoint went out proves nothing about it now.
            State::Out { since, .. } if ended.picked_at < since => {}
            State::Out { .. } | State::Healthy { .. } => self.state.set(FRESH),
        }
    }

    fn failed(&self, ended: &Ended, config: &HealthConfig) {
        match self.state.get() {
            State::Healthy {
                connect_failures,
                failures,
            } => {
                let connect = u32::from(ended.outcome == Outcome::ConnectFailure);
                self.strike(
                    connect_failures.saturating_add(connect),
                    failures.saturating_add(1),
                    ended,
                    config,
                );
            }
            // Requests that fail together are one event: only what was tried after the backoff lengthens it.
            State::Out {
                until, backoff_ns, ..
            } if ended.probe || ended.picked_at >= until => {
                self.go_out(backoff_ns.saturating_mul(2), ended, config);
            }
            State::Out { .. } => {}
        }
    }

    fn strike(&self, connect_failures: u32, failures: u32, ended: &Ended, config: &HealthConfig) {
        let reached = |count: u32, limit: u32| limit > 0 && count >= limit;
        if reached(connect_failures, config.connect_failures) || reached(failures, config.failures) {
            self.go_out(nanos(config.backoff), ended, config);
        } else {
            self.state.set(State::Healthy {
                connect_failures,
                failures,
            });
        }
    }

    fn go_out(&self, backoff_ns: u64, ended: &Ended, config: &HealthConfig) {
        let backoff_ns = backoff_ns.min(nanos(config.max_backoff)).max(1);
        self.state.set(State::Out {
            since: ended.now,
            until: ended
                .now
                .saturating_add(jittered(backoff_ns, config.jitter_percent, ended.random)),
            backoff_ns,
            probing: false,
        });
    }

    fn set_probing(&self, value: bool) {
        let mut state = self.state.get();
        if let State::Out { probing, .. } = &mut state {
            *probing = value;
        }
        self.state.set(state);
    }
}

/// Whether an outcome speaks for the endpoint, against it, or neither.
const fn verdict(outcome: Outcome, config: &HealthConfig) -> Option<bool> {
    match outcome {
        // To be asked for patience is an answer.
        Outcome::Success | Outcome::Backpressure => Some(true),
        Outcome::ConnectFailure => Some(false),
        // It was reached, which is all that is asked of it when failures are not counted.
        Outcome::ServerError | Outcome::GatewayError | Outcome::Failure => Some(config.failures == 0),
        Outcome::Cancelled => None,
    }
}

/// A time made longer or shorter by up to so many percent, so that workers do not probe in step.
fn jittered(backoff_ns: u64, percent: u32, random: u64) -> u64 {
    let part = (u128::from(backoff_ns) * u128::from(percent.min(100)) / 100) as u64;
    (backoff_ns - part).saturating_add(scale(random, part.saturating_mul(2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn ended(outcome: Outcome, now: u64) -> Ended {
        Ended {
            outcome,
            probe: false,
            picked_at: now,
            now,
            random: u64::MAX / 2,
        }
    }

    /// A record with the config it is judged by.
    struct Judged(Record, HealthConfig);

    impl Judged {
        fn ended(&self, ended: &Ended) {
            self.0.ended(ended, &self.1);
        }

        fn at(&self, now: u64) -> Health {
            self.0.at(now)
        }

        fn begin_probe(&self, now: u64) -> bool {
            self.0.begin_probe(now)
        }
    }

    fn record() -> Judged {
        Judged(Record::new(), HealthConfig::default())
    }

    fn probe(outcome: Outcome, now: u64) -> Ended {
        Ended {
            probe: true,
            ..ended(outcome, now)
        }
    }

    #[test]
    fn a_connect_failure_takes_an_endpoint_out_for_the_backoff_then_lets_one_probe_through() {
        let record = record();
        record.ended(&ended(Outcome::ConnectFailure, 0));
        assert_eq!(record.at(79 * MS), Health::Out);
        assert_eq!(record.at(120 * MS), Health::ProbeDue);
        assert!(record.begin_probe(120 * MS));
        assert_eq!(record.at(120 * MS), Health::Out);
        assert!(!record.begin_probe(120 * MS));
        record.ended(&probe(Outcome::Success, 121 * MS));
        assert_eq!(record.at(121 * MS), Health::Healthy);
    }

    #[test]
    fn each_failed_probe_doubles_the_backoff_up_to_its_maximum() {
        let record = record();
        record.ended(&ended(Outcome::ConnectFailure, 0));
        let (mut now, mut expected) = (0, 100 * MS);
        for _ in 0..12 {
            assert_eq!(record.at(now + expected * 79 / 100), Health::Out);
            now += expected * 121 / 100;
            assert!(record.begin_probe(now));
            record.ended(&probe(Outcome::ConnectFailure, now));
            expected = (expected * 2).min(10_000 * MS);
        }
    }

    #[test]
    fn a_burst_of_connect_failures_is_one_event() {
        let record = record();
        for _ in 0..50 {
            record.ended(&ended(Outcome::ConnectFailure, MS));
        }
        assert_eq!(record.at(122 * MS), Health::ProbeDue);
    }

    #[test]
    fn an_old_request_that_succeeds_late_does_not_bring_an_endpoint_back() {
        let record = record();
        record.ended(&ended(Outcome::ConnectFailure, 10 * MS));
        record.ended(&Ended {
            picked_at: 5 * MS,
            ..ended(Outcome::Success, 20 * MS)
        });
        assert_eq!(record.at(20 * MS), Health::Out);
    }

    #[test]
    fn a_probe_that_is_given_up_leaves_room_for_the_next() {
        let record = record();
        record.ended(&ended(Outcome::ConnectFailure, 0));
        assert!(record.begin_probe(200 * MS));
        record.ended(&probe(Outcome::Cancelled, 201 * MS));
        assert_eq!(record.at(201 * MS), Health::ProbeDue);
    }

    #[test]
    fn failures_count_only_when_asked_for_and_only_in_a_row() {
        let lenient = record();
        let strict = Judged(
            Record::new(),
            HealthConfig {
                failures: 3,
                ..HealthConfig::default()
            },
        );
        for outcome in [
            Outcome::Failure,
            Outcome::Failure,
            Outcome::Success,
            Outcome::Failure,
            Outcome::Failure,
        ] {
            lenient.ended(&ended(outcome, 0));
            strict.ended(&ended(outcome, 0));
        }
        assert_eq!(strict.at(0), Health::Healthy);
        lenient.ended(&ended(Outcome::Failure, 0));
        strict.ended(&ended(Outcome::Failure, 0));
        assert_eq!(lenient.at(0), Health::Healthy);
        assert_eq!(strict.at(0), Health::Out);
    }

    #[test]
    fn failure_accrual_as_linkerd_has_it_takes_seven_failures_in_a_row_and_backs_off_from_1_s_to_60_s() {
        let record = Judged(Record::new(), HealthConfig::consecutive());
        let sorts = [
            Outcome::ServerError,
            Outcome::GatewayError,
            Outcome::ConnectFailure,
            Outcome::Failure,
        ];
        for index in 0..6 {
            record.ended(&ended(sorts[index % 4], 0));
        }
        record.ended(&ended(Outcome::Backpressure, 0));
        for index in 0..7 {
            assert_eq!(record.at(0), Health::Healthy);
            record.ended(&ended(sorts[index % 4], 0));
        }
        let (mut now, mut expected) = (0, 1_000 * MS);
        for _ in 0..8 {
            assert_eq!(record.at(now + expected / 2 - 1), Health::Out);
            now += expected * 3 / 2;
            assert!(record.begin_probe(now));
            record.ended(&probe(Outcome::ServerError, now));
            expected = (expected * 2).min(60_000 * MS);
        }
        assert!(record.begin_probe(now + 90_000 * MS));
        record.ended(&probe(Outcome::Success, now + 90_000 * MS));
        assert_eq!(record.at(now + 90_000 * MS), Health::Healthy);
    }

    #[test]
    fn the_usual_jitter_is_a_fifth_either_way() {
        let table = [(0, 80), (u64::MAX / 2, 99), (u64::MAX, 119)];
        for (random, wanted) in table {
            assert_eq!(jittered(100, 20, random), wanted);
        }
        assert_eq!(jittered(u64::MAX, 1_000, u64::MAX), u64::MAX - 1);
    }
}

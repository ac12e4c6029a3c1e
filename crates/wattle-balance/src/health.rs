//! Whether an endpoint is fit to be asked, judged by how its requests ended.

use std::cell::Cell;
use std::time::Duration;

use crate::picked::Outcome;
use crate::random::scale;

/// When an endpoint is taken out and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HealthConfig {
    /// Connect failures in a row that take an endpoint out; default 1, zero means never.
    pub connect_failures: u32,
    /// Failures in a row, of any sort, that take an endpoint out; default 0, which means never (Istio's `outlierDetection` is off by default).
    pub failures: u32,
    /// The first time out; default 100 ms, doubled by each failed probe, give or take a fifth.
    pub backoff: Duration,
    /// The longest time out; default 10 s, give or take a fifth.
    pub max_backoff: Duration,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            connect_failures: 1,
            failures: 0,
            backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(10),
        }
    }
}

/// What is thought of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It is asked like any other.
    Healthy,
    /// It is out until its backoff ends, or until the probe under way has ended.
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
    config: HealthConfig,
}

impl Record {
    pub(crate) const fn new(config: HealthConfig) -> Self {
        Self {
            state: Cell::new(FRESH),
            config,
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

    pub(crate) fn ended(&self, ended: &Ended) {
        if ended.probe {
            self.set_probing(false);
        }
        match self.verdict(ended.outcome) {
            Some(true) => self.succeeded(ended),
            Some(false) => self.failed(ended),
            None => {}
        }
    }

    /// Whether an outcome speaks for the endpoint, against it, or neither.
    const fn verdict(&self, outcome: Outcome) -> Option<bool> {
        match outcome {
            Outcome::Success => Some(true),
            Outcome::ConnectFailure => Some(false),
            // It was reached, which is all that is asked of it when failures are not counted.
            Outcome::Failure => Some(self.config.failures == 0),
            Outcome::Cancelled => None,
        }
    }

    fn succeeded(&self, ended: &Ended) {
        match self.state.get() {
            // A request that was already under way when the endpoint went out proves nothing about it now.
            State::Out { since, .. } if ended.picked_at < since => {}
            State::Out { .. } | State::Healthy { .. } => self.state.set(FRESH),
        }
    }

    fn failed(&self, ended: &Ended) {
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
                );
            }
            // Requests that fail together are one event: only what was tried after the backoff lengthens it.
            State::Out {
                until, backoff_ns, ..
            } if ended.probe || ended.picked_at >= until => {
                self.go_out(backoff_ns.saturating_mul(2), ended);
            }
            State::Out { .. } => {}
        }
    }

    fn strike(&self, connect_failures: u32, failures: u32, ended: &Ended) {
        let reached = |count: u32, limit: u32| limit > 0 && count >= limit;
        if reached(connect_failures, self.config.connect_failures) || reached(failures, self.config.failures)
        {
            self.go_out(nanos(self.config.backoff), ended);
        } else {
            self.state.set(State::Healthy {
                connect_failures,
                failures,
            });
        }
    }

    fn go_out(&self, backoff_ns: u64, ended: &Ended) {
        let backoff_ns = backoff_ns.min(nanos(self.config.max_backoff)).max(1);
        self.state.set(State::Out {
            since: ended.now,
            until: ended.now.saturating_add(jittered(backoff_ns, ended.random)),
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

/// Four fifths to six fifths of a time, so that workers do not probe in step.
fn jittered(backoff_ns: u64, random: u64) -> u64 {
    let fifth = backoff_ns / 5;
    (backoff_ns - fifth).saturating_add(scale(random, fifth.saturating_mul(2)))
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
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

    fn probe(outcome: Outcome, now: u64) -> Ended {
        Ended {
            probe: true,
            ..ended(outcome, now)
        }
    }

    #[test]
    fn a_connect_failure_takes_an_endpoint_out_for_the_backoff_then_lets_one_probe_through() {
        let record = Record::new(HealthConfig::default());
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
        let record = Record::new(HealthConfig::default());
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
        let record = Record::new(HealthConfig::default());
        for _ in 0..50 {
            record.ended(&ended(Outcome::ConnectFailure, MS));
        }
        assert_eq!(record.at(122 * MS), Health::ProbeDue);
    }

    #[test]
    fn an_old_request_that_succeeds_late_does_not_bring_an_endpoint_back() {
        let record = Record::new(HealthConfig::default());
        record.ended(&ended(Outcome::ConnectFailure, 10 * MS));
        record.ended(&Ended {
            picked_at: 5 * MS,
            ..ended(Outcome::Success, 20 * MS)
        });
        assert_eq!(record.at(20 * MS), Health::Out);
    }

    #[test]
    fn a_probe_that_is_given_up_leaves_room_for_the_next() {
        let record = Record::new(HealthConfig::default());
        record.ended(&ended(Outcome::ConnectFailure, 0));
        assert!(record.begin_probe(200 * MS));
        record.ended(&probe(Outcome::Cancelled, 201 * MS));
        assert_eq!(record.at(201 * MS), Health::ProbeDue);
    }

    #[test]
    fn failures_count_only_when_asked_for_and_only_in_a_row() {
        let lenient = Record::new(HealthConfig::default());
        let strict = Record::new(HealthConfig {
            failures: 3,
            ..HealthConfig::default()
        });
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
}

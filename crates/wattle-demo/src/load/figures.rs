//! What the load counts, and the line it tells.

use super::histogram::Histogram;
use crate::upstream::excerpt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Different error texts that are kept.
const MAX_ERRORS: usize = 5;
/// Characters of an error text.
const MAX_ERROR_CHARS: usize = 240;
/// Phases that are told apart; what comes later counts to the last one.
const MAX_PHASES: usize = 32;
/// Versions of reviews that are told apart in one phase.
const MAX_VERSIONS: usize = 8;
/// The phase before anybody names one.
const FIRST_PHASE: &str = "start";

/// Figures since the start; one JSON object a line.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Seconds since the start.
    pub elapsed_s: f64,
    /// Requests answered, or given up.
    pub requests: u64,
    /// Those of them without a right answer.
    pub failures: u64,
    /// Turns at which too many requests were in work to make another; not among the requests.
    pub shed: u64,
    /// The first few different error texts.
    pub errors: Vec<String>,
    /// Median latency in ms, from when a request was due.
    pub p50_ms: f64,
    /// 99th percentile of latency in ms.
    pub p99_ms: f64,
    /// Answers by version of reviews that took part.
    pub reviews: BTreeMap<String, u64>,
    /// The same by phase, in the order they came; a request belongs to the phase it began in.
    pub phases: Vec<Phase>,
    /// Whether the load has ended and nothing more comes.
    pub last: bool,
}

/// Figures of one phase.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// Its name, from the phase file; `start` before there was one.
    pub name: String,
    /// When it began, in seconds since the start.
    pub since_s: f64,
    /// Requests answered, or given up.
    pub requests: u64,
    /// Those of them without a right answer.
    pub failures: u64,
    /// Answers by version of reviews that took part.
    pub reviews: BTreeMap<String, u64>,
}

impl Phase {
    /// The share of answers that this version of reviews took part in, 0 to 1; `None` where no version did.
    pub fn share(&self, version: &str) -> Option<f64> {
        let all: u64 = self.reviews.values().sum();
        let of_version = self.reviews.get(version).copied().unwrap_or(0);
        (all > 0).then(|| of_version as f64 / all as f64)
    }
}

/// The running count.
#[derive(Debug)]
pub(super) struct Count {
    start: Instant,
    latencies: Histogram,
    shed: u64,
    errors: Vec<String>,
    phases: Vec<Phase>,
}

impl Count {
    pub(super) fn new(start: Instant) -> Self {
        let first = Phase {
            name: FIRST_PHASE.to_owned(),
            ..Phase::default()
        };
        Self {
            start,
            latencies: Histogram::default(),
            shed: 0,
            errors: Vec::new(),
            phases: vec![first],
        }
    }

    /// The number of the phase that requests now belong to.
    pub(super) fn phase(&self) -> usize {
        self.phases.len() - 1
    }

    /// Begins a phase, if one is named.
    pub(super) fn enter(&mut self, name: Option<String>) {
        let Some(name) = name else { return };
        if self.phases.len() < MAX_PHASES {
            let since_s = self.start.elapsed().as_secs_f64();
            self.phases.push(Phase {
                name,
                since_s,
                ..Phase::default()
            });
        }
    }

    pub(super) fn shed(&mut self) {
        self.shed += 1;
    }

    /// Counts an answer with the version of reviews that took part, or a failure with its text.
    pub(super) fn add(&mut self, phase: usize, latency: Duration, outcome: Result<Option<String>, String>) {
        self.latencies.add(latency);
        let Some(phase) = self.phases.get_mut(phase) else {
            return;
        };
        phase.requests += 1;
        match outcome {
            Ok(Some(version))
                if phase.reviews.contains_key(&version) || phase.reviews.len() < MAX_VERSIONS =>
            {
                *phase.reviews.entry(version).or_default() += 1;
            }
            Ok(_) => {}
            Err(text) => {
                phase.failures += 1;
                self.keep(&text);
            }
        }
    }

    fn keep(&mut self, text: &str) {
        let text = excerpt(text, MAX_ERROR_CHARS);
        if self.errors.len() < MAX_ERRORS && !self.errors.contains(&text) {
            self.errors.push(text);
        }
    }

    pub(super) fn figures(&self, now: Instant) -> Figures {
        let mut reviews = BTreeMap::new();
        for (version, count) in self.phases.iter().flat_map(|phase| &phase.reviews) {
            *reviews.entry(version.clone()).or_default() += count;
        }
        Figures {
            elapsed_s: now.duration_since(self.start).as_secs_f64(),
            requests: self.phases.iter().map(|phase| phase.requests).sum(),
            failures: self.phases.iter().map(|phase| phase.failures).sum(),
            shed: self.shed,
            errors: self.errors.clone(),
            p50_ms: self.latencies.quantile_ms(0.50),
            p99_ms: self.latencies.quantile_ms(0.99),
            reviews,
            phases: self.phases.clone(),
            last: false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn version(text: &str) -> Result<Option<String>, String> {
        Ok(Some(text.to_owned()))
    }

    #[test]
    fn a_request_counts_to_the_phase_it_began_in() {
        let mut count = Count::new(Instant::now());
        let before = count.phase();
        count.enter(Some("half".to_owned()));
        count.add(before, Duration::from_millis(3), version("v1"));
        count.add(count.phase(), Duration::from_millis(3), version("v2"));
        count.add(count.phase(), Duration::from_millis(3), version("v1"));
        count.add(count.phase(), Duration::from_millis(3), Ok(None));
        let figures = count.figures(Instant::now());
        let named: Vec<_> = figures
            .phases
            .iter()
            .map(|phase| (phase.name.as_str(), phase.requests))
            .collect();
        assert_eq!(named, [("start", 1), ("half", 3)]);
        assert_eq!(figures.phases[1].share("v2"), Some(0.5));
        assert_eq!((figures.requests, figures.reviews["v1"]), (4, 2));
    }

    #[test]
    fn failures_are_counted_and_their_texts_kept_once_and_few() {
        let mut count = Count::new(Instant::now());
        for number in 0..40 {
            count.add(0, Duration::ZERO, Err(format!("web: trouble {}\n", number % 20)));
        }
        let figures = count.figures(Instant::now());
        assert_eq!(
            (figures.requests, figures.failures, figures.errors.len()),
            (40, 40, 5)
        );
        assert_eq!(figures.errors[0], "web: trouble 0");
    }

    #[test]
    fn phases_and_versions_are_bounded() {
        let mut count = Count::new(Instant::now());
        (0..100).for_each(|number| count.enter(Some(format!("p{number}"))));
        (0..100).for_each(|number| count.add(count.phase(), Duration::ZERO, version(&format!("v{number}"))));
        let figures = count.figures(Instant::now());
        assert_eq!(
            (figures.phases.len(), figures.reviews.len(), figures.requests),
            (32, 8, 100)
        );
    }

    #[test]
    fn a_line_is_read_back_as_it_was_told() {
        let mut count = Count::new(Instant::now());
        count.add(0, Duration::from_millis(7), version("v1"));
        let figures = count.figures(Instant::now());
        let line = serde_json::to_string(&figures).unwrap();
        assert!(!line.contains('\n'));
        assert_eq!(serde_json::from_str::<Figures>(&line).unwrap(), figures);
    }
}

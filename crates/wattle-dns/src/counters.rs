//! What was asked and how it went, for metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Counts since the start; written by the server, read by a scrape. Each number is right, together they may be a
/// moment apart.
#[derive(Debug, Default)]
pub struct Counters {
    requests: AtomicU64,
    answered: AtomicU64,
    forwarded: AtomicU64,
    failures: AtomicU64,
    overloaded: AtomicU64,
    dropped: AtomicU64,
    refused: AtomicU64,
    upstream_requests: AtomicU64,
    upstream_failures: AtomicU64,
    upstream_nanoseconds: AtomicU64,
}

/// The counts of one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Messages from clients, over UDP and TCP (Istio: `dns_requests_total`).
    pub requests: u64,
    /// Queries answered from the table, or without any resolver.
    pub answered: u64,
    /// Queries passed to a resolver.
    pub forwarded: u64,
    /// Forwarded queries that no resolver answered; the client got SERVFAIL.
    pub failures: u64,
    /// Queries and connections turned away because too many were open.
    pub overloaded: u64,
    /// Messages that were no queries.
    pub dropped: u64,
    /// Queries that nobody outside was asked, since the workload is kept to other names.
    pub refused: u64,
    /// Messages to resolvers, each try counted (Istio: `dns_upstream_requests_total`).
    pub upstream_requests: u64,
    /// Tries that failed or timed out (Istio: `dns_upstream_failures_total`).
    pub upstream_failures: u64,
    /// Sum of the time that answered tries took (Istio: `dns_upstream_request_duration_seconds`).
    pub upstream_latency: Duration,
}

/// One thing to count.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Event {
    Request,
    Answered,
    Forwarded,
    Failure,
    Overloaded,
    Dropped,
    Refused,
}

impl Counters {
    /// The counts now.
    #[must_use]
    pub fn read(&self) -> Counts {
        Counts {
            requests: self.requests.load(Relaxed),
            answered: self.answered.load(Relaxed),
            forwarded: self.forwarded.load(Relaxed),
            failures: self.failures.load(Relaxed),
            overloaded: self.overloaded.load(Relaxed),
            dropped: self.dropped.load(Relaxed),
            refused: self.refused.load(Relaxed),
            upstream_requests: self.upstream_requests.load(Relaxed),
            upstream_failures: self.upstream_failures.load(Relaxed),
            upstream_latency: Duration::from_nanos(self.upstream_nanoseconds.load(Relaxed)),
        }
    }

    pub(crate) fn count(&self, event: Event) {
        let counter = match event {
            Event::Request => &self.requests,
            Event::Answered => &self.answered,
            Event::Forwarded => &self.forwarded,
            Event::Failure => &self.failures,
            Event::Overloaded => &self.overloaded,
            Event::Dropped => &self.dropped,
            Event::Refused => &self.refused,
        };
        counter.fetch_add(1, Relaxed);
    }

    /// Counts one try at a resolver; `took` is how long its answer was waited for, if there was one.
    pub(crate) fn tried(&self, took: Option<Duration>) {
        self.upstream_requests.fetch_add(1, Relaxed);
        match took {
            Some(took) => {
                let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
                self.upstream_nanoseconds.fetch_add(nanoseconds, Relaxed);
            }
            None => {
                self.upstream_failures.fetch_add(1, Relaxed);
            }
        }
    }
}

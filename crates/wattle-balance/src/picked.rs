//! The choice of an endpoint as a guard: it counts the request in flight and learns how it ended.

use std::rc::Rc;

use crate::endpoints::Member;
use crate::health::Ended;

/// How a request to an endpoint ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered.
    Success,
    /// It was answered in a way that speaks against the endpoint, or broke off.
    Failure,
    /// No usable connection came about, so the request was never sent.
    ConnectFailure,
    /// It was given up for reasons of the caller's own.
    Cancelled,
}

/// One request's endpoint; in flight until dropped, and taken as cancelled when dropped without an outcome.
#[derive(Debug)]
pub struct Picked<T> {
    member: Rc<Member<T>>,
    picked_at: u64,
    random: u64,
    probe: bool,
    panic: bool,
    settled: bool,
}

impl<T> Picked<T> {
    pub(crate) fn new(member: &Rc<Member<T>>, picked_at: u64, random: u64) -> Self {
        let probe = member.health.begin_probe(picked_at);
        member.in_flight.set(member.in_flight.get().saturating_add(1));
        Self {
            member: Rc::clone(member),
            picked_at,
            random,
            probe,
            panic: false,
            settled: false,
        }
    }

    pub(crate) const fn in_panic(mut self) -> Self {
        self.panic = true;
        self
    }

    /// The endpoint.
    #[inline]
    pub const fn member(&self) -> &Rc<Member<T>> {
        &self.member
    }

    /// Whether it was taken although it is out, because every endpoint is.
    #[inline]
    pub const fn panic(&self) -> bool {
        self.panic
    }

    /// Whether this request is the one that tries an endpoint after its backoff.
    #[inline]
    pub const fn probe(&self) -> bool {
        self.probe
    }

    /// Records how the request ended and how long its answer took to begin; only the first outcome counts.
    ///
    /// The request stays in flight until the guard is dropped, so that a body that is still being sent counts as load.
    #[inline]
    pub fn outcome(&mut self, latency_ns: u64, outcome: Outcome) {
        if !self.settled {
            self.settled = true;
            self.settle(latency_ns, outcome);
        }
    }

    fn settle(&self, latency_ns: u64, outcome: Outcome) {
        let now = self.picked_at.saturating_add(latency_ns);
        match outcome {
            Outcome::Success => self.member.ewma.success(latency_ns, now),
            Outcome::Failure | Outcome::ConnectFailure => {
                self.member.ewma.failure(latency_ns, now);
            }
            Outcome::Cancelled => self.member.ewma.cancelled(latency_ns, now),
        }
        self.member.health.ended(&Ended {
            outcome,
            probe: self.probe,
            picked_at: self.picked_at,
            now,
            random: self.random,
        });
    }
}

impl<T> Drop for Picked<T> {
    fn drop(&mut self) {
        self.outcome(0, Outcome::Cancelled);
        // Never below zero: each guard added one when it was made and nothing else changes the count.
        self.member
            .in_flight
            .set(self.member.in_flight.get().saturating_sub(1));
    }
}

//! The choice of an endpoint as a guard: it counts the request in flight and learns how it ended.

use std::rc::Rc;

use crate::health::{Ended, Health};
use crate::member::Member;
use crate::permit::Permit;

/// How a request to an endpoint ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered, and not with one of the errors below.
    Success,
    /// It was answered with a 5xx other than a gateway error: reached and no slower for it, but a failure where those are counted.
    ServerError,
    /// It was answered with 502, 503 or 504, or gRPC's `UNAVAILABLE`.
    GatewayError,
    /// A failure of local origin after the connect: reset, broken off, or timed out.
    Failure,
    /// A failure of local origin before the request was sent: no usable connection came about.
    ConnectFailure,
    /// It was answered that there is too much to do: 429, or gRPC's `RESOURCE_EXHAUSTED`.
    ///
    /// The endpoint stays healthy and is no outlier, but costs more for a while: one answer doubles its cost, n in a row make it
    /// 1 + n² fold (n at most 20), and that fades over the decay time and with each success.
    Backpressure,
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
    permits: [Option<Permit>; MAX_PERMITS],
}

/// Permits of one request: of its backend's breaker, of the retry budget, of the connection.
const MAX_PERMITS: usize = 3;

impl<T> Picked<T> {
    pub(crate) fn new(member: &Rc<Member<T>>, picked_at: u64, random: u64, panic: bool) -> Self {
        // What is ejected as well is not probed, even when it is asked for lack of others.
        let probe = member.health(picked_at) == Health::ProbeDue && member.health.begin_probe(picked_at);
        member.in_flight.set(member.in_flight.get().saturating_add(1));
        Self {
            member: Rc::clone(member),
            picked_at,
            random,
            probe,
            panic,
            settled: false,
            permits: [const { None }; MAX_PERMITS],
        }
    }

    /// An endpoint that was chosen otherwise, such as for the session that a request belongs to.
    #[must_use]
    pub fn of(member: &Rc<Member<T>>, now: u64, random: u64) -> Self {
        Self::new(member, now, random, false)
    }

    /// The endpoint.
    #[inline]
    pub const fn member(&self) -> &Rc<Member<T>> {
        &self.member
    }

    /// When it was chosen, by the clock of who chose.
    #[inline]
    pub const fn picked_at(&self) -> u64 {
        self.picked_at
    }

    /// Whether health was disregarded in taking it, because too few endpoints are fit, see [`crate::Panic`].
    #[inline]
    pub const fn panic(&self) -> bool {
        self.panic
    }

    /// Whether this request is the one that tries an endpoint after its backoff.
    #[inline]
    pub const fn probe(&self) -> bool {
        self.probe
    }

    /// Keeps a permit for as long as the request is in flight; one more than there is room for is given up.
    pub fn attach(&mut self, permit: Permit) {
        if let Some(free) = self.permits.iter_mut().find(|held| held.is_none()) {
            *free = Some(permit);
        }
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
            Outcome::Success | Outcome::ServerError => self.member.ewma.success(latency_ns, now),
            Outcome::GatewayError | Outcome::Failure | Outcome::ConnectFailure | Outcome::Backpressure => {
                self.member.ewma.failure(latency_ns, now);
            }
            Outcome::Cancelled => self.member.ewma.cancelled(latency_ns, now),
        }
        self.member.ended(&Ended {
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

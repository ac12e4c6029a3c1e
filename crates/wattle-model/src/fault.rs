//! Faults that a route injects on purpose (Istio `fault`), before anything is sent.

use std::time::Duration;

use crate::Chance;
use crate::chance::{Draw, drawn};

/// Faults of a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// Requests that wait, and how long.
    pub delay: Option<(Chance, Duration)>,
    /// Requests that are answered with an error, after any delay.
    pub abort: Option<(Chance, Abort)>,
}

/// The error that is injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abort {
    /// This HTTP status, 200 to 599.
    Http(u16),
    /// This gRPC status, 0 to 16; HTTP requests get what it maps to.
    Grpc(u8),
}

impl Fault {
    /// What happens to one request: how long it waits, and the error it gets.
    pub fn strikes(&self, random: u64) -> (Option<Duration>, Option<Abort>) {
        let delay = self
            .delay
            .filter(|(chance, _)| chance.happens(drawn(random, Draw::Delay, 0)));
        let abort = self
            .abort
            .filter(|(chance, _)| chance.happens(drawn(random, Draw::Abort, 0)));
        (delay.map(|(_, delay)| delay), abort.map(|(_, abort)| abort))
    }
}

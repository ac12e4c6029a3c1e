//! Keep-alive by PING: a peer that does not answer is dead.

use crate::Limits;
use crate::h1::Timer;
use h2::{Ping, PingPong};
use std::task::{Context, Poll};
use std::time::Duration;

/// Nothing unless an interval is set.
pub(super) struct KeepAlive(Option<Pinging>);

struct Pinging {
    pings: PingPong,
    interval: Duration,
    timeout: Duration,
    timer: Timer,
    waiting: bool,
}

impl KeepAlive {
    pub(super) fn new(limits: &Limits, pings: Option<PingPong>) -> Self {
        let Some((interval, pings)) = limits.ping_interval.zip(pings) else {
            return Self(None);
        };
        let mut timer = Timer::default();
        timer.set(Some(interval));
        Self(Some(Pinging {
            pings,
            interval,
            timeout: limits.ping_timeout,
            timer,
            waiting: false,
        }))
    }

    /// Ready when a PING went unanswered.
    pub(super) fn poll_dead(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Some(pinging) => pinging.poll(cx),
            None => Poll::Pending,
        }
    }
}

impl Pinging {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.waiting && self.pings.poll_pong(cx).is_ready() {
                self.waiting = false;
                self.timer.set(Some(self.interval));
            }
            match self.timer.poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) if self.waiting => return Poll::Ready(()),
                Poll::Ready(()) => {
                    // A connection that is closing takes no PING and needs none.
                    self.waiting = self.pings.send_ping(Ping::opaque()).is_ok();
                    self.timer
                        .set(Some(if self.waiting { self.timeout } else { self.interval }));
                }
            }
        }
    }
}

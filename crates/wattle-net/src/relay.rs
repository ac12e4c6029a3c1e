//! Carrying bytes both ways between two streams until both directions have ended.

mod copy;
mod splice;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::drain::{Draining, Phase};
use crate::stream::Stream;
use copy::{Direction, Fault};

/// What bounds a relay.
#[derive(Default)]
pub struct RelayOptions {
    /// Ends the relay when no byte moved either way for so long. Default: never.
    pub idle_timeout: Option<Duration>,
    /// Ends the relay after so long, whatever moves. Default: never.
    pub life: Option<Duration>,
    /// Ends the relay when this drain cuts. Default: never.
    pub draining: Option<Draining>,
    /// Ends the relay once this is ready. Default: never.
    pub withdrawn: Option<Pin<Box<dyn Future<Output = ()>>>>,
    /// Hears how many bytes more have moved, to the upstream and to the downstream, whenever some have. Default: nobody.
    pub progress: Option<Rc<dyn Fn(u64, u64)>>,
}

/// One of the two ends of a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Who dialled us.
    Downstream,
    /// Whom we dialled.
    Upstream,
}

/// What a relay did and how it ended.
#[derive(Debug)]
pub struct Outcome {
    /// Bytes taken over by the upstream's socket or TLS session.
    pub to_upstream_bytes: u64,
    /// Bytes taken over by the downstream's socket or TLS session.
    pub to_downstream_bytes: u64,
    /// How it ended.
    pub ending: Ending,
}

/// How a relay ended. A side that did not get all of the other side's bytes and their end was reset,
/// so that it cannot take a part for the whole.
#[derive(Debug)]
pub enum Ending {
    /// Both sides said that they send no more.
    Closed {
        /// Who said so first.
        first: Side,
    },
    /// A connection failed, such as by a reset, or TLS ended without close_notify.
    Failed {
        /// Whose connection.
        side: Side,
        /// Whether it was being written to.
        writing: bool,
        /// What the kernel or TLS said.
        error: io::Error,
    },
    /// Nothing moved for the idle timeout.
    Idle,
    /// Its life was over.
    Expired,
    /// The drain's deadline passed.
    Cut,
    /// Whoever let it be has withdrawn that.
    Withdrawn,
}

impl Ending {
    /// A stable name for logs and metrics.
    #[must_use]
    pub fn id(&self) -> &'static str {
        match self {
            Self::Closed {
                first: Side::Downstream,
            } => "closed_by_downstream",
            Self::Closed {
                first: Side::Upstream,
            } => "closed_by_upstream",
            Self::Failed {
                side: Side::Downstream,
                ..
            } => "downstream_failed",
            Self::Failed {
                side: Side::Upstream, ..
            } => "upstream_failed",
            Self::Idle => "idle_timeout",
            Self::Expired => "life_over",
            Self::Cut => "drain_deadline",
            Self::Withdrawn => "withdrawn",
        }
    }
}

/// Carries bytes between `downstream` and `upstream` until both have closed, one has failed, or a
/// bound of `options` is met. An end of sending is passed on as such, so half-closed connections work.
pub async fn relay(downstream: Stream, upstream: Stream, mut options: RelayOptions) -> Outcome {
    let mut relay = Relay {
        downstream,
        upstream,
        up: Direction::default(),
        down: Direction::default(),
        first_closed: None,
        failure: None,
    };
    let mut idle = options.idle_timeout.map(IdleClock::new);
    let mut life = options.life.map(|life| Box::pin(tokio::time::sleep(life)));
    let mut told = (0, 0);
    let ending = poll_fn(|cx| {
        let polled = relay.poll(cx);
        if let Some(progress) = &options.progress {
            relay.tell(&mut told, progress.as_ref());
        }
        if let Poll::Ready(ending) = polled {
            return Poll::Ready(ending);
        }
        if let Some(draining) = &options.draining
            && draining.poll_phase(cx, Phase::Cut).is_ready()
        {
            return Poll::Ready(Ending::Cut);
        }
        if let Some(withdrawn) = &mut options.withdrawn
            && withdrawn.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Ending::Withdrawn);
        }
        if let Some(life) = &mut life
            && life.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Ending::Expired);
        }
        match &mut idle {
            Some(idle) => idle.poll(cx, relay.moved_bytes()).map(|()| Ending::Idle),
            None => Poll::Pending,
        }
    })
    .await;
    relay.finish(ending)
}

struct Relay {
    downstream: Stream,
    upstream: Stream,
    up: Direction,
    down: Direction,
    first_closed: Option<Side>,
    failure: Option<(Side, Fault)>,
}

impl Relay {
    /// Tells what has moved since the last time.
    fn tell(&self, told: &mut (u64, u64), progress: &dyn Fn(u64, u64)) {
        let now = (self.up.moved_bytes, self.down.moved_bytes);
        if now != *told {
            progress(now.0 - told.0, now.1 - told.1);
            *told = now;
        }
    }

    fn moved_bytes(&self) -> u64 {
        self.up.moved_bytes + self.down.moved_bytes
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Ending> {
        self.poll_up(cx);
        self.poll_down(cx);
        let reading_failed = matches!(&self.failure, Some((_, fault)) if !fault.writing);
        let done = self.up.is_done() && self.down.is_done();
        if !done && !reading_failed {
            return Poll::Pending;
        }
        Poll::Ready(match self.failure.take() {
            Some((side, fault)) => Ending::Failed {
                side,
                writing: fault.writing,
                error: fault.error,
            },
            None => Ending::Closed {
                first: self.first_closed.unwrap_or(Side::Downstream),
            },
        })
    }

    fn poll_up(&mut self, cx: &mut Context<'_>) {
        let polled = self.up.poll(cx, &mut self.downstream, &mut self.upstream);
        if self.up.is_ended() {
            self.first_closed.get_or_insert(Side::Downstream);
        }
        if let Poll::Ready(Err(fault)) = polled {
            self.fail(fault, Side::Downstream, Side::Upstream);
        }
    }

    fn poll_down(&mut self, cx: &mut Context<'_>) {
        let polled = self.down.poll(cx, &mut self.upstream, &mut self.downstream);
        if self.down.is_ended() {
            self.first_closed.get_or_insert(Side::Upstream);
        }
        if let Poll::Ready(Err(fault)) = polled {
            self.fail(fault, Side::Upstream, Side::Downstream);
        }
    }

    /// A side that takes no more bytes may still have sent some, such as a refusal: the other
    /// direction goes on until it has read them.
    fn fail(&mut self, fault: Fault, source: Side, target: Side) {
        let side = if fault.writing { target } else { source };
        self.failure.get_or_insert((side, fault));
    }

    fn finish(self, ending: Ending) -> Outcome {
        if !self.down.is_delivered() {
            self.downstream.abort();
        }
        if !self.up.is_delivered() {
            self.upstream.abort();
        }
        Outcome {
            to_upstream_bytes: self.up.moved_bytes,
            to_downstream_bytes: self.down.moved_bytes,
            ending,
        }
    }
}

/// Notices silence without moving a timer for every byte.
struct IdleClock {
    limit: Duration,
    sleep: Pin<Box<Sleep>>,
    last_bytes: u64,
    last_move: Instant,
}

impl IdleClock {
    fn new(limit: Duration) -> Self {
        Self {
            limit,
            sleep: Box::pin(tokio::time::sleep(limit)),
            last_bytes: 0,
            last_move: Instant::now(),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, moved_bytes: u64) -> Poll<()> {
        if moved_bytes != self.last_bytes {
            self.last_bytes = moved_bytes;
            self.last_move = Instant::now();
        }
        while self.sleep.as_mut().poll(cx).is_ready() {
            let end = self.last_move + self.limit;
            if Instant::now() >= end {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(end);
        }
        Poll::Pending
    }
}

//! A deadline that moves with every request while its timer is armed rarely.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// Made on first need; when it fires before the deadline, which moved meanwhile, it is set anew.
#[derive(Default)]
pub(crate) struct Timer {
    deadline: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Timer {
    /// Sets the deadline so far from now; `None` for never.
    pub(crate) fn set(&mut self, after: Option<Duration>) {
        self.deadline = after.and_then(|after| Instant::now().checked_add(after));
    }

    /// Ready at the deadline.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline else {
            return Poll::Pending;
        };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        while sleep.as_mut().poll(cx).is_ready() {
            if sleep.deadline() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}

/// How long something may stand still; the clock is read only while it does.
pub(crate) struct Pause {
    bound: Option<Duration>,
    timer: Timer,
    waiting: bool,
}

impl Pause {
    /// At most so long at a time; `None` for ever.
    pub(crate) fn new(bound: Option<Duration>) -> Self {
        Self {
            bound,
            timer: Timer::default(),
            waiting: false,
        }
    }

    /// It goes on.
    pub(crate) fn end(&mut self) {
        self.waiting = false;
    }

    /// It stands still: ready when it has done so for too long.
    pub(crate) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !std::mem::replace(&mut self.waiting, true) {
            self.timer.set(self.bound);
        }
        self.timer.poll(cx)
    }
}

//! The limit on an exchange in which nothing moves.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};
use wattle_http::{BodyError, Frame, Watch};

/// Passes when no frame was seen for so long.
pub(super) struct Idle {
    limit: Duration,
    moved_at: Rc<Cell<Instant>>,
    /// Set anew only when it fires, not with each frame.
    timer: Pin<Box<Sleep>>,
}

impl Idle {
    /// From now on.
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            moved_at: Rc::new(Cell::new(Instant::now())),
            timer: Box::pin(sleep(limit)),
        }
    }

    /// Something moved.
    pub(super) fn moved(&self) {
        self.moved_at.set(Instant::now());
    }

    /// Sees another body move.
    pub(super) fn watch(&self) -> Box<dyn Watch> {
        Box::new(Seen(self.moved_at.clone()))
    }

    /// Ready when nothing moved for too long.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.timer.as_mut().poll(cx).is_ready() {
            // Beyond what time can say nothing is due.
            let due = self.moved_at.get().checked_add(self.limit);
            match due.filter(|due| *due > Instant::now()) {
                Some(due) => self.timer.as_mut().reset(due),
                None => return Poll::Ready(()),
            }
        }
        Poll::Pending
    }
}

struct Seen(Rc<Cell<Instant>>);

impl Watch for Seen {
    fn frame(&mut self, _frame: &Frame) {
        self.0.set(Instant::now());
    }

    fn end(&mut self, _error: Option<&BodyError>) {}
}

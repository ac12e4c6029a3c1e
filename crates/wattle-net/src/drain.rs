//! Ending a worker's work in two steps: first finish politely, then cut.
//!
//! One thread only: handles are `Rc`, and asking for the phase is a memory read.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// How far a drain has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// No drain was asked for.
    Serving,
    /// New work is refused elsewhere; finish what is under way and leave.
    Draining,
    /// The deadline passed: stop at once.
    Cut,
}

struct Shared {
    phase: Cell<Phase>,
    open: Cell<usize>,
    /// One place per handle that waits; `None` while it does not.
    waiting: RefCell<Vec<Option<Waker>>>,
    /// Places of handles that are gone.
    free: RefCell<Vec<usize>>,
    emptied: RefCell<Option<Waker>>,
}

impl Shared {
    fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        let wakers: Vec<Waker> = self
            .waiting
            .borrow_mut()
            .iter_mut()
            .filter_map(Option::take)
            .collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    fn close_one(&self) {
        self.open.set(self.open.get() - 1);
        if self.open.get() == 0
            && let Some(waker) = self.emptied.borrow_mut().take()
        {
            waker.wake();
        }
    }
}

/// The end that orders the drain; dropping it without a word leaves the work serving.
pub struct Drain(Rc<Shared>);

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// What was still open at the deadline and was told to stop at once.
    pub cut: usize,
    /// What did not stop even then, within a second.
    pub left: usize,
}

/// Time for cut work to notice.
const CUT_PATIENCE: Duration = Duration::from_secs(1);

impl Drain {
    /// A pair of the ordering end and a handle to clone for the work.
    #[must_use]
    pub fn new() -> (Self, Draining) {
        let shared = Rc::new(Shared {
            phase: Cell::new(Phase::Serving),
            open: Cell::new(0),
            waiting: RefCell::default(),
            free: RefCell::default(),
            emptied: RefCell::default(),
        });
        let handle = Draining {
            shared: Rc::clone(&shared),
            place: Cell::new(None),
        };
        (Self(shared), handle)
    }

    /// Work that is open now.
    #[must_use]
    pub fn open(&self) -> usize {
        self.0.open.get()
    }

    /// How far the drain has come.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.0.phase.get()
    }

    /// Asks all work to finish, waits for it up to `grace`, then cuts the rest.
    pub async fn run(&self, grace: Duration) -> Drained {
        if self.phase() == Phase::Serving {
            self.0.enter(Phase::Draining);
        }
        let _ = tokio::time::timeout(grace, self.emptied()).await;
        let cut = self.open();
        self.0.enter(Phase::Cut);
        if cut > 0 {
            let _ = tokio::time::timeout(CUT_PATIENCE, self.emptied()).await;
        }
        Drained {
            cut,
            left: self.open(),
        }
    }

    async fn emptied(&self) {
        poll_fn(|cx| {
            if self.open() == 0 {
                return Poll::Ready(());
            }
            *self.0.emptied.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// The handle that work watches; one per task, since it remembers one waker.
pub struct Draining {
    shared: Rc<Shared>,
    place: Cell<Option<usize>>,
}

impl Draining {
    /// How far the drain has come.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.shared.phase.get()
    }

    /// Whether work should finish.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.phase() >= Phase::Draining
    }

    /// Ready once the drain has come to `phase`; otherwise wakes this task when it moves on.
    pub fn poll_phase(&self, cx: &mut Context<'_>, phase: Phase) -> Poll<()> {
        if self.phase() >= phase {
            return Poll::Ready(());
        }
        let mut waiting = self.shared.waiting.borrow_mut();
        let place = self.place.get().unwrap_or_else(|| {
            let place = self.shared.free.borrow_mut().pop().unwrap_or(waiting.len());
            self.place.set(Some(place));
            place
        });
        if place == waiting.len() {
            waiting.push(None);
        }
        match &mut waiting[place] {
            Some(waker) => waker.clone_from(cx.waker()),
            empty => *empty = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// Waits until work should finish.
    pub async fn started(&self) {
        poll_fn(|cx| self.poll_phase(cx, Phase::Draining)).await;
    }

    /// Waits until work must stop at once.
    pub async fn cut(&self) {
        poll_fn(|cx| self.poll_phase(cx, Phase::Cut)).await;
    }

    /// Counts one piece of work as open until the guard is dropped.
    #[must_use]
    pub fn open(&self) -> Open {
        self.shared.open.set(self.shared.open.get() + 1);
        Open(Rc::clone(&self.shared))
    }
}

impl Clone for Draining {
    fn clone(&self) -> Self {
        Self {
            shared: Rc::clone(&self.shared),
            place: Cell::new(None),
        }
    }
}

impl Drop for Draining {
    fn drop(&mut self) {
        if let Some(place) = self.place.get() {
            self.shared.waiting.borrow_mut()[place] = None;
            self.shared.free.borrow_mut().push(place);
        }
    }
}

/// A piece of work a drain waits for.
pub struct Open(Rc<Shared>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.close_one();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tokio::task::LocalSet;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_drain_ends_as_soon_as_the_last_work_has_finished() {
        let (drain, handle) = Drain::new();
        let tasks = LocalSet::new();
        for _ in 0..3 {
            let handle = handle.clone();
            tasks.spawn_local(async move {
                let _open = handle.open();
                handle.started().await;
            });
        }
        let before = tokio::time::Instant::now();
        let ended = tasks
            .run_until(async {
                while drain.open() < 3 {
                    tokio::task::yield_now().await;
                }
                assert!(!handle.is_draining());
                drain.run(LONG).await
            })
            .await;
        assert_eq!(ended, Drained { cut: 0, left: 0 });
        assert!(before.elapsed() < LONG);
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_lingers_is_cut_at_the_deadline() {
        let (drain, handle) = Drain::new();
        let tasks = LocalSet::new();
        let open = handle.open();
        tasks.spawn_local(async move {
            handle.cut().await;
            drop(open);
        });
        let before = tokio::time::Instant::now();
        let ended = tasks.run_until(drain.run(LONG)).await;
        assert_eq!(ended, Drained { cut: 1, left: 0 });
        assert_eq!(before.elapsed(), LONG);
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_never_stops_is_reported() {
        let (drain, handle) = Drain::new();
        let _stuck = handle.open();
        let ended = drain.run(Duration::ZERO).await;
        assert_eq!(ended, Drained { cut: 1, left: 1 });
        assert_eq!(drain.phase(), Phase::Cut);
    }

    #[test]
    fn handles_that_come_and_go_take_no_room() {
        let (_drain, handle) = Drain::new();
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..1000 {
            assert!(handle.clone().poll_phase(&mut cx, Phase::Cut).is_pending());
        }
        assert_eq!(handle.shared.waiting.borrow().len(), 1);
    }
}

//! Telling the connections of one worker to finish and go.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

#[derive(Default)]
struct Shared {
    draining: Cell<bool>,
    /// One per live [`Drain`]; freed slots are reused, so the list is as long as the most connections ever were.
    slots: RefCell<Vec<Option<Waker>>>,
    free: RefCell<Vec<usize>>,
}

/// The sending side: held by the worker.
#[derive(Clone, Default)]
pub struct DrainSignal(Rc<Shared>);

impl DrainSignal {
    /// A signal that has not been given.
    pub fn new() -> Self {
        Self::default()
    }

    /// A receiver for one connection.
    pub fn subscribe(&self) -> Drain {
        let slot = self.0.free.borrow_mut().pop().unwrap_or_else(|| {
            let mut slots = self.0.slots.borrow_mut();
            slots.push(None);
            slots.len() - 1
        });
        Drain {
            shared: self.0.clone(),
            slot,
        }
    }

    /// Tells every connection, now and for good.
    pub fn drain(&self) {
        self.0.draining.set(true);
        // Collected first: a woken task may subscribe or unsubscribe at once.
        let wakers: Vec<Waker> = self
            .0
            .slots
            .borrow_mut()
            .iter_mut()
            .filter_map(Option::take)
            .collect();
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// The receiving side: held by one connection.
pub struct Drain {
    shared: Rc<Shared>,
    slot: usize,
}

impl Drain {
    /// A receiver that never hears a signal.
    pub fn never() -> Self {
        DrainSignal::new().subscribe()
    }

    /// Whether the signal was given.
    pub fn is_draining(&self) -> bool {
        self.shared.draining.get()
    }

    /// Ready once the signal was given; registers this task otherwise.
    pub fn poll_draining(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_draining() {
            return Poll::Ready(());
        }
        if let Some(slot) = self.shared.slots.borrow_mut().get_mut(self.slot) {
            match slot {
                Some(waker) => waker.clone_from(cx.waker()),
                None => *slot = Some(cx.waker().clone()),
            }
        }
        Poll::Pending
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        if let Some(slot) = self.shared.slots.borrow_mut().get_mut(self.slot) {
            *slot = None;
        }
        self.shared.free.borrow_mut().push(self.slot);
    }
}

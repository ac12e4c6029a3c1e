//! A bounded line of tasks that wait for a connection.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Why a waiting task was woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// Something changed: ask again.
    Again,
    /// The connect it waited for failed.
    ConnectFailed,
}

/// The place of one waiting task.
#[derive(Debug, Default)]
pub(crate) struct Place {
    wake: Cell<Option<Wake>>,
    waker: RefCell<Option<Waker>>,
}

impl Place {
    pub(crate) fn poll(&self, context: &Context<'_>) -> Poll<Wake> {
        if let Some(wake) = self.wake.get() {
            return Poll::Ready(wake);
        }
        self.waker.replace(Some(context.waker().clone()));
        Poll::Pending
    }

    pub(crate) fn wake(&self) -> Option<Wake> {
        self.wake.get()
    }

    fn notify(&self, wake: Wake) {
        self.wake.set(Some(wake));
        let waker = self.waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Places in order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Line {
    places: VecDeque<Rc<Place>>,
}

impl Line {
    /// Takes a place at the end; `None` when `limit` tasks wait already.
    pub(crate) fn join(&mut self, limit: usize) -> Option<Rc<Place>> {
        (self.places.len() < limit).then(|| {
            let place = Rc::new(Place::default());
            self.places.push_back(Rc::clone(&place));
            place
        })
    }

    pub(crate) fn leave(&mut self, place: &Rc<Place>) {
        self.places.retain(|other| !Rc::ptr_eq(other, place));
    }

    pub(crate) fn wake_all(&mut self, wake: Wake) {
        for place in std::mem::take(&mut self.places) {
            place.notify(wake);
        }
    }

    pub(crate) fn wake_one(&mut self) {
        if let Some(place) = self.places.pop_front() {
            place.notify(Wake::Again);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }
}

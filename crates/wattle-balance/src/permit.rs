//! Counts of what is under way, each with a guard that gives its place back.

use std::cell::Cell;
use std::rc::Rc;

/// How many of one kind are under way; clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Gauge(Rc<Cell<usize>>);

impl Gauge {
    /// One more, unless `limit` are under way.
    #[inline]
    pub(crate) fn try_begin(&self, limit: usize) -> Option<Permit> {
        (self.count() < limit).then(|| self.begin())
    }

    /// One more, whatever the number.
    #[inline]
    pub(crate) fn begin(&self) -> Permit {
        self.0.set(self.0.get().saturating_add(1));
        Permit {
            active: Rc::clone(&self.0),
        }
    }

    #[inline]
    pub(crate) fn count(&self) -> usize {
        self.0.get()
    }
}

/// The right to one connection, request or retry; gives its place back when dropped.
#[derive(Debug)]
pub struct Permit {
    active: Rc<Cell<usize>>,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.active.set(self.active.get().saturating_sub(1));
    }
}

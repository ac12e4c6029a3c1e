//! How long the body of a request is: known at its head, or counted as it passes.

use std::cell::Cell;
use std::rc::Rc;

use wattle_http::{Body, BodyError, Frame, Watch};

/// Bytes of the request's body.
pub(super) enum RequestBytes {
    Known(u64),
    Counted(Rc<Cell<u64>>),
}

impl RequestBytes {
    pub(super) fn of(body: &mut Body) -> Self {
        if let Some(known) = body.remaining() {
            return Self::Known(known);
        }
        let counted = Rc::new(Cell::new(0));
        *body = std::mem::take(body).watched(Box::new(Counter(counted.clone())));
        Self::Counted(counted)
    }

    pub(super) fn total(&self) -> u64 {
        match self {
            Self::Known(bytes) => *bytes,
            Self::Counted(bytes) => bytes.get(),
        }
    }
}

struct Counter(Rc<Cell<u64>>);

impl Watch for Counter {
    fn frame(&mut self, frame: &Frame) {
        if let Frame::Data(data) = frame {
            self.0.set(self.0.get() + data.len() as u64);
        }
    }

    fn end(&mut self, _error: Option<&BodyError>) {}
}

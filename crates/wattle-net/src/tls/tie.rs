//! What a connection rests on, and ends with.

use std::any::Any;
use std::io;
use std::rc::Rc;
use std::task::Context;

use crate::drain::{Draining, Open, Phase};

/// Ties a TLS stream to a drain: it counts as open there, and once the drain cuts, every read and write fails.
pub struct Tie {
    draining: Draining,
    _open: Open,
    _held: Rc<dyn Any>,
}

impl Tie {
    /// To this drain; `held` lives as long as the stream.
    #[must_use]
    pub fn new(draining: &Draining, held: Rc<dyn Any>) -> Self {
        Self {
            draining: draining.clone(),
            _open: draining.open(),
            _held: held,
        }
    }
}

/// The tie of a stream, where it has one.
#[derive(Default)]
pub(super) struct Tied(Option<Box<Tie>>);

impl From<Tie> for Tied {
    fn from(tie: Tie) -> Self {
        Self(Some(Box::new(tie)))
    }
}

impl Tied {
    /// Fails once it is cut; a memory read until then.
    pub(super) fn check(&self) -> io::Result<()> {
        match self.0.as_ref().map(|tie| tie.draining.phase()) {
            Some(Phase::Cut) => Err(io::ErrorKind::ConnectionAborted.into()),
            Some(Phase::Serving | Phase::Draining) | None => Ok(()),
        }
    }

    /// Wakes the task, which waits for the socket, also for the cut.
    pub(super) fn wait(&self, cx: &mut Context<'_>) {
        if let Some(tie) = &self.0 {
            let _ = tie.draining.poll_phase(cx, Phase::Cut);
        }
    }
}

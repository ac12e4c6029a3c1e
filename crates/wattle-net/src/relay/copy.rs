//! One direction of a relay.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::splice::Splice;
use crate::buffer::{CHUNK_BYTES, Pending};
use crate::stream::Stream;

/// Bytes after which a direction between two plain sockets counts as bulk and is spliced.
const BULK_BYTES: u64 = 512 * 1024;

/// Why a direction ended early.
pub(super) struct Fault {
    /// Whether the target failed, not the source.
    pub(super) writing: bool,
    pub(super) error: io::Error,
}

#[derive(Default, PartialEq, Eq)]
enum State {
    #[default]
    Moving,
    /// The source has ended; the target must be told.
    Ended,
    /// The target was told.
    Delivered,
    Failed,
}

/// Bytes on their way from one stream to another.
#[derive(Default)]
pub(super) struct Direction {
    pub(super) moved_bytes: u64,
    pending: Pending,
    splice: Option<Splice>,
    /// Whether the last read filled the buffer: there is more than we can take at once.
    full: bool,
    state: State,
}

impl Direction {
    /// Whether the source has ended.
    pub(super) fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended | State::Delivered)
    }

    pub(super) fn is_done(&self) -> bool {
        self.is_delivered() || self.state == State::Failed
    }

    /// Whether the target got everything and was told that it is everything.
    pub(super) fn is_delivered(&self) -> bool {
        self.state == State::Delivered
    }

    /// Moves what can be moved; ready once the end of the source was passed on. A fault ends it, too.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut Stream,
        target: &mut Stream,
    ) -> Poll<Result<(), Fault>> {
        if self.is_done() {
            return Poll::Ready(Ok(()));
        }
        let polled = self.poll_move(cx, source, target);
        if matches!(polled, Poll::Ready(Err(_))) {
            // A failed source is not an end that the target may take for a whole.
            self.state = State::Failed;
            self.pending = Pending::default();
            self.splice = None;
        }
        polled
    }

    fn is_moving(&self) -> bool {
        self.state == State::Moving
    }

    fn poll_move(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut Stream,
        target: &mut Stream,
    ) -> Poll<Result<(), Fault>> {
        while self.is_moving() {
            if self.splice.is_some() || self.pays_to_splice(source, target) {
                ready!(self.poll_splice(cx, source, target))?;
            } else {
                ready!(self.poll_copy(cx, source, target))?;
            }
        }
        ready!(Pin::new(&mut *target).poll_shutdown(cx)).map_err(writing)?;
        self.state = State::Delivered;
        Poll::Ready(Ok(()))
    }

    fn pays_to_splice(&self, source: &Stream, target: &Stream) -> bool {
        self.full
            && self.moved_bytes >= BULK_BYTES
            && self.pending.is_empty()
            && source.bare_socket().is_some()
            && target.bare_socket().is_some()
    }

    /// One write of what waits, or one read.
    fn poll_copy(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut Stream,
        target: &mut Stream,
    ) -> Poll<Result<(), Fault>> {
        if !self.pending.is_empty() {
            let polled = Pin::new(&mut *target).poll_write(cx, self.pending.bytes());
            let count = ready!(polled).map_err(writing)?;
            if count == 0 {
                return Poll::Ready(Err(writing(io::ErrorKind::WriteZero.into())));
            }
            self.pending.consume(count);
            self.moved_bytes += count as u64;
            return Poll::Ready(Ok(()));
        }
        let mut into = ReadBuf::new(&mut self.pending.room(0)[..CHUNK_BYTES]);
        let polled = Pin::new(&mut *source).poll_read(cx, &mut into);
        let count = into.filled().len();
        self.pending.fill(count);
        self.pending.release_if_empty();
        if polled.is_pending() {
            // TLS may hold back what the socket did not take.
            ready!(Pin::new(&mut *target).poll_flush(cx)).map_err(writing)?;
            return Poll::Pending;
        }
        ready!(polled).map_err(reading)?;
        self.full = count == CHUNK_BYTES;
        if count == 0 {
            self.state = State::Ended;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_splice(
        &mut self,
        cx: &mut Context<'_>,
        source: &Stream,
        target: &Stream,
    ) -> Poll<Result<(), Fault>> {
        let (Some(from), Some(to)) = (source.bare_socket(), target.bare_socket()) else {
            return Poll::Ready(Err(reading(io::ErrorKind::Unsupported.into())));
        };
        let splice = match &mut self.splice {
            Some(splice) => splice,
            // No pipe to be had is no reason to stop: go on copying.
            none => match Splice::new() {
                Ok(splice) => none.insert(splice),
                Err(_) => {
                    self.full = false;
                    return Poll::Ready(Ok(()));
                }
            },
        };
        if splice.is_empty() {
            match splice.poll_fill(cx, from) {
                Poll::Ready(Ok(0)) => {
                    self.state = State::Ended;
                    self.splice = None;
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(reading(error))),
                Poll::Pending => {
                    // An idle connection holds no pipe.
                    self.splice = None;
                    self.full = false;
                    return Poll::Pending;
                }
            }
        }
        let count = ready!(splice.poll_drain(cx, to)).map_err(writing)?;
        self.moved_bytes += count as u64;
        Poll::Ready(Ok(()))
    }
}

fn reading(error: io::Error) -> Fault {
    Fault {
        writing: false,
        error,
    }
}

fn writing(error: io::Error) -> Fault {
    Fault { writing: true, error }
}

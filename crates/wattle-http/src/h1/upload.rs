//! A request's body on its way out, while the response comes in.

use super::exchange::Exchange;
use super::outgoing::Encoder;
use crate::{Body, BodyError, Frame, RequestHead};
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// How long a body is held back for a 100 that a server may never send (RFC 9110 §10.1.1).
const CONTINUE_WAIT: Duration = Duration::from_secs(1);

/// The request's body on its way.
pub(crate) struct Upload {
    pub(crate) body: Option<Body>,
    pub(super) encoder: Encoder,
    pub(super) hold: Hold,
    /// A frame was taken from the body.
    pub(crate) consumed: bool,
    /// Writing failed; the response may still be there to read.
    pub(crate) broken: bool,
    /// The hold was lifted and the body not asked since.
    pub(crate) released: bool,
    /// [`Outgoing::written`](super::outgoing::Outgoing) before this request.
    written_before: u64,
    shut: bool,
}

pub(super) enum Hold {
    No,
    /// For a 100, or until this time.
    Continue(Pin<Box<Sleep>>),
    /// For the answer to an upgrade or `CONNECT`.
    Tunnel,
}

impl Upload {
    pub(super) fn new(head: &RequestHead, body: Body, encoder: Encoder, written_before: u64) -> Self {
        let tunnel = encoder == Encoder::Raw;
        let hold = match () {
            () if tunnel => Hold::Tunnel,
            () if expects_continue(head) && !body.is_end() => Hold::Continue(Box::pin(sleep(CONTINUE_WAIT))),
            () => Hold::No,
        };
        let empty = !tunnel && body.is_end();
        Self {
            body: (!empty).then_some(body),
            encoder,
            hold,
            written_before,
            ..Self::none()
        }
    }

    pub(crate) fn none() -> Self {
        Self {
            body: None,
            encoder: Encoder::Omit,
            hold: Hold::No,
            consumed: false,
            broken: false,
            released: false,
            written_before: 0,
            shut: false,
        }
    }
}

impl Exchange {
    /// Sends what can be sent. Ready when the upload is over, also when writing failed; an error is the body's own.
    pub(crate) fn poll_upload(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        loop {
            let idle = self.gather(cx)?;
            if self.upload.broken {
                return Poll::Ready(Ok(()));
            }
            let full = self.transport.out.is_full();
            match self.transport.poll_flush(cx) {
                Poll::Ready(Ok(())) if full => {}
                Poll::Ready(Ok(())) if idle => return Poll::Pending,
                Poll::Ready(Ok(())) => return self.poll_finish(cx),
                Poll::Ready(Err(_)) => self.break_off(),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Takes frames from the body until the buffer is full or the body waits; true when it waits.
    fn gather(&mut self, cx: &mut Context<'_>) -> Result<bool, BodyError> {
        while !self.transport.out.is_full() && !self.upload.broken {
            if self.upload.poll_hold(cx).is_pending() {
                return Ok(true);
            }
            let Some(body) = &mut self.upload.body else {
                return Ok(false);
            };
            let Poll::Ready(frame) = body.poll_next(cx) else {
                return Ok(true);
            };
            self.upload.consumed = true;
            let out = &mut self.transport.out;
            let added = match frame {
                Some(frame) => match frame? {
                    Frame::Data(data) => out.data(&mut self.upload.encoder, data),
                    Frame::Trailers(trailers) => {
                        self.upload.body = None;
                        out.end(self.upload.encoder, Some(&trailers))
                    }
                },
                None => {
                    self.upload.body = None;
                    out.end(self.upload.encoder, None)
                }
            };
            added.map_err(|_| BodyError::Length)?;
        }
        Ok(false)
    }

    /// A tunnel's upload ends with the end of our direction.
    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        if self.upload.encoder == Encoder::Raw && matches!(self.upload.hold, Hold::No) && !self.upload.shut {
            // A peer that is gone shows when its direction is read.
            let _ = ready!(self.transport.poll_shutdown(cx));
            self.upload.shut = true;
        }
        Poll::Ready(Ok(()))
    }

    fn break_off(&mut self) {
        self.upload.broken = true;
        self.keep = false;
    }

    /// Whether not a byte of the request was taken.
    pub(super) fn is_unsent(&self) -> bool {
        self.upload.broken && self.transport.out.written == self.upload.written_before
    }
}

impl Upload {
    fn poll_hold(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.hold {
            Hold::No => Poll::Ready(()),
            Hold::Tunnel => Poll::Pending,
            Hold::Continue(until) => {
                ready!(until.as_mut().poll(cx));
                self.hold = Hold::No;
                Poll::Ready(())
            }
        }
    }
}

fn expects_continue(head: &RequestHead) -> bool {
    head.headers
        .get(http::header::EXPECT)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

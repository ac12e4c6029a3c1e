//! The state of a served connection that the serving loop and the body of the request in work share.

use super::decode::Decoder;
use super::encode;
use super::timer::Pause;
use super::transport::Transport;
use crate::{BodyError, Frame, ParseError, ResponseHead, ServeError};
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

pub(crate) struct Conn {
    pub(crate) transport: Transport,
    pub(crate) decoder: Decoder,
    /// Counts requests: a body kept beyond its request must not read the next one's bytes.
    pub(crate) exchange: u64,
    /// The client waits for a 100 before it sends the body.
    pub(crate) expect_continue: bool,
    pub(crate) tunnel: Tunnel,
    /// The final head is written: no interim response may follow.
    pub(crate) head_sent: bool,
    /// The body broke off: no later request can be read.
    pub(crate) broken: bool,
    pub(crate) half_close: bool,
    /// Bounds how long the body of a request may stop.
    pub(crate) body_pause: Pause,
}

/// Whether the bytes behind the request are a tunnel's.
pub(crate) enum Tunnel {
    No,
    /// Asked for; the reader waits for the answer.
    Asked(Option<Waker>),
    Open,
}

pub(crate) type SharedConn = Rc<RefCell<Conn>>;

impl Conn {
    /// While a request is in work: sends what waits, and notices a client that goes. Ready only when it went.
    pub(crate) fn poll_watch(&mut self, cx: &mut Context<'_>) -> Poll<ServeError> {
        if let Poll::Ready(Err(error)) = self.transport.poll_flush(cx) {
            return Poll::Ready(ServeError::Io(error));
        }
        let reading_ahead = self.decoder.is_done() && !self.broken && self.transport.read.is_empty();
        if !reading_ahead || self.transport.eof || matches!(self.tunnel, Tunnel::Open) {
            return Poll::Pending;
        }
        match ready!(self.transport.poll_fill(cx)) {
            Ok(true) => Poll::Pending,
            Ok(false) if self.half_close || matches!(self.tunnel, Tunnel::Asked(_)) => Poll::Pending,
            Ok(false) => Poll::Ready(ServeError::Aborted),
            Err(error) => Poll::Ready(ServeError::Io(error)),
        }
    }

    /// Settles whether the tunnel that was asked for comes about.
    pub(crate) fn decide_tunnel(&mut self, open: bool) {
        let decided = if open { Tunnel::Open } else { Tunnel::No };
        if let Tunnel::Asked(Some(waiting)) = std::mem::replace(&mut self.tunnel, decided) {
            waiting.wake();
        }
        if open {
            self.decoder = Decoder::UntilClose;
        }
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        if let Tunnel::Asked(waiting) = &mut self.tunnel {
            *waiting = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if std::mem::take(&mut self.expect_continue) && !self.decoder.is_done() && !self.head_sent {
            self.transport
                .out
                .buffer()
                .extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        if let Poll::Ready(Err(error)) = self.transport.poll_flush(cx) {
            return self.fail(BodyError::Io(error));
        }
        match self.decoder.poll_frame(&mut self.transport, cx) {
            Poll::Ready(Some(Err(error))) => self.fail(error),
            Poll::Ready(other) => {
                self.body_pause.end();
                self.decoder.settle(&mut self.transport);
                Poll::Ready(other)
            }
            // A tunnel may be silent as long as it likes.
            Poll::Pending if matches!(self.tunnel, Tunnel::Open) => Poll::Pending,
            Poll::Pending => {
                ready!(self.body_pause.poll_over(cx));
                self.fail(BodyError::Parse(ParseError::BodyTimeout))
            }
        }
    }

    fn fail(&mut self, error: BodyError) -> Poll<Option<Result<Frame, BodyError>>> {
        self.broken = true;
        self.decoder = Decoder::Done;
        Poll::Ready(Some(Err(error)))
    }
}

/// The body of a request on an HTTP/1 connection.
pub struct RequestBody {
    conn: SharedConn,
    exchange: u64,
}

impl RequestBody {
    pub(crate) fn new(conn: &SharedConn) -> Self {
        Self {
            exchange: conn.borrow().exchange,
            conn: conn.clone(),
        }
    }

    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        let mut conn = self.conn.borrow_mut();
        if conn.exchange != self.exchange {
            return Poll::Ready(Some(Err(BodyError::Closed)));
        }
        conn.poll_body(cx)
    }

    pub(crate) fn remaining(&self) -> Option<u64> {
        let conn = self.conn.borrow();
        match conn.tunnel {
            _ if conn.exchange != self.exchange => None,
            Tunnel::No => conn.decoder.remaining(),
            Tunnel::Asked(_) | Tunnel::Open => None,
        }
    }

    pub(crate) fn is_end(&self) -> bool {
        let conn = self.conn.borrow();
        conn.exchange == self.exchange
            && matches!(conn.tunnel, Tunnel::No)
            && conn.decoder.is_done()
            && !conn.broken
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody")
            .field("exchange", &self.exchange)
            .finish_non_exhaustive()
    }
}

/// Takes interim responses to a request on an HTTP/1 connection.
#[derive(Clone)]
pub(crate) struct RequestSink {
    conn: SharedConn,
    exchange: u64,
}

impl RequestSink {
    pub(crate) fn new(conn: &SharedConn) -> Self {
        Self {
            exchange: conn.borrow().exchange,
            conn: conn.clone(),
        }
    }

    /// Queues the head; the serving loop writes it when the handler next waits.
    pub(crate) fn send(&self, head: &ResponseHead) {
        let mut conn = self.conn.borrow_mut();
        let sendable = head.status.is_informational() && head.status != http::StatusCode::SWITCHING_PROTOCOLS;
        // A client that reads nothing must not make the buffer grow: interim responses may be dropped.
        if sendable && conn.exchange == self.exchange && !conn.head_sent && !conn.transport.out.is_full() {
            encode::informational(conn.transport.out.buffer(), head);
        }
    }
}

impl fmt::Debug for RequestSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestSink")
            .field("exchange", &self.exchange)
            .finish_non_exhaustive()
    }
}

//! One request and its response on a client connection: the upload goes on while the response is read.

use super::client::{Checkin, Client};
use super::decode::Decoder;
use super::encode;
use super::framing::Framing;
use super::outgoing::Encoder;
use super::parse::{ParsedResponse, parse_response};
use super::transport::Transport;
use crate::{
    Body, BodyError, Frame, Informational, Limits, ParseError, RequestHead, ResponseHead, SendErrorKind,
};
use http::{Method, StatusCode, Version};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, sleep};

/// How long a body is held back for a 100 that a server may never send (RFC 9110 §10.1.1).
const CONTINUE_WAIT: Duration = Duration::from_secs(1);
/// Interim responses to one request.
const MAX_INFORMATIONAL: u32 = 32;

/// A client connection, with or without a request in work.
pub(crate) struct Exchange {
    pub(crate) transport: Transport,
    pub(crate) limits: Rc<Limits>,
    pub(crate) checkin: Option<Rc<dyn Checkin>>,
    /// Requests sent so far.
    pub(crate) requests: u64,
    pub(crate) decoder: Decoder,
    pub(crate) upload: Upload,
    /// Both sides keep the connection after this exchange.
    keep: bool,
    interim: u32,
}

/// The request's body on its way.
pub(crate) struct Upload {
    pub(crate) body: Option<Body>,
    encoder: Encoder,
    hold: Hold,
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

enum Hold {
    No,
    /// For a 100, or until this time.
    Continue(Pin<Box<Sleep>>),
    /// For the answer to an upgrade or `CONNECT`.
    Tunnel,
}

impl Upload {
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
    pub(crate) fn new(transport: Transport, limits: Rc<Limits>, checkin: Option<Rc<dyn Checkin>>) -> Self {
        Self {
            transport,
            limits,
            checkin,
            requests: 0,
            decoder: Decoder::Done,
            upload: Upload::none(),
            keep: true,
            interim: 0,
        }
    }

    /// Writes the head into the buffer and takes the body for the upload; gives the body back if there is no such head.
    pub(crate) fn begin(&mut self, head: &RequestHead, body: Body) -> Result<(), Body> {
        let tunnel = head.asks_for_tunnel();
        let encoder = match body.remaining() {
            _ if tunnel => Encoder::Raw,
            Some(length) => Encoder::Length(length),
            None => Encoder::Chunked,
        };
        let start = self.transport.out.buffer().len();
        if encode::request(self.transport.out.buffer(), head, encoder).is_err() {
            self.transport.out.buffer().truncate(start);
            return Err(body);
        }
        let hold = match () {
            () if tunnel => Hold::Tunnel,
            () if expects_continue(head) && !body.is_end() => Hold::Continue(Box::pin(sleep(CONTINUE_WAIT))),
            () => Hold::No,
        };
        let empty = !tunnel && body.is_end();
        self.upload = Upload {
            body: (!empty).then_some(body),
            encoder,
            hold,
            written_before: self.transport.out.written,
            ..Upload::none()
        };
        self.keep = head.version != Version::HTTP_10 || !head.authority.is_empty();
        self.keep &= !crate::has_token(&head.headers, &http::header::CONNECTION, "close");
        self.interim = 0;
        self.requests += 1;
        Ok(())
    }

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
    fn is_unsent(&self) -> bool {
        self.upload.broken && self.transport.out.written == self.upload.written_before
    }

    /// The final response's head; interim ones go to `informational`.
    pub(crate) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        method: &Method,
        informational: &Informational,
    ) -> Poll<Result<ResponseHead, SendErrorKind>> {
        loop {
            if !self.transport.read.is_empty() {
                match parse_response(&mut self.transport.read, &self.limits) {
                    Ok(Some(parsed)) => match self.accept(parsed, method, informational) {
                        Ok(Some(head)) => return Poll::Ready(Ok(head)),
                        Ok(None) => continue,
                        Err(error) => return Poll::Ready(Err(SendErrorKind::Parse(error))),
                    },
                    Ok(None) => {}
                    Err(error) => return Poll::Ready(Err(SendErrorKind::Parse(error))),
                }
            }
            let started = !self.transport.read.is_empty() || self.interim > 0;
            match ready!(self.transport.poll_fill(cx)) {
                Ok(true) => {}
                _ if started => return Poll::Ready(Err(SendErrorKind::ClosedMidResponse)),
                _ if self.is_unsent() => return Poll::Ready(Err(SendErrorKind::NotSent)),
                // A reset is how a connection ends that was closed with our request unread.
                _ => return Poll::Ready(Err(SendErrorKind::ClosedBeforeResponse)),
            }
        }
    }

    /// Takes a parsed head; `None` when it was an interim one.
    fn accept(
        &mut self,
        parsed: ParsedResponse,
        method: &Method,
        informational: &Informational,
    ) -> Result<Option<ResponseHead>, ParseError> {
        let status = parsed.head.status;
        if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
            self.interim += 1;
            if self.interim > MAX_INFORMATIONAL {
                return Err(ParseError::TooManyInformational);
            }
            match (status, &self.upload.hold) {
                // The body's first poll asks the client for it in turn.
                (StatusCode::CONTINUE, Hold::Continue(_)) => {
                    self.upload.hold = Hold::No;
                    self.upload.released = true;
                }
                _ => informational.send(&parsed.head),
            }
            return Ok(None);
        }
        let framing = parsed.facts.response_framing(status, method)?;
        match framing {
            Framing::Tunnel if !matches!(self.upload.hold, Hold::Tunnel) => {
                return Err(ParseError::StartLine);
            }
            Framing::Tunnel => {
                self.upload.hold = Hold::No;
                self.decoder = Decoder::UntilClose;
            }
            _ => {
                if !matches!(self.upload.hold, Hold::No) {
                    // Answered without the body: it will not be sent, so what follows on this connection is undefined.
                    self.keep &= matches!(self.upload.hold, Hold::Tunnel);
                    self.upload.body = None;
                    self.upload.hold = Hold::No;
                    self.upload.encoder = Encoder::Omit;
                }
                self.decoder = Decoder::new(framing, &self.limits);
            }
        }
        self.keep &= parsed.keep_alive && !matches!(framing, Framing::UntilClose | Framing::Tunnel);
        Ok(Some(parsed.head))
    }

    pub(crate) fn is_tunnel(&self) -> bool {
        self.upload.encoder == Encoder::Raw
    }

    /// Whether another request can follow on this connection.
    pub(crate) fn is_reusable(&self) -> bool {
        let nothing_left =
            self.upload.body.is_none() && self.transport.out.is_empty() && self.transport.read.is_empty();
        self.keep && self.decoder.is_done() && nothing_left && !self.transport.eof && !self.upload.broken
    }

    /// Gives the connection back if it can serve again, closes it otherwise.
    pub(crate) fn release(mut self: Box<Self>) {
        if self.is_reusable()
            && let Some(checkin) = self.checkin.clone()
        {
            self.upload = Upload::none();
            checkin.check_in(Client(self));
        }
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

/// The body of a response on an HTTP/1 connection, which it owns and gives back at its end.
pub struct ResponseBody(Option<Box<Exchange>>);

impl ResponseBody {
    /// The body of a response whose head was read; nothing is left to own when it has none.
    pub(crate) fn start(exchange: Box<Exchange>) -> Body {
        if exchange.decoder.is_done() {
            exchange.release();
            return Body::Empty;
        }
        Body::H1Response(Self(Some(exchange)))
    }

    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, BodyError>>> {
        let Some(exchange) = &mut self.0 else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(Err(error)) = exchange.poll_upload(cx) {
            self.0 = None;
            return Poll::Ready(Some(Err(error)));
        }
        let frame = ready!(exchange.decoder.poll_frame(&mut exchange.transport, cx));
        if let Some(Err(_)) = frame {
            self.0 = None;
            return Poll::Ready(frame);
        }
        exchange.decoder.settle(&mut exchange.transport);
        // A tunnel's other direction may go on.
        if exchange.decoder.is_done()
            && !exchange.is_tunnel()
            && let Some(exchange) = self.0.take()
        {
            exchange.release();
        }
        Poll::Ready(frame)
    }

    pub(crate) fn poll_drive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Some(exchange) => match ready!(exchange.poll_upload(cx)) {
                Ok(()) => Poll::Ready(()),
                Err(_) => {
                    // Cutting the connection tells the server that the request broke off.
                    self.0 = None;
                    Poll::Ready(())
                }
            },
            None => Poll::Ready(()),
        }
    }

    pub(crate) fn remaining(&self) -> Option<u64> {
        self.0
            .as_ref()
            .map_or(Some(0), |exchange| exchange.decoder.remaining())
    }

    pub(crate) fn is_end(&self) -> bool {
        self.0.is_none()
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseBody")
            .field("ended", &self.is_end())
            .finish_non_exhaustive()
    }
}

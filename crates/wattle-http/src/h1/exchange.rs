//! One request and its response on a client connection: the upload goes on while the response is read.

use super::client::{Checkin, Client};
use super::decode::Decoder;
use super::encode;
use super::framing::Framing;
use super::outgoing::Encoder;
use super::parse::{ParsedResponse, parse_response};
use super::transport::Transport;
use super::upload::{Hold, Upload};
use crate::{Body, Informational, Limits, ParseError, RequestHead, ResponseHead, SendErrorKind};
use http::{Method, StatusCode, Version};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

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
    pub(super) keep: bool,
    interim: u32,
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
        self.upload = Upload::new(head, body, encoder, self.transport.out.written);
        self.keep = head.version != Version::HTTP_10 || !head.authority.is_empty();
        self.keep &= !crate::has_token(&head.headers, &http::header::CONNECTION, "close");
        self.interim = 0;
        self.requests += 1;
        Ok(())
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
                self.answered(status);
                self.decoder = Decoder::new(framing, &self.limits);
            }
        }
        self.keep &= parsed.keep_alive && !matches!(framing, Framing::UntilClose | Framing::Tunnel);
        Ok(Some(parsed.head))
    }

    /// What a final response other than a tunnel's means for a body that was held back.
    fn answered(&mut self, status: StatusCode) {
        let hold = std::mem::replace(&mut self.upload.hold, Hold::No);
        match hold {
            Hold::No => {}
            // Not refused: a server that answers while it reads says no 100 any more, but wants the body.
            Hold::Continue(_) if !status.is_client_error() && !status.is_server_error() => {}
            Hold::Continue(_) | Hold::Tunnel => {
                // The body will not be sent; after an announced one, what follows on this connection is undefined.
                self.keep &= matches!(hold, Hold::Tunnel);
                self.upload.body = None;
                self.upload.encoder = Encoder::Omit;
            }
        }
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

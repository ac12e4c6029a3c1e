//! The server role: one connection, request after request.

mod answer;

use super::conn::{Conn, RequestBody, RequestSink, SharedConn, Tunnel};
use super::decode::Decoder;
use super::encode::{self, Persistence};
use super::framing::Framing;
use super::outgoing::Encoder;
use super::parse::{ParsedRequest, parse_request, skip_empty_lines};
use super::timer::{Pause, Timer};
use super::transport::Transport;
use crate::message::Sink;
use crate::{
    Body, Drain, Ended, Handler, Informational, Io, Limits, ParseError, Request, Response, ServeError, Served,
};
use bytes::Bytes;
use http::{Method, Version};
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

/// Empty lines that may precede a request, in bytes: old clients send one after a body (RFC 9112 §2.2).
const MAX_EMPTY_BYTES: usize = 16;

/// Serves HTTP/1.x on a stream until either side ends it. `prefix` is what was read of it before, to detect the protocol.
///
/// Once drained, the request in work is finished with `connection: close` and an idle connection closes at once.
pub async fn serve<H: Handler>(
    io: impl Io + 'static,
    prefix: Bytes,
    handler: Rc<H>,
    limits: Rc<Limits>,
    drain: Drain,
) -> Result<Served, ServeError> {
    let conn = Rc::new(RefCell::new(Conn {
        transport: Transport::new(Box::new(io), prefix),
        decoder: Decoder::Done,
        exchange: 0,
        expect_continue: false,
        tunnel: Tunnel::No,
        head_sent: false,
        broken: false,
        half_close: limits.half_close,
        body_pause: Pause::new(limits.body_timeout),
    }));
    Server {
        conn,
        handler,
        limits,
        drain,
        timer: Timer::default(),
    }
    .run()
    .await
}

struct Server<H> {
    conn: SharedConn,
    handler: Rc<H>,
    limits: Rc<Limits>,
    drain: Drain,
    timer: Timer,
}

/// What came while a request is waited for.
#[derive(Default)]
struct Wait {
    /// The head's first byte is there.
    started: bool,
    /// Empty lines before it.
    empty_bytes: usize,
}

/// What the wait for a request ended in.
enum Next {
    Request(Box<ParsedRequest>),
    Refused(ParseError),
    End(Ended),
}

/// What of a request matters to its answer.
struct Asked {
    head_only: bool,
    connect: bool,
    old: bool,
    keep_alive: bool,
    may_upgrade: bool,
}

impl<H: Handler> Server<H> {
    async fn run(mut self) -> Result<Served, ServeError> {
        let mut requests = 0;
        loop {
            let parsed = match self.next_request().await? {
                Next::Request(parsed) => parsed,
                Next::Refused(error) => {
                    self.refuse(error).await;
                    return Err(ServeError::Refused(error));
                }
                Next::End(ended) => {
                    self.linger().await;
                    return Ok(Served { requests, ended });
                }
            };
            requests += 1;
            if let Some(ended) = self.exchange(*parsed).await? {
                return Ok(Served { requests, ended });
            }
        }
    }

    async fn next_request(&mut self) -> Result<Next, ServeError> {
        let mut wait = Wait::default();
        self.timer.set(self.limits.idle_timeout);
        poll_fn(|cx| self.poll_request(cx, &mut wait)).await
    }

    fn poll_request(&mut self, cx: &mut Context<'_>, wait: &mut Wait) -> Poll<Result<Next, ServeError>> {
        loop {
            let mut conn = self.conn.borrow_mut();
            if !conn.transport.read.is_empty() {
                wait.empty_bytes += skip_empty_lines(&mut conn.transport.read);
                if wait.empty_bytes > MAX_EMPTY_BYTES {
                    return Poll::Ready(Ok(Next::Refused(ParseError::StartLine)));
                }
                match parse_request(&mut conn.transport.read, &self.limits) {
                    Ok(Some(parsed)) => return Poll::Ready(Ok(Next::Request(Box::new(parsed)))),
                    Ok(None) => {}
                    Err(error) => return Poll::Ready(Ok(Next::Refused(error))),
                }
            }
            let idle = conn.transport.read.is_empty();
            if !idle && !std::mem::replace(&mut wait.started, true) {
                self.timer.set(self.limits.header_timeout);
            }
            match conn.transport.poll_fill(cx) {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) if idle => return Poll::Ready(Ok(Next::End(Ended::Closed))),
                Poll::Ready(Ok(false)) => return Poll::Ready(Err(ServeError::Aborted)),
                // A reset between requests is how many clients close.
                Poll::Ready(Err(_)) if idle => return Poll::Ready(Ok(Next::End(Ended::Closed))),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(ServeError::Io(error))),
                Poll::Pending => {
                    drop(conn);
                    return self.poll_waiting(cx, idle).map(Ok);
                }
            }
        }
    }

    /// Nothing to read: what else ends the wait.
    fn poll_waiting(&mut self, cx: &mut Context<'_>, idle: bool) -> Poll<Next> {
        if idle && self.drain.poll_draining(cx).is_ready() {
            return Poll::Ready(Next::End(Ended::Drained));
        }
        ready!(self.timer.poll(cx));
        Poll::Ready(if idle {
            Next::End(Ended::Idle)
        } else {
            Next::Refused(ParseError::HeadTimeout)
        })
    }

    async fn exchange(&mut self, parsed: ParsedRequest) -> Result<Option<Ended>, ServeError> {
        let (request, asked) = self.begin(parsed);
        let handler = self.handler.clone();
        let response = {
            let mut handling = pin!(handler.handle(request));
            poll_fn(|cx| {
                if let Poll::Ready(response) = handling.as_mut().poll(cx) {
                    return Poll::Ready(Ok(response));
                }
                self.conn.borrow_mut().poll_watch(cx).map(Err)
            })
            .await?
        };
        self.answer(response, &asked).await
    }

    /// Sets the connection to this request and makes what the handler sees.
    fn begin(&mut self, parsed: ParsedRequest) -> (Box<Request>, Asked) {
        let head = parsed.head;
        let asked = Asked {
            head_only: head.method == Method::HEAD,
            connect: head.method == Method::CONNECT,
            old: head.version == Version::HTTP_10,
            keep_alive: parsed.keep_alive,
            may_upgrade: parsed.framing == Framing::Tunnel,
        };
        {
            let mut conn = self.conn.borrow_mut();
            conn.exchange += 1;
            conn.head_sent = false;
            conn.expect_continue = parsed.expect_continue;
            conn.decoder = Decoder::new(parsed.framing, &self.limits);
            conn.tunnel = if parsed.framing == Framing::Tunnel {
                Tunnel::Asked(None)
            } else {
                Tunnel::No
            };
        }
        let body = match parsed.framing {
            Framing::None => Body::Empty,
            _ => Body::H1Request(RequestBody::new(&self.conn)),
        };
        let informational = Informational(Sink::H1(RequestSink::new(&self.conn)));
        let request = Request {
            head,
            body,
            informational,
        };
        (Box::new(request), asked)
    }

    /// Tells the peer why its bytes were refused, and closes.
    async fn refuse(&mut self, error: ParseError) {
        let head = self.handler.refuse(&error);
        {
            let mut conn = self.conn.borrow_mut();
            encode::response(
                conn.transport.out.buffer(),
                &head,
                Encoder::Omit,
                Persistence::Close,
            );
        }
        self.linger().await;
    }
}

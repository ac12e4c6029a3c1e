//! The client role: one connection, one request at a time.

use super::exchange::Exchange;
use super::response_body::ResponseBody;
use super::transport::Transport;
use crate::{Answered, Body, Io, Limits, Request, RequestHead, Response, SendError, SendErrorKind};
use bytes::Bytes;
use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

/// Where a connection goes whose response was read to its end and that can serve again.
///
/// The connection holds the `Rc` while it lives, idle too: a pool keeps itself in here by a `Weak`.
pub trait Checkin {
    /// Takes the connection. Called in the middle of reading a body: it must not run anything that polls.
    fn check_in(&self, client: Client);
}

/// An HTTP/1.1 client connection that is ready for a request.
pub struct Client(pub(crate) Box<Exchange>);

impl Client {
    /// A connection over this stream; without `checkin` it serves one request and is closed.
    pub fn new(io: impl Io + 'static, limits: Rc<Limits>, checkin: Option<Rc<dyn Checkin>>) -> Self {
        Self(Box::new(Exchange::new(
            Transport::new(Box::new(io), Bytes::new()),
            limits,
            checkin,
        )))
    }

    /// Requests sent on this connection so far.
    pub fn requests(&self) -> u64 {
        self.0.requests
    }

    /// Whether the peer has neither closed nor sent anything, by one read that does not wait.
    pub fn is_open(&mut self) -> bool {
        self.poll_closed(&mut Context::from_waker(Waker::noop()))
            .is_pending()
    }

    /// Waits until an idle connection can no longer be used: the peer closed, or sent what nobody asked for.
    pub async fn closed(&mut self) {
        poll_fn(|cx| self.poll_closed(cx)).await;
    }

    /// Ready when an idle connection can no longer be used.
    pub fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.0.transport.read.is_empty() {
            return Poll::Ready(());
        }
        ready!(self.0.transport.poll_fill(cx)).map_or(Poll::Ready(()), |_| Poll::Ready(()))
    }

    /// Sends a request and waits for the final response's head. The response's body goes on sending the request's.
    ///
    /// Fails with the request given back when nothing of it was accepted, or when the connection ended before a byte of
    /// the response, the method is idempotent and the body is still there. Dropping the future closes the connection.
    pub async fn send(self, request: Request) -> Result<Response, SendError> {
        let answered = self.send_kept(Box::new(request)).await;
        answered.map(|answered| answered.response)
    }

    /// The same, with the request beside the response where its body is still there: for a response that says that
    /// nothing was done.
    pub async fn send_kept(self, mut request: Box<Request>) -> Result<Answered, SendError> {
        let mut exchange = self.0;
        let reused = exchange.requests > 0;
        let copy = request.body.try_clone();
        let body = std::mem::take(&mut request.body);
        if let Err(body) = exchange.begin(&request.head, body) {
            request.body = body;
            return Err(SendError {
                kind: SendErrorKind::Unrepresentable,
                request: Some(request),
                reused,
            });
        }
        let result = poll_fn(|cx| {
            loop {
                if let Poll::Ready(Err(error)) = exchange.poll_upload(cx) {
                    return Poll::Ready(Err(SendErrorKind::Body(error)));
                }
                let polled = exchange.poll_head(cx, &request.head.method, &request.informational);
                if polled.is_ready() || !std::mem::take(&mut exchange.upload.released) {
                    return polled;
                }
            }
        })
        .await;
        match result {
            Ok(response) => {
                let response = Response {
                    head: response,
                    body: ResponseBody::start(exchange),
                };
                let request = copy.map(|body| request.with(body));
                Ok(Answered { response, request })
            }
            Err(kind) => {
                let body = repeatable(&kind, &request.head, &mut exchange, copy);
                Err(SendError {
                    kind,
                    request: body.map(|body| request.with(body)),
                    reused,
                })
            }
        }
    }
}

/// The body to repeat the request with, if repeating it is harmless and possible.
fn repeatable(
    kind: &SendErrorKind,
    head: &RequestHead,
    exchange: &mut Exchange,
    copy: Option<Body>,
) -> Option<Body> {
    let harmless = matches!(kind, SendErrorKind::NotSent)
        || (matches!(kind, SendErrorKind::ClosedBeforeResponse) && head.method.is_idempotent());
    if !harmless {
        return None;
    }
    let untouched = exchange.upload.body.take().filter(|_| !exchange.upload.consumed);
    copy.or(untouched)
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("requests", &self.0.requests)
            .finish_non_exhaustive()
    }
}

//! The server role: one connection, its streams driven in the connection's own task, all they wrote sent in one write.

use super::batch::Batch;
use super::body::{Pump, StreamBody};
use super::conduct::Conduct;
use super::convert;
use super::ping::KeepAlive;
use crate::h1::{Timer, has_no_body};
use crate::message::Sink;
use crate::{
    Drain, Ended, Handler, Informational, Io, Limits, ParseError, Request, Response, ResponseHead,
    ServeError, Served,
};
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::header::EXPECT;
use http::{Method, StatusCode};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Instant;

/// A stream that its client resets sooner was hardly meant.
const EARLY: Duration = Duration::from_secs(1);

/// Serves HTTP/2 on a stream until either side ends it. `prefix` is what was read of it before, to detect the protocol.
///
/// Once drained, a GOAWAY is sent, the streams in work are finished, and the connection closes.
pub async fn serve<H: Handler>(
    io: impl Io + 'static,
    prefix: Bytes,
    handler: Rc<H>,
    limits: Rc<Limits>,
    drain: Drain,
) -> Result<Served, ServeError> {
    let batch = Batch::new(Box::new(io), prefix, Some(Conduct::of_client(&limits)));
    let mut timer = Timer::default();
    let mut conn = handshake(&batch, &limits, &mut timer).await?;
    let mut keep_alive = KeepAlive::new(&limits, conn.ping_pong());
    let mut streams = FuturesUnordered::new();
    let early_resets = Rc::new(Cell::new(0));
    let mut served = Served {
        requests: 0,
        ended: Ended::Closed,
    };
    let mut going = false;
    let mut idle = false;
    poll_fn(|cx| {
        if !going && drain.poll_draining(cx).is_ready() {
            (going, served.ended) = (true, Ended::Drained);
            conn.graceful_shutdown();
        }
        // Read for the first request of a turn: to read the clock for each would cost more than it tells.
        let mut now = None;
        // Twice: what streams wrote in the first turn is taken up by the engine in the second.
        for _ in 0..2 {
            loop {
                match conn.poll_accept(cx) {
                    Poll::Ready(Some(Ok((request, respond)))) => {
                        served.requests += 1;
                        let resets = (*now.get_or_insert_with(Instant::now), early_resets.clone());
                        streams.push(stream(handler.clone(), request, respond, resets));
                    }
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(failed(&error, streams.is_empty())),
                    Poll::Ready(None) => return batch.poll_out(cx).map(|_| Ok(())),
                    Poll::Pending => break,
                }
            }
            while let Poll::Ready(Some(())) = streams.poll_next_unpin(cx) {}
        }
        let resets = early_resets.get();
        let rude = resets > limits.max_early_resets && resets > served.requests / 2;
        if rude || batch.is_flooded() {
            return Poll::Ready(Err(send_away(&mut conn, &batch, cx)));
        }
        if !std::mem::replace(&mut idle, streams.is_empty()) && idle {
            timer.set(limits.idle_timeout);
        }
        if idle && !going && timer.poll(cx).is_ready() {
            (going, served.ended) = (true, Ended::Idle);
            conn.graceful_shutdown();
            cx.waker().wake_by_ref();
        }
        if keep_alive.poll_dead(cx).is_ready() {
            return Poll::Ready(Err(ServeError::Aborted));
        }
        match batch.poll_out(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(ServeError::Io(error))),
            _ => Poll::Pending,
        }
    })
    .await
    .map(|()| served)
}

/// Tells the client to go; whether it listens is its own affair.
fn send_away(
    conn: &mut h2::server::Connection<Batch, Bytes>,
    batch: &Batch,
    cx: &mut Context<'_>,
) -> ServeError {
    conn.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
    let _ = conn.poll_closed(cx);
    let _ = batch.poll_out(cx);
    ServeError::H2(Reason::ENHANCE_YOUR_CALM.into())
}

async fn handshake(
    batch: &Batch,
    limits: &Limits,
    timer: &mut Timer,
) -> Result<h2::server::Connection<Batch, Bytes>, ServeError> {
    let handshake = h2::server::Builder::new()
        .initial_window_size(limits.stream_window)
        .initial_connection_window_size(limits.connection_window)
        .max_frame_size(limits.max_frame_bytes)
        .max_header_list_size(limits.max_head_bytes as u32)
        .max_concurrent_streams(limits.max_streams)
        .max_pending_accept_reset_streams(limits.max_pending_resets)
        .data_frame_budget(limits.small_frames_bytes)
        .max_concurrent_reset_streams(super::client::REMEMBERED_RESETS)
        // Counted over the connection's life, and what is still sent for a request that was answered early adds one: a
        // shared hop would die of old age. Who makes us reset streams for nothing is bounded by its conduct.
        .max_local_error_reset_streams(None)
        .enable_connect_protocol()
        .handshake(batch.clone());
    let mut handshake = pin!(handshake);
    timer.set(limits.header_timeout);
    poll_fn(|cx| {
        let polled = handshake.as_mut().poll(cx);
        if let Poll::Ready(Err(error)) = batch.poll_out(cx) {
            return Poll::Ready(Err(ServeError::Io(error)));
        }
        match polled {
            Poll::Ready(result) => Poll::Ready(result.map_err(|error| ServeError::H2(code(&error)))),
            Poll::Pending => timer.poll(cx).map(|()| Err(ServeError::Aborted)),
        }
    })
    .await
}

fn failed(error: &h2::Error, idle: bool) -> Result<(), ServeError> {
    match error.is_io() {
        // Clients often close without a word.
        true if idle => Ok(()),
        true => Err(ServeError::Aborted),
        false if error.reason() == Some(Reason::NO_ERROR) => Ok(()),
        false => Err(ServeError::H2(code(error))),
    }
}

fn code(error: &h2::Error) -> u32 {
    error.reason().unwrap_or(Reason::INTERNAL_ERROR).into()
}

/// One request and its response. Dropping it resets the stream.
async fn stream<H: Handler>(
    handler: Rc<H>,
    request: http::Request<RecvStream>,
    respond: SendResponse<Bytes>,
    (begun, early_resets): (Instant, Rc<Cell<u64>>),
) {
    let respond = Rc::new(RefCell::new(respond));
    let (parts, recv) = request.into_parts();
    let (head, extended) = match convert::request_in(parts) {
        Ok(converted) => converted,
        Err(error) => return refuse(&*handler, &error, &respond),
    };
    let head_only = head.method == Method::HEAD;
    let connect = head.method == Method::CONNECT;
    let body = StreamBody::start(recv, convert::content_length(&head.headers), None, None);
    let informational = Informational(Sink::H2(InformationalSink(respond.clone())));
    if head
        .headers
        .get(EXPECT)
        .is_some_and(|expect| expect == "100-continue")
        && !body.is_end()
    {
        // At once: the window bounds what comes of it.
        informational.send(&ResponseHead::new(StatusCode::CONTINUE));
    }
    let response = {
        let mut handling = pin!(handler.handle(Box::new(Request {
            head,
            body,
            informational
        })));
        poll_fn(|cx| {
            // The client lost interest: dropping the handler passes that on. Asked first, so that nothing begins for a
            // stream that was reset with the bytes that opened it.
            if respond.borrow_mut().poll_reset(cx).is_ready() {
                return Poll::Ready(None);
            }
            handling.as_mut().poll(cx).map(Some)
        })
        .await
    };
    let Some(Response { head, body }) = response else {
        if begun.elapsed() < EARLY {
            early_resets.set(early_resets.get() + 1);
        }
        return;
    };
    let success = head.status.is_success() || head.status == StatusCode::SWITCHING_PROTOCOLS;
    let tunnel = success && (connect || extended);
    if head.status.is_informational() && !tunnel {
        return respond.borrow_mut().send_reset(Reason::INTERNAL_ERROR);
    }
    let bare = !tunnel && (head_only || has_no_body(head.status));
    let end = bare || (!tunnel && body.is_end());
    let length = body.remaining().filter(|_| !tunnel && !has_no_body(head.status));
    let head = convert::response_out(head, length, extended);
    let sent = respond.borrow_mut().send_response(head, end);
    if let Ok(send) = sent
        && !end
    {
        send_body(Pump::new(send, body), tunnel).await;
    }
}

async fn send_body(mut pump: Pump, tunnel: bool) {
    let sent = poll_fn(|cx| pump.poll(cx)).await;
    if tunnel && sent.is_ok() {
        // A failure has reset the stream.
        let _ = poll_fn(|cx| pump.poll_driven(cx)).await;
    }
}

fn refuse<H: Handler>(handler: &H, error: &ParseError, respond: &RefCell<SendResponse<Bytes>>) {
    let head = convert::response_out(handler.refuse(error), None, false);
    // A stream that is gone needs no answer.
    let _ = respond.borrow_mut().send_response(head, true);
}

/// Takes interim responses to a request on a stream.
#[derive(Clone)]
pub(crate) struct InformationalSink(Rc<RefCell<SendResponse<Bytes>>>);

impl InformationalSink {
    pub(crate) fn send(&self, head: &ResponseHead) {
        let mut response = http::Response::new(());
        *response.status_mut() = head.status;
        *response.headers_mut() = head.headers.clone();
        crate::headers::strip_for_h2(response.headers_mut());
        // Too late or not interim: then there is nothing to forward.
        let _ = self.0.borrow_mut().send_informational(response);
    }
}

impl fmt::Debug for InformationalSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InformationalSink")
    }
}

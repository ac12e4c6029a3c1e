//! Record: counters, latency and one log line, when the last byte of the response has passed or nothing more will.

mod idle;
mod line;
mod request_bytes;

use idle::Idle;
use line::Line;
pub(crate) use line::Names;
use request_bytes::RequestBytes;

use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{HeaderMap, HeaderName};
use tokio::time::{Instant, Sleep};
use wattle_balance::{Permit, Picked};
use wattle_http::{Body, BodyError, Frame, RequestHead, ResponseHead, Watch};
use wattle_model::Reason;
use wattle_telemetry::{EdgeMetrics, Exchange, ResponseFlags, Status};

use super::relay::Staying;
use super::reply;
use crate::worker::{Upstream, Worker};

/// One request under way, from its first byte to its record.
pub(crate) struct Record {
    worker: Rc<Worker>,
    metrics: Option<Rc<EdgeMetrics>>,
    start_ns: u64,
    status: Status,
    grpc: bool,
    request_bytes: RequestBytes,
    response_bytes: u64,
    refused: bool,
    line: Option<Box<Line>>,
    /// Ends the exchange when it passes.
    deadline: Option<Pin<Box<Sleep>>>,
    /// Ends the exchange when nothing moves.
    idle: Option<Idle>,
    /// The proxy itself ended the response: a limit of time, or a tunnel that may not go on.
    over: bool,
    /// Whether a tunnel may go on.
    staying: Option<Box<Staying>>,
    /// Held until the response has passed: its endpoint is busy as long.
    picked: Option<Picked<Upstream>>,
    /// Likewise its place among the requests towards the application.
    permit: Option<Permit>,
    done: bool,
}

impl Record {
    /// Starts the clock. In one place until the response has passed, so that no step holds a copy. `body` is replaced by one that is counted where its length is not known.
    pub(crate) fn begin(
        worker: &Rc<Worker>,
        head: &RequestHead,
        body: &mut Body,
        downstream: SocketAddr,
        local: SocketAddr,
    ) -> Box<Self> {
        let line = worker
            .access
            .is_some()
            .then(|| Box::new(Line::of(worker, head, downstream, local)));
        Box::new(Self {
            worker: worker.clone(),
            metrics: None,
            start_ns: worker.clock.now_ns(),
            status: Status::default(),
            grpc: super::transform::is_grpc(&head.headers),
            request_bytes: RequestBytes::of(body),
            response_bytes: 0,
            refused: false,
            line,
            deadline: None,
            idle: None,
            over: false,
            staying: None,
            picked: None,
            permit: None,
            done: false,
        })
    }

    /// Is it gRPC?
    pub(crate) fn is_grpc(&self) -> bool {
        self.grpc
    }

    /// The series it counts under.
    pub(crate) fn on(&mut self, metrics: Rc<EdgeMetrics>) {
        self.metrics = Some(metrics);
    }

    /// Does it count somewhere already?
    pub(crate) fn is_placed(&self) -> bool {
        self.metrics.is_some()
    }

    /// For the log.
    pub(crate) fn name(&mut self, name: impl FnOnce(&mut Names)) {
        if let Some(line) = &mut self.line {
            name(&mut line.names);
        }
    }

    /// The deadline of the whole exchange.
    pub(crate) fn until(&mut self, deadline: Instant) {
        self.deadline = Some(Box::pin(tokio::time::sleep_until(deadline)));
    }

    /// Ends the exchange when no byte of either body moves for so long; `body` is the request's.
    pub(crate) fn idle_after(&mut self, limit: Duration, body: &mut Body) {
        let idle = Idle::new(limit);
        // One that is there as a whole is not watched, or it could not be sent again.
        if !super::uploaded::is_whole(body) {
            *body = std::mem::take(body).watched(idle.watch());
        }
        self.idle = Some(idle);
    }

    /// Waits for the limit of time that ends the exchange; for ever without one.
    pub(crate) fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<Reason> {
        if let Some(deadline) = &mut self.deadline
            && deadline.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Reason::RequestTimeout);
        }
        match &mut self.idle {
            Some(idle) => idle.poll(cx).map(|()| Reason::IdleTimeout),
            None => Poll::Pending,
        }
    }

    /// A response came from `address`.
    pub(crate) fn answered(&mut self, address: SocketAddr, head: &ResponseHead) {
        self.status.code = head.status.as_u16();
        if self.grpc {
            self.status.grpc = grpc_status(&head.headers);
        }
        // Applications cannot say so: their own proxy removes it.
        self.refused = (self.grpc || self.status.code >= 400) && head.headers.contains_key(reply::REASON);
        if let Some(line) = &mut self.line {
            line.upstream = Some(address);
            line.upstream_us = Some((self.worker.clock.now_ns() - self.start_ns) / 1000);
            if self.refused {
                line.names.refusal = reply::refusal_id(&head.headers);
            }
        }
    }

    /// Keeps the endpoint busy until the response has passed.
    pub(crate) fn hold(&mut self, picked: Option<Picked<Upstream>>) {
        self.picked = picked;
    }

    /// Counts the request towards the application until the response has passed.
    pub(crate) fn count(&mut self, permit: Option<Permit>) {
        self.permit = permit;
    }

    /// What follows is a tunnel, which no deadline ends.
    pub(crate) fn is_tunnel(&mut self) {
        self.deadline = None;
    }

    /// Ends the tunnel when it may not go on.
    pub(crate) fn while_let_in(&mut self, staying: Staying) {
        self.staying = Some(Box::new(staying));
    }

    /// The proxy refuses by itself, with the answer that stands for the reason.
    pub(crate) fn local(&mut self, reason: Reason) {
        self.because(reason);
        self.status.code = if self.grpc { 200 } else { reason.status() };
        if self.grpc {
            self.status.grpc = Some(reply::grpc_status(reason));
        }
    }

    /// The proxy answers by itself and nothing is wrong, such as with a redirect.
    pub(crate) fn local_head(&mut self, head: &ResponseHead) {
        self.status.code = head.status.as_u16();
        if self.grpc {
            self.status.grpc = grpc_status(&head.headers);
        }
    }

    /// Why it is not the application that answers.
    pub(crate) fn because(&mut self, reason: Reason) {
        self.refused = true;
        // What ended the exchange does not end the answer that says so.
        (self.deadline, self.idle) = (None, None);
        self.status.flags |= reply::flags(reason);
        if let Some(line) = &mut self.line {
            line.reason = reason.id();
        }
    }

    /// The cause, where its reason has several.
    pub(crate) fn detail(&mut self, detail: &'static str) {
        if let Some(line) = &mut self.line {
            line.detail = detail;
        }
    }

    /// What else the log tells of it.
    pub(crate) fn flag(&mut self, flags: ResponseFlags) {
        self.status.flags |= flags;
    }

    /// Goes along with the response's body.
    pub(crate) fn watch(self: Box<Self>, body: Body) -> Body {
        body.watched(self)
    }

    fn poll_withdrawn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(staying) = &mut self.staying else {
            return Poll::Pending;
        };
        ready!(staying.judging.as_mut().poll(cx));
        if let Some(why) = staying.why.get() {
            self.status.flags |= why.flags;
            if let Some(line) = &mut self.line {
                line.reason = why.reason;
                line.names.refusal = why.refusal.clone();
            }
        }
        (self.over, self.refused) = (true, true);
        self.staying = None;
        Poll::Ready(())
    }

    fn finish(&mut self, flags: ResponseFlags) {
        if std::mem::replace(&mut self.done, true) {
            return;
        }
        self.status.flags |= flags;
        let exchange = Exchange {
            status: self.status,
            duration_us: (self.worker.clock.now_ns() - self.start_ns) / 1000,
            request_bytes: self.request_bytes.total(),
            response_bytes: self.response_bytes,
            refused: self.refused,
        };
        if let Some(metrics) = &self.metrics {
            metrics.record(&exchange);
        }
        if let Some(line) = &self.line {
            line.write(&self.worker, &exchange);
        }
        self.picked = None;
        self.permit = None;
    }
}

impl Watch for Record {
    fn frame(&mut self, frame: &Frame) {
        if let Some(idle) = &self.idle {
            idle.moved();
        }
        match frame {
            Frame::Data(data) => self.response_bytes += data.len() as u64,
            Frame::Trailers(trailers) if self.grpc => self.status.grpc = grpc_status(trailers),
            Frame::Trailers(_) => {}
        }
    }

    fn end(&mut self, error: Option<&BodyError>) {
        self.finish(match error {
            None => ResponseFlags::NONE,
            Some(_) if self.over => ResponseFlags::NONE,
            Some(BodyError::Reset(_)) => ResponseFlags::UPSTREAM_REMOTE_RESET,
            Some(_) => ResponseFlags::UPSTREAM_CONNECTION_TERMINATION,
        });
    }

    fn poll_cut(&mut self, cx: &mut Context<'_>) -> Poll<BodyError> {
        if self.poll_withdrawn(cx).is_ready() {
            return Poll::Ready(BodyError::Abandoned);
        }
        self.poll_over(cx).map(|reason| {
            self.over = true;
            self.status.flags |= reply::flags(reason);
            BodyError::Abandoned
        })
    }
}

impl Drop for Record {
    /// Nobody read to the end: the client went away.
    fn drop(&mut self) {
        self.finish(ResponseFlags::DOWNSTREAM_CONNECTION_TERMINATION);
    }
}

/// Where a call's end says how it went.
pub(crate) static GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

pub(crate) fn grpc_status(headers: &HeaderMap) -> Option<u32> {
    headers.get(&GRPC_STATUS)?.to_str().ok()?.parse().ok()
}

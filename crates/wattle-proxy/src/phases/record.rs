//! Record: counters, latency and one log line, when the last byte of the response has passed or nothing more will.

mod line;

use line::Line;
pub(crate) use line::Names;

use std::cell::Cell;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use http::HeaderMap;
use tokio::time::Sleep;
use wattle_balance::Picked;
use wattle_http::{Body, BodyError, Frame, RequestHead, ResponseHead, Watch};
use wattle_model::Reason;
use wattle_telemetry::{EdgeMetrics, Exchange, ResponseFlags, Status};

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
    /// Held until the response has passed: its endpoint is busy as long.
    picked: Option<Picked<Upstream>>,
    done: bool,
}

/// Bytes of the request's body.
enum RequestBytes {
    Known(u64),
    Counted(Rc<Cell<u64>>),
}

impl Record {
    /// Starts the clock. `body` is replaced by one that is counted where its length is not known.
    pub(crate) fn begin(
        worker: &Rc<Worker>,
        head: &RequestHead,
        body: &mut Body,
        downstream: SocketAddr,
        local: SocketAddr,
    ) -> Self {
        let line = worker
            .access
            .is_some()
            .then(|| Box::new(Line::of(worker, head, downstream, local)));
        Self {
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
            picked: None,
            done: false,
        }
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
    pub(crate) fn until(&mut self, deadline: tokio::time::Instant) {
        self.deadline = Some(Box::pin(tokio::time::sleep_until(deadline)));
    }

    /// Waits for the deadline; for ever without one.
    pub(crate) fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.deadline {
            Some(deadline) => deadline.as_mut().poll(cx),
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
        }
    }

    /// Keeps the endpoint busy until the response has passed.
    pub(crate) fn hold(&mut self, picked: Option<Picked<Upstream>>) {
        self.picked = picked;
    }

    /// What follows is a tunnel, which no deadline ends.
    pub(crate) fn is_tunnel(&mut self) {
        self.deadline = None;
    }

    /// The proxy answers itself.
    pub(crate) fn local(&mut self, reason: Reason) {
        self.refused = true;
        self.status.code = if self.grpc { 200 } else { reason.status() };
        self.status.flags |= reply::flags(reason);
        if self.grpc {
            self.status.grpc = Some(reply::grpc_status(reason));
        }
        if let Some(line) = &mut self.line {
            line.reason = reason.id();
        }
    }

    /// The proxy answers itself and nothing is wrong, such as with a redirect.
    pub(crate) fn local_status(&mut self, status: u16) {
        self.status.code = status;
    }

    /// Goes along with the response's body.
    pub(crate) fn watch(self, body: Body) -> Body {
        body.watched(Box::new(self))
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
    }
}

impl Watch for Record {
    fn frame(&mut self, frame: &Frame) {
        match frame {
            Frame::Data(data) => self.response_bytes += data.len() as u64,
            Frame::Trailers(trailers) if self.grpc => self.status.grpc = grpc_status(trailers),
            Frame::Trailers(_) => {}
        }
    }

    fn end(&mut self, error: Option<&BodyError>) {
        self.finish(match error {
            None => ResponseFlags::NONE,
            Some(BodyError::Abandoned) if self.deadline.is_some() => ResponseFlags::UPSTREAM_REQUEST_TIMEOUT,
            Some(BodyError::Reset(_)) => ResponseFlags::UPSTREAM_REMOTE_RESET,
            Some(_) => ResponseFlags::UPSTREAM_CONNECTION_TERMINATION,
        });
    }

    fn poll_cut(&mut self, cx: &mut Context<'_>) -> Poll<BodyError> {
        self.poll_deadline(cx).map(|()| BodyError::Abandoned)
    }
}

impl Drop for Record {
    /// Nobody read to the end: the client went away.
    fn drop(&mut self) {
        self.finish(ResponseFlags::DOWNSTREAM_CONNECTION_TERMINATION);
    }
}

impl RequestBytes {
    fn of(body: &mut Body) -> Self {
        if let Some(known) = body.remaining() {
            return Self::Known(known);
        }
        let counted = Rc::new(Cell::new(0));
        *body = std::mem::take(body).watched(Box::new(Counter(counted.clone())));
        Self::Counted(counted)
    }

    fn total(&self) -> u64 {
        match self {
            Self::Known(bytes) => *bytes,
            Self::Counted(bytes) => bytes.get(),
        }
    }
}

struct Counter(Rc<Cell<u64>>);

impl Watch for Counter {
    fn frame(&mut self, frame: &Frame) {
        if let Frame::Data(data) = frame {
            self.0.set(self.0.get() + data.len() as u64);
        }
    }

    fn end(&mut self, _error: Option<&BodyError>) {}
}

fn grpc_status(headers: &HeaderMap) -> Option<u32> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

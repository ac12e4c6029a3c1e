//! One worker's series of one edge, resolved before the first request.

use std::cell::{Cell, OnceCell, RefCell};
use std::sync::Arc;

use crate::edge::{Edge, Status, flag_labels, other_labels};
use crate::family::standard;
use crate::flags::ResponseFlags;
use crate::labels::Labels;
use crate::registry::Budget;
use crate::shard::Shard;
use crate::slot::{Counter, Histogram};
use crate::view::EdgeSlot;

/// Statuses told apart per edge and worker; further ones count under `response_code="other"`.
pub const MAX_STATUSES: usize = 64;

/// A request that has ended, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exchange {
    /// How it ended.
    pub status: Status,
    /// From its first byte to the last byte of the response, in microseconds.
    pub duration_us: u64,
    /// Bytes of the request's body.
    pub request_bytes: u64,
    /// Bytes of the response's body.
    pub response_bytes: u64,
    /// A proxy answered instead of the application, e.g. because policy does not allow the request: never a success.
    pub refused: bool,
}

/// The series of one status.
#[derive(Debug)]
struct StatusMetrics {
    requests: Counter,
    duration: Histogram,
    request_bytes: Histogram,
    response_bytes: Histogram,
}

impl StatusMetrics {
    fn new(shard: &Shard, edge: &Labels, own: &Labels, budget: Budget) -> Self {
        let histogram = |family| shard.histogram_of(family, edge, own, budget);
        Self {
            requests: shard.counter_of(&standard::REQUESTS, edge, own, budget),
            duration: histogram(&standard::REQUEST_DURATION),
            request_bytes: histogram(&standard::REQUEST_BYTES),
            response_bytes: histogram(&standard::RESPONSE_BYTES),
        }
    }

    #[inline]
    fn record(&self, exchange: &Exchange) {
        self.requests.increment();
        self.duration.observe(exchange.duration_us as f64 / 1_000.0);
        self.request_bytes.observe(exchange.request_bytes as f64);
        self.response_bytes.observe(exchange.response_bytes as f64);
    }
}

/// One worker's HTTP and gRPC series of one edge.
#[derive(Debug)]
pub struct EdgeMetrics {
    shard: Shard,
    labels: Labels,
    statuses: RefCell<Vec<(u64, StatusMetrics)>>,
    /// Where the last status was found: most requests end alike.
    last: Cell<usize>,
    other: OnceCell<StatusMetrics>,
    summary: Arc<EdgeSlot>,
}

impl EdgeMetrics {
    /// Counts one request; allocates only for a status that this edge sees for the first time.
    #[inline]
    pub fn record(&self, exchange: &Exchange) {
        let success = !exchange.refused && exchange.status.is_success();
        self.summary.record(success, exchange.duration_us);
        let key = exchange.status.key();
        let statuses = self.statuses.borrow();
        if let Some((known, metrics)) = statuses.get(self.last.get())
            && *known == key
        {
            return metrics.record(exchange);
        }
        if let Some(at) = statuses.iter().position(|(known, _)| *known == key) {
            self.last.set(at);
            return statuses[at].1.record(exchange);
        }
        drop(statuses);
        self.record_new(key, exchange);
    }

    #[cold]
    fn record_new(&self, key: u64, exchange: &Exchange) {
        let mut statuses = self.statuses.borrow_mut();
        if statuses.len() >= MAX_STATUSES || !self.shard.registry().has_room() {
            return self.other().record(exchange);
        }
        let own = exchange.status.labels();
        let metrics = StatusMetrics::new(&self.shard, &self.labels, &own, Budget::Ordinary);
        metrics.record(exchange);
        statuses.push((key, metrics));
    }

    fn other(&self) -> &StatusMetrics {
        self.other.get_or_init(|| {
            self.shard.registry().count_dropped();
            StatusMetrics::new(&self.shard, &self.labels, &other_labels(), Budget::Reserve)
        })
    }
}

/// One worker's TCP series of one edge.
#[derive(Debug)]
pub struct TcpMetrics {
    shard: Shard,
    labels: Labels,
    opened: Counter,
    sent: Counter,
    received: Counter,
    closed: RefCell<Vec<(ResponseFlags, Counter)>>,
    summary: Arc<EdgeSlot>,
}

impl TcpMetrics {
    /// Counts a connection that was opened.
    #[inline]
    pub fn opened(&self) {
        self.opened.increment();
        self.summary.opened();
    }

    /// Counts bytes as they move: to the downstream, and from it.
    #[inline]
    pub fn moved(&self, sent: u64, received: u64) {
        self.sent.add(sent);
        self.received.add(received);
        self.summary.moved(sent, received);
    }

    /// Counts a connection that was closed.
    pub fn closed(&self, flags: ResponseFlags) {
        self.summary.closed();
        let mut closed = self.closed.borrow_mut();
        if let Some((_, counter)) = closed.iter().find(|(known, _)| *known == flags) {
            return counter.increment();
        }
        // Which flags there are is for this proxy's code to say, so their combinations are few; the bound is for safety.
        let flags = if closed.len() < MAX_STATUSES {
            flags
        } else {
            ResponseFlags::NONE
        };
        let counter = tcp_counter(&self.shard, &standard::TCP_CLOSED, &self.labels, flags);
        counter.increment();
        if closed.len() < MAX_STATUSES {
            closed.push((flags, counter));
        }
    }
}

fn tcp_counter(
    shard: &Shard,
    family: &'static crate::Family,
    edge: &Labels,
    flags: ResponseFlags,
) -> Counter {
    shard.counter_of(family, edge, &flag_labels(flags), Budget::Ordinary)
}

impl Shard {
    /// This thread's HTTP and gRPC series of an edge, to be kept as long as config has the edge.
    #[must_use]
    pub fn edge(&self, edge: &Arc<Edge>) -> EdgeMetrics {
        EdgeMetrics {
            shard: self.clone(),
            labels: edge.labels(),
            statuses: RefCell::default(),
            last: Cell::new(0),
            other: OnceCell::new(),
            summary: self.registry().edge(edge).unwrap_or_default(),
        }
    }

    /// This thread's TCP series of an edge.
    #[must_use]
    pub fn tcp_edge(&self, edge: &Arc<Edge>) -> TcpMetrics {
        let labels = edge.labels();
        let counter = |family| tcp_counter(self, family, &labels, ResponseFlags::NONE);
        TcpMetrics {
            opened: counter(&standard::TCP_OPENED),
            sent: counter(&standard::TCP_SENT),
            received: counter(&standard::TCP_RECEIVED),
            closed: RefCell::default(),
            summary: self.registry().edge(edge).unwrap_or_default(),
            shard: self.clone(),
            labels,
        }
    }
}

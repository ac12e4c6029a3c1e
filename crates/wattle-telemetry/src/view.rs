//! The mesh's edges in numbers: what `wattle stat` and the console read, from one proxy or merged from many.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

use crate::edge::{Edge, Peer, Security};
use crate::latency::{Buckets, LatencySlot, Quantiles};
use crate::registry::Registry;
use crate::slot::{Slot, add};

/// One thread's summary of an edge.
#[derive(Debug, Default)]
pub(crate) struct EdgeSlot {
    requests: AtomicU64,
    successes: AtomicU64,
    latency: LatencySlot,
    opened: AtomicU64,
    closed: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
}

impl EdgeSlot {
    #[inline]
    pub(crate) fn record(&self, success: bool, duration_us: u64) {
        add(&self.requests, 1);
        add(&self.successes, u64::from(success));
        self.latency.observe(duration_us);
    }

    pub(crate) fn opened(&self) {
        add(&self.opened, 1);
    }

    pub(crate) fn closed(&self) {
        add(&self.closed, 1);
    }

    #[inline]
    pub(crate) fn moved(&self, sent: u64, received: u64) {
        add(&self.sent, sent);
        add(&self.received, received);
    }
}

/// What has happened on an edge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeTotal {
    /// Requests that have ended.
    pub requests: u64,
    /// Those of them that went well, see [`Status::is_success`](crate::Status::is_success).
    pub successes: u64,
    /// How long they took.
    pub latency: Buckets,
    /// TCP connections opened.
    pub connections_opened: u64,
    /// TCP connections closed.
    pub connections_closed: u64,
    /// Bytes to the downstream on TCP connections.
    pub sent_bytes: u64,
    /// Bytes from the downstream on TCP connections.
    pub received_bytes: u64,
}

impl EdgeTotal {
    /// Applies `change` to each pair of counts.
    fn combine(&mut self, other: &Self, change: fn(u64, u64) -> u64) {
        for (own, others) in [
            (&mut self.requests, other.requests),
            (&mut self.successes, other.successes),
            (&mut self.connections_opened, other.connections_opened),
            (&mut self.connections_closed, other.connections_closed),
            (&mut self.sent_bytes, other.sent_bytes),
            (&mut self.received_bytes, other.received_bytes),
        ] {
            *own = change(*own, others);
        }
    }

    /// The share of requests that went well, 0 to 1; `None` without requests.
    #[must_use]
    pub fn success_rate(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.successes as f64 / self.requests as f64)
    }

    /// The latencies that people ask for; `None` without requests.
    #[must_use]
    pub fn quantiles(&self) -> Option<Quantiles> {
        Quantiles::from(&self.latency)
    }
}

impl Slot for EdgeSlot {
    type Total = EdgeTotal;

    fn gather(&self, total: &mut EdgeTotal) {
        let read = |slot: &AtomicU64| slot.load(Relaxed);
        let own = EdgeTotal {
            // Read first: a request that ends meanwhile must not make more successes than requests.
            successes: read(&self.successes),
            requests: read(&self.requests),
            connections_closed: read(&self.closed),
            connections_opened: read(&self.opened),
            sent_bytes: read(&self.sent),
            received_bytes: read(&self.received),
            latency: Buckets::default(),
        };
        total.combine(&own, u64::wrapping_add);
        self.latency.gather(&mut total.latency);
    }
}

/// What names an edge in a view.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EdgeName {
    /// Which side tells it: `source`, `destination` or `waypoint`.
    pub reporter: String,
    /// The client: its canonical service, else its workload, else its SPIFFE name, else `unknown`.
    pub source: String,
    /// The client's namespace.
    pub source_namespace: String,
    /// The client's SPIFFE name; empty where the reporting side does not know it.
    #[serde(default)]
    pub source_principal: String,
    /// The server: the service's name, else as for the client.
    pub destination: String,
    /// The server's namespace.
    pub destination_namespace: String,
    /// The server's workload.
    pub destination_workload: String,
    /// The server's SPIFFE name, likewise.
    #[serde(default)]
    pub destination_principal: String,
    /// The server's version, which tells a canary apart.
    pub destination_version: String,
    /// `http`, `grpc` or `tcp`.
    pub protocol: String,
    /// Whether both sides have shown who they are.
    pub mtls: bool,
}

/// One edge with what has happened on it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EdgeView {
    /// Which edge.
    #[serde(flatten)]
    pub name: EdgeName,
    /// What happened.
    #[serde(flatten)]
    pub total: EdgeTotal,
}

/// The edges of one proxy, or of several merged, ordered by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Each edge once.
    pub edges: Vec<EdgeView>,
}

impl Snapshot {
    /// Adds what another proxy, or another time span, saw.
    pub fn merge(&mut self, other: &Self) {
        let mut all: HashMap<EdgeName, EdgeTotal> =
            self.edges.drain(..).map(|edge| (edge.name, edge.total)).collect();
        for edge in &other.edges {
            let total = all.entry(edge.name.clone()).or_default();
            total.combine(&edge.total, u64::saturating_add);
            total.latency.merge(&edge.total.latency);
        }
        self.edges = in_order(all);
    }

    /// What happened since an earlier snapshot of the same proxies; a count that shrank, which a restart makes, counts as zero.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let before: HashMap<&EdgeName, &EdgeTotal> = earlier
            .edges
            .iter()
            .map(|edge| (&edge.name, &edge.total))
            .collect();
        let mut edges = self.edges.clone();
        for edge in &mut edges {
            if let Some(before) = before.get(&edge.name) {
                edge.total.combine(before, u64::saturating_sub);
                edge.total.latency = edge.total.latency.since(&before.latency);
            }
        }
        Self { edges }
    }
}

impl Registry {
    /// The edges as they are now; does not count as a scrape.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        // Edges that differ only in what the view does not show become one.
        let mut all: HashMap<EdgeName, EdgeTotal> = HashMap::new();
        for (edge, own) in self.edges() {
            let total = all.entry(EdgeName::from(&edge)).or_default();
            total.combine(&own, u64::saturating_add);
            total.latency.merge(&own.latency);
        }
        snapshot.edges = in_order(all);
        snapshot
    }
}

fn in_order(all: HashMap<EdgeName, EdgeTotal>) -> Vec<EdgeView> {
    let mut edges: Vec<_> = all
        .into_iter()
        .map(|(name, total)| EdgeView { name, total })
        .collect();
    edges.sort_by(|left, right| left.name.cmp(&right.name));
    edges
}

impl EdgeName {
    fn from(edge: &Arc<Edge>) -> Self {
        let destination = &edge.destination;
        Self {
            reporter: edge.reporter.as_str().to_owned(),
            source: name(&edge.source, ""),
            source_namespace: edge.source.namespace.to_string(),
            source_principal: edge.source.principal.to_string(),
            destination: name(destination, &edge.service_name),
            destination_namespace: first([&edge.service_namespace, &destination.namespace]),
            destination_workload: destination.workload.to_string(),
            destination_principal: destination.principal.to_string(),
            destination_version: first([&destination.version, &destination.canonical_revision]),
            protocol: edge.protocol.as_str().to_owned(),
            mtls: edge.security == Security::MutualTls,
        }
    }
}

fn name(peer: &Peer, service: &str) -> String {
    let known = [
        service,
        &peer.canonical_service,
        &peer.workload,
        &peer.principal,
        "unknown",
    ];
    first(known)
}

/// The first that is not empty, or nothing.
fn first<const N: usize>(values: [&str; N]) -> String {
    let found = values.into_iter().find(|value| !value.is_empty());
    found.unwrap_or_default().to_owned()
}

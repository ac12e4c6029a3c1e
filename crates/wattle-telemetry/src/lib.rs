//! Metric families and per-worker shards, the access log, latency histograms.
//!
//! Owns what a proxy tells about its traffic: counters and histograms under Istio's standard names, a view of edges for `wattle stat`,
//! and one JSON line per request. Refuses to block a worker (a slot is written by one thread without locked instructions, a full log
//! queue drops and counts), to grow without bound (series have a budget, fields a length), and to know how requests are served.
//! Headers that hold secrets have no field here to be logged in.
//!
//! Start reading at [`Registry`] (`registry.rs`), then [`Shard`] and [`EdgeMetrics`] (`edge.rs`), then `access/record.rs`.

pub mod access;
mod edge;
mod edge_metrics;
mod encode;
mod family;
mod flags;
mod labels;
mod latency;
mod refusal;
mod registry;
mod scrape;
mod shard;
mod slot;
mod table;
mod trace;
mod view;

pub use edge::{Edge, Peer, Protocol, Reporter, Security, Status};
pub use edge_metrics::{EdgeMetrics, Exchange, MAX_STATUSES, TcpMetrics};
pub use encode::text;
pub use family::{Family, Kind, STANDARD_BUCKETS, standard};
pub use flags::ResponseFlags;
pub use labels::Labels;
pub use latency::{Buckets, Quantiles};
pub use refusal::{Refusal, RefusedRequest, RefusedToken};
pub use registry::{Limits, Registry};
pub use shard::{Shard, SharedCounter};
pub use slot::{Counter, Gauge, Histogram};
pub use trace::trace_id;
pub use view::{EdgeName, EdgeTotal, EdgeView, Snapshot};

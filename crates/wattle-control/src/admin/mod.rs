//! The admin API on a Unix socket, and metrics and probes on TCP: one thread, one small HTTP/1 server for both.

mod answer;
mod api;
mod probe;
mod questions;
mod server;
mod trust;

use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use wattle_net::Clock;

use crate::hub::HubHandle;
use crate::issuer::Issuer;
use crate::metrics::Metrics;
use crate::store::Store;
pub(crate) use server::{Listeners, spawn};

/// What the requests are answered from.
pub(crate) struct State {
    pub(crate) hub: HubHandle,
    pub(crate) issuer: Arc<Issuer>,
    pub(crate) store: Arc<Store>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) trust_domain: wattle_identity::TrustDomain,
    pub(crate) started: Instant,
    pub(crate) clock: Clock,
    /// One long question at a time: each may keep a core busy for seconds.
    pub(crate) pondering: Arc<tokio::sync::Semaphore>,
    /// Cancelled when somebody asks for the end.
    pub(crate) asked_to_stop: CancellationToken,
}

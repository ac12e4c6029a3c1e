//! Connect: a connection to the picked endpoint, from its pools or new, secured as the endpoint asks.

mod http;
mod kept;
mod secure;

pub(crate) use http::{Connection, Wanted, app, http};

use wattle_model::{Hop, Reason};
use wattle_net::{ConnectError, Stream};

use crate::identity::Alpn;
use crate::worker::{Upstream, Worker};

/// Why no connection came about.
#[derive(Clone, Debug)]
pub(crate) struct ConnectFailure {
    /// For the reply.
    pub(crate) reason: Reason,
    /// Stable id of the cause below it, e.g. of a rejected certificate.
    pub(crate) cause: &'static str,
    /// For the log.
    pub(crate) detail: String,
}

impl ConnectFailure {
    fn new(reason: Reason, cause: &'static str, detail: impl Into<String>) -> Self {
        Self {
            reason,
            cause,
            detail: detail.into(),
        }
    }
}

/// A connection for opaque bytes.
pub(crate) async fn opaque(worker: &Worker, upstream: &Upstream) -> Result<Stream, ConnectFailure> {
    let stream = plain(worker, upstream).await?;
    match upstream.hop {
        Hop::Plaintext => Ok(stream),
        Hop::MutualTls => Ok(secure::secure(worker, upstream, stream, &[Alpn::Opaque])
            .await?
            .stream),
    }
}

async fn plain(worker: &Worker, upstream: &Upstream) -> Result<Stream, ConnectFailure> {
    match wattle_net::connect(upstream.address, &worker.outward()).await {
        Ok(socket) => Ok(socket.into()),
        Err(error) => Err(failure(&error)),
    }
}

pub(super) fn failure(error: &ConnectError) -> ConnectFailure {
    let reason = match error {
        ConnectError::TimedOut { .. } => Reason::UpstreamConnectTimeout,
        _ => Reason::UpstreamConnectFailure,
    };
    ConnectFailure::new(reason, error.id(), error.to_string())
}

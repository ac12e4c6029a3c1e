//! Connect: a connection to the picked endpoint, from its pools or new, secured as the endpoint asks.

mod http;
mod kept;
mod outside;
mod secure;

pub(crate) use http::{Connection, Wanted, app, http};

use std::net::SocketAddr;
use std::rc::Rc;

use tokio::io::AsyncWriteExt as _;
use wattle_model::Reason;
use wattle_model::traffic::{ProxyProtocol, Tunnel};
use wattle_net::{ConnectError, Stream, proxy_protocol};

use crate::identity::Alpn;
use crate::worker::{Proof, Security, Upstream, Worker};

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

/// A connection, with what it rests on where it is one of the mesh.
pub(crate) type Opened = (Stream, Option<Rc<Proof>>);

/// A connection for opaque bytes; `whose` are the client's address and the one it dialled.
pub(crate) async fn opaque(
    worker: &Worker,
    upstream: &Upstream,
    whose: (SocketAddr, SocketAddr),
) -> Result<Opened, ConnectFailure> {
    let stream = dial(worker, upstream, Some(whose)).await?;
    let (stream, proof) = match upstream.security() {
        Security::AsEndpoint | Security::Plaintext => (stream, None),
        Security::Mesh => {
            let secured = secure::secure(worker, upstream, stream, &[Alpn::Opaque]).await?;
            (secured.stream, Some(secured.proof))
        }
        Security::Outside => {
            let name = outside::name(upstream, None)?;
            let secured = outside::originate(worker, upstream, (stream, name), outside::OPAQUE).await?;
            (secured.stream, None)
        }
    };
    let stream = match upstream.bounds.tunnel() {
        None => stream,
        Some(tunnel) => through(worker, upstream, stream, &tunnel).await?,
    };
    Ok((stream, proof))
}

async fn through(
    worker: &Worker,
    upstream: &Upstream,
    stream: Stream,
    tunnel: &Tunnel,
) -> Result<Stream, ConnectFailure> {
    if tunnel.post {
        return Err(ConnectFailure::new(
            Reason::UpstreamTunnelFailure,
            "tunnel_by_post",
            "tunnels by POST are not supported",
        ));
    }
    let target = match tunnel.host.contains(':') {
        true => format!("[{}]:{}", tunnel.host, tunnel.port),
        false => format!("{}:{}", tunnel.host, tunnel.port),
    };
    let timeout = worker.outward_to(&upstream.bounds).timeout;
    wattle_net::tunnel::through(stream, &target, timeout)
        .await
        .map_err(|error| ConnectFailure::new(Reason::UpstreamTunnelFailure, error.id(), error.to_string()))
}

async fn plain(worker: &Worker, upstream: &Upstream) -> Result<Stream, ConnectFailure> {
    dial(worker, upstream, None).await
}

/// Dials, and says first whose connection it is where the policy asks for that; a connection that many clients share is
/// the proxy's own.
async fn dial(
    worker: &Worker,
    upstream: &Upstream,
    whose: Option<(SocketAddr, SocketAddr)>,
) -> Result<Stream, ConnectFailure> {
    let options = worker.outward_to(&upstream.bounds);
    let socket = wattle_net::connect(upstream.address, &options).await;
    let mut stream = Stream::from(socket.map_err(|error| failure(&error))?);
    let Some(version) = upstream.bounds.proxy_protocol() else {
        return Ok(stream);
    };
    let own = stream.local_addr().zip(Some(upstream.address));
    let (source, destination) = whose.or(own).unwrap_or((upstream.address, upstream.address));
    let header = match version {
        ProxyProtocol::V1 => proxy_protocol::v1(source, destination),
        ProxyProtocol::V2 => proxy_protocol::v2(source, destination),
    };
    // Fits the socket's empty buffer: this waits for nobody.
    match stream.write_all(&header).await {
        Ok(()) => Ok(stream),
        Err(error) => Err(ConnectFailure::new(
            Reason::UpstreamConnectFailure,
            "proxy_protocol",
            error.to_string(),
        )),
    }
}

pub(super) fn failure(error: &ConnectError) -> ConnectFailure {
    let reason = match error {
        ConnectError::TimedOut { .. } => Reason::UpstreamConnectTimeout,
        _ => Reason::UpstreamConnectFailure,
    };
    ConnectFailure::new(reason, error.id(), error.to_string())
}

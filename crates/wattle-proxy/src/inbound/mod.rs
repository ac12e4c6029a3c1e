//! The inbound side: what comes to the workload. Reads as the order of the phases.

mod apps;
mod http;
mod metrics;
mod plaintext;
mod staying;
mod tcp;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use tokio::net::TcpStream;
use wattle_http::{h1, h2};
use wattle_identity::{Rejection, SpiffeId};
use wattle_model::{Inbound, MtlsMode, Protocol};
use wattle_net::Stream;
use wattle_telemetry::Reporter;

use crate::identity::Alpn;
use crate::phases::accept::{Accepted, accept};
use crate::phases::detect::{self, Spoken};
use crate::phases::identify::{self, Identified};
use crate::phases::refuse;
use crate::phases::relay::Opaque;
use crate::phases::reply;
use crate::worker::{Proof, Worker};
pub(crate) use apps::{App, Apps};
use http::Requests;

/// A connection to the workload whose peer is known, or known to be nobody.
pub(crate) struct Arrived {
    pub(crate) stream: Stream,
    pub(crate) who: Rc<Who>,
}

/// Who connected, and where to.
pub(crate) struct Who {
    /// Address of the peer.
    pub(crate) downstream: SocketAddr,
    /// Address of the workload that was dialled.
    pub(crate) local: SocketAddr,
    /// Who it is; `None` for plaintext.
    pub(crate) peer: Option<SpiffeId>,
    /// What the connection rests on; `None` for plaintext.
    pub(crate) proof: Option<Rc<Proof>>,
    /// Name that the client asked for in TLS, its own or the mesh's.
    pub(crate) sni: Option<Rc<str>>,
}

impl Who {
    /// Hears when an HTTP connection has to finish: the worker drains, or the peer is not believed any more.
    fn finishing(&self, worker: &Worker) -> wattle_http::Drain {
        match &self.proof {
            Some(proof) => proof.finishing(),
            None => worker.http_drain.subscribe(),
        }
    }

    /// Is the peer's certificate on a list of revoked ones by now?
    fn is_revoked(&self) -> bool {
        let proof = self.proof.as_ref();
        proof.is_some_and(|proof| matches!(proof.rejection(), Some(Rejection::Revoked)))
    }

    /// Waits until the peer is not believed any more; for ever where it is nobody.
    async fn rejected(&self) -> &Rejection {
        match &self.proof {
            Some(proof) => proof.rejected().await,
            None => std::future::pending().await,
        }
    }
}

/// Serves one connection to the workload.
pub(crate) async fn serve(worker: Rc<Worker>, socket: TcpStream, peer: SocketAddr) {
    let Some(accepted) = accept(socket, peer, worker.settings.inbound) else {
        return;
    };
    let Some(inbound) = worker.inbound_ready().await else {
        tracing::warn!(%peer, "connection refused: no configuration for the workload yet");
        return accepted.stream.abort();
    };
    if let Err(error) = arrive(&worker, accepted, &inbound).await {
        tracing::debug!(%peer, %error, "connection failed");
    }
}

/// Mutual TLS or plaintext: by what the client says first, and by what the port asks for.
async fn arrive(worker: &Rc<Worker>, mut accepted: Accepted, inbound: &Inbound) -> io::Result<()> {
    let port = inbound.port(accepted.destination.port());
    let strict = port.mtls == MtlsMode::Strict;
    // Under STRICT the client begins with TLS, and on a port of HTTP with that or a request; elsewhere a server may speak
    // first.
    let first = if port.protocol.is_http() {
        detect::client_first(&mut accepted.stream).await.map(Some)
    } else {
        detect::client_hello(&mut accepted.stream, strict).await
    };
    match first? {
        Some(Spoken::Tls(hello)) if identify::is_for_mesh(&hello, &port) => {
            secured(worker, accepted, hello.sni).await
        }
        spoken => plaintext::serve(worker, accepted, spoken, port.protocol).await,
    }
}

/// Serves a connection that begins with the mesh's TLS.
pub(crate) async fn secured(worker: &Rc<Worker>, accepted: Accepted, sni: Option<String>) -> io::Result<()> {
    let Accepted {
        stream,
        peer,
        destination,
    } = accepted;
    let Identified {
        stream,
        peer: id,
        proof,
        alpn,
        speaks_first,
        key_exchange,
    } = match identify::identify(worker, stream).await {
        Ok(identified) => identified,
        Err(turned_away) => {
            identify::log(&turned_away, peer, destination.port());
            metrics::turned_away(worker, turned_away.reason);
            let who = Who {
                downstream: peer,
                local: destination,
                peer: None,
                proof: None,
                sni: sni.map(Into::into),
            };
            let mut opaque = Opaque::begin(worker, peer, destination);
            let why = (turned_away.reason, "");
            opaque.names.reporter = Reporter::Destination;
            opaque.names.server_name = who.sni.clone();
            opaque.names.refusal = Some(refuse::keep(worker, &who, why, None));
            opaque.refused(
                worker,
                None,
                turned_away.reason,
                reply::flags(wattle_model::Reason::DownstreamTlsFailure),
            );
            return Ok(());
        }
    };
    metrics::secured(worker, &id, key_exchange);
    let arrived = Arrived {
        stream,
        who: Rc::new(Who {
            downstream: peer,
            local: destination,
            peer: Some(id),
            proof: Some(proof),
            sni: sni.map(Into::into),
        }),
    };
    match alpn {
        Some(Alpn::Multiplexed) => serve_http2(worker, arrived, true).await,
        Some(Alpn::Http2 | Alpn::Program) => serve_http2(worker, arrived, false).await,
        Some(Alpn::Http1) => serve_http1(worker, arrived).await,
        Some(Alpn::Opaque) => tcp::carry(worker, arrived).await,
        None => by_bytes(worker, arrived, speaks_first).await?,
    }
    Ok(())
}

/// The peer named no protocol of the mesh: the declared one, else what its bytes say.
async fn by_bytes(worker: &Rc<Worker>, mut arrived: Arrived, speaks_first: bool) -> io::Result<()> {
    let declared = worker
        .inbound()
        .map_or(Protocol::Detect, |i| i.port(arrived.who.local.port()).protocol);
    let spoken = match declared {
        Protocol::Detect if speaks_first => detect::begun(&mut arrived.stream).await?,
        declared => detect::spoken(&mut arrived.stream, declared).await?,
    };
    match spoken {
        Spoken::Http1 => serve_http1(worker, arrived).await,
        Spoken::Http2 => serve_http2(worker, arrived, false).await,
        Spoken::Tls(_) | Spoken::Opaque | Spoken::Silent => tcp::carry(worker, arrived).await,
    }
    Ok(())
}

pub(crate) async fn serve_http1(worker: &Rc<Worker>, arrived: Arrived) {
    let downstream = arrived.who.downstream;
    let (limits, drain) = (worker.limits.clone(), arrived.who.finishing(worker));
    let (stream, requests) = Requests::on(worker, arrived, false);
    if let Err(error) = h1::serve(stream, Bytes::new(), requests, limits, drain).await {
        tracing::debug!(peer = %downstream, %error, "http connection ended");
    }
}

pub(crate) async fn serve_http2(worker: &Rc<Worker>, arrived: Arrived, marked: bool) {
    let downstream = arrived.who.downstream;
    let limits = match arrived.who.peer {
        Some(_) => worker.limits.clone(),
        None => worker.stranger_limits.clone(),
    };
    let drain = arrived.who.finishing(worker);
    let (stream, requests) = Requests::on(worker, arrived, marked);
    if let Err(error) = h2::serve(stream, Bytes::new(), requests, limits, drain).await {
        tracing::debug!(peer = %downstream, %error, "http/2 connection ended");
    }
}

/// Where the application listens for what was sent to this address of the workload.
pub(crate) fn target(inbound: Option<&Inbound>, local: SocketAddr) -> SocketAddr {
    inbound
        .and_then(|inbound| inbound.port(local.port()).target)
        .unwrap_or(local)
}

/// The application's port behind this address of the workload.
fn app(worker: &Worker, local: SocketAddr) -> Rc<App> {
    worker.apps.at(worker, target(worker.inbound().as_deref(), local))
}

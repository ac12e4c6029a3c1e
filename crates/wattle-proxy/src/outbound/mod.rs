//! The outbound side: what the workload sends. Reads as the order of the phases.

mod attempt;
mod forward;
mod http;
mod metrics;
mod mirror;
mod retries;
mod tcp;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use tokio::net::TcpStream;
use wattle_http::{h1, h2};

use crate::phases::accept::{Accepted, accept};
use crate::phases::detect::{self, Spoken};
use crate::phases::relay::Opaque;
use crate::phases::{reply, route};
use crate::worker::{Service, Worker};
pub(crate) use mirror::Mirrors;

use http::Outbound;

/// Serves one connection of the workload.
pub(crate) async fn serve(worker: Rc<Worker>, socket: TcpStream, peer: SocketAddr) {
    let Some(accepted) = accept(socket, peer, worker.settings.outbound) else {
        return;
    };
    let service = match worker.destinations.find(&worker, accepted.destination).await {
        Ok(service) => service,
        Err(reason) => {
            let opaque = Opaque::begin(&worker, accepted.peer, accepted.destination);
            opaque.refused(&worker, None, reason.id(), reply::flags(reason));
            return accepted.stream.abort();
        }
    };
    if let Err(error) = carry(&worker, accepted, service).await {
        tracing::debug!(%peer, %error, "connection failed");
    }
}

async fn carry(worker: &Rc<Worker>, mut accepted: Accepted, service: Rc<Service>) -> io::Result<()> {
    let own = worker.inbound();
    let caller = route::caller(own.as_deref(), accepted.peer.ip());
    // What may not be reached is refused in the terms of what is spoken.
    let service = route::in_scope(worker, &service, &caller, accepted.destination).unwrap_or(service);
    let destination = &service.destination;
    let by_name = destination
        .connections
        .iter()
        .any(|route| !route.matches.server_names.is_empty());
    let spoken = match by_name {
        true => detect::spoken_by_name(&mut accepted.stream, destination.protocol).await?,
        false => detect::spoken(&mut accepted.stream, destination.protocol).await?,
    };
    let spoken = match spoken {
        Spoken::Silent if !tcp::takes_the_silent(worker, &accepted, destination) => {
            detect::begun(&mut accepted.stream).await?
        }
        spoken => spoken,
    };
    match spoken {
        Spoken::Http1 => serve_http(worker, accepted, service, false).await,
        Spoken::Http2 => serve_http(worker, accepted, service, true).await,
        Spoken::Tls(hello) => tcp::carry(worker, accepted, &service, hello.sni.as_deref()).await,
        Spoken::Opaque => tcp::carry(worker, accepted, &service, None).await,
        Spoken::Silent => {
            if let Some((accepted, http2)) = silent(worker, accepted, &service).await {
                serve_http(worker, accepted, service, http2).await;
            }
        }
    }
    Ok(())
}

/// Nobody said a word yet: dial, and let whichever side speaks first decide. Gives back a connection that speaks HTTP, and
/// whether that is HTTP/2.
async fn silent(
    worker: &Rc<Worker>,
    mut accepted: Accepted,
    service: &Rc<Service>,
) -> Option<(Accepted, bool)> {
    let Some(mut dialled) = tcp::dial(worker, &accepted, service, None).await else {
        accepted.stream.abort();
        return None;
    };
    match dialled.first_word(&mut accepted.stream).await {
        Ok(Spoken::Http1) => return Some((accepted, false)),
        Ok(Spoken::Http2) => return Some((accepted, true)),
        Ok(_) => dialled.carry(worker, accepted.stream).await,
        Err(error) => tracing::debug!(peer = %accepted.peer, %error, "connection failed before a word"),
    }
    None
}

async fn serve_http(worker: &Rc<Worker>, accepted: Accepted, service: Rc<Service>, http2: bool) {
    let Accepted {
        stream,
        peer,
        destination,
    } = accepted;
    let handler = Rc::new(Outbound {
        worker: worker.clone(),
        service,
        downstream: peer,
        local: destination,
    });
    let (limits, drain) = (worker.limits.clone(), worker.http_drain.subscribe());
    let served = match http2 {
        false => h1::serve(stream, Bytes::new(), handler, limits, drain).await,
        true => h2::serve(stream, Bytes::new(), handler, limits, drain).await,
    };
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "http connection ended");
    }
}

//! Opaque connections to the workload.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use wattle_model::Reason;
use wattle_net::detect::Speaker;
use wattle_net::{Stream, first_speaker};

use super::{Arrived, Who, metrics, serve_http1, serve_http2};
use crate::phases::authorize;
use crate::phases::detect::{self, Spoken};
use crate::phases::relay::Opaque;
use crate::phases::reply;
use crate::worker::Worker;

/// Longest time for either side of an undeclared connection to say the first word.
const FIRST_WORD: Duration = Duration::from_secs(600);

/// Authorizes, dials the application and relays.
pub(super) async fn carry(worker: &Rc<Worker>, arrived: Arrived) {
    if let Err(reason) = allowed(worker, &arrived.who) {
        return refuse(worker, arrived, reason);
    }
    match dial(worker, &arrived.who).await {
        Ok(app) => relay(worker, arrived, app).await,
        Err(reason) => refuse(worker, arrived, reason),
    }
}

/// A plaintext client that says nothing: the application is dialled, and whichever side speaks first decides.
pub(super) async fn silent(worker: &Rc<Worker>, mut arrived: Arrived) -> io::Result<()> {
    if let Err(reason) = allowed(worker, &arrived.who) {
        // Nothing is dialled for a client that may not speak opaquely; requests may still be allowed.
        match detect::begun(&mut arrived.stream).await? {
            Spoken::Http1 => serve_http1(worker, arrived).await,
            Spoken::Http2 => serve_http2(worker, arrived, false).await,
            _ => refuse(worker, arrived, reason),
        }
        return Ok(());
    }
    let mut app = match dial(worker, &arrived.who).await {
        Ok(app) => app,
        Err(reason) => {
            refuse(worker, arrived, reason);
            return Ok(());
        }
    };
    let waiting = tokio::time::timeout(FIRST_WORD, first_speaker(&mut arrived.stream, &mut app));
    let spoken = match waiting.await?? {
        Speaker::Client => detect::begun(&mut arrived.stream).await?,
        Speaker::Server | Speaker::ClientClosed | Speaker::ServerClosed => Spoken::Opaque,
    };
    match spoken {
        Spoken::Http1 => serve_http1(worker, arrived).await,
        Spoken::Http2 => serve_http2(worker, arrived, false).await,
        // Only now is it certain that no request will come: the connection itself is authorized.
        _ => match allowed(worker, &arrived.who) {
            Ok(()) => relay(worker, arrived, app).await,
            Err(reason) => refuse(worker, arrived, reason),
        },
    }
    Ok(())
}

fn allowed(worker: &Worker, who: &Who) -> Result<(), Reason> {
    let inbound = worker.inbound().ok_or(Reason::ConfigUnavailable)?;
    let connection = authorize::facts(who.peer.as_ref(), who.downstream.ip(), who.local.port());
    authorize::authorize(&inbound, &connection, None)
}

async fn dial(worker: &Worker, who: &Who) -> Result<Stream, Reason> {
    match wattle_net::connect(who.local, &worker.homeward(who.local)).await {
        Ok(socket) => Ok(socket.into()),
        Err(error) => {
            tracing::debug!(%error, "application not reached");
            Err(Reason::UpstreamConnectFailure)
        }
    }
}

async fn relay(worker: &Rc<Worker>, arrived: Arrived, app: Stream) {
    let metrics = Rc::new(metrics::tcp(worker, &arrived.who));
    let mut opaque = begin(worker, &arrived.who);
    opaque.upstream = Some(arrived.who.local);
    opaque.carry(worker, metrics, arrived.stream, app).await;
}

fn refuse(worker: &Worker, arrived: Arrived, reason: Reason) {
    tracing::info!(
        peer = %arrived.who.downstream, id = arrived.who.peer.as_ref().map(tracing::field::display),
        port = arrived.who.local.port(), reason = reason.id(), "connection refused"
    );
    let metrics = metrics::tcp(worker, &arrived.who);
    begin(worker, &arrived.who).refused(worker, Some(&metrics), reason.id(), reply::flags(reason));
    arrived.stream.abort();
}

fn begin(worker: &Worker, who: &Who) -> Opaque {
    let mut opaque = Opaque::begin(worker, who.downstream, who.local);
    opaque.names.source = who.peer.as_ref().map(|id| id.as_str().into());
    opaque
}

//! Opaque connections to the workload.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use wattle_model::{Protocol, Reason};
use wattle_net::detect::Speaker;
use wattle_net::{Stream, first_speaker};

use super::{Arrived, Who, metrics, secured, serve_http1, serve_http2};
use crate::phases::accept::Accepted;
use crate::phases::authorize;
use crate::phases::detect::{self, Spoken};
use crate::phases::identify;
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

/// A client that says nothing: the application is dialled, and whichever side speaks first decides. A proxy of the mesh
/// that was slow to begin is still heard.
pub(super) async fn silent(worker: &Rc<Worker>, mut arrived: Arrived, declared: Protocol) -> io::Result<()> {
    if let Err(reason) = allowed(worker, &arrived.who) {
        // Nothing is dialled for a client that may not speak opaquely; requests may still be allowed.
        let spoken = detect::begun(&mut arrived.stream).await?;
        if let Some(arrived) = requests(worker, arrived, spoken, declared).await? {
            refuse(worker, arrived, reason);
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
    let Some(arrived) = requests(worker, arrived, spoken, declared).await? else {
        return Ok(());
    };
    // Only now is it certain that no request will come: the connection itself is authorized.
    match allowed(worker, &arrived.who) {
        Ok(()) => relay(worker, arrived, app).await,
        Err(reason) => refuse(worker, arrived, reason),
    }
    Ok(())
}

/// Serves what is more than opaque bytes: TLS of the mesh, and requests where nothing is declared. Gives the rest back.
async fn requests(
    worker: &Rc<Worker>,
    arrived: Arrived,
    spoken: Spoken,
    declared: Protocol,
) -> io::Result<Option<Arrived>> {
    match spoken {
        Spoken::Tls(hello) if identify::is_mesh(&hello) => {
            let accepted = Accepted {
                stream: arrived.stream,
                peer: arrived.who.downstream,
                destination: arrived.who.local,
            };
            // What is inside may be silent in turn: a future of its own size.
            Box::pin(secured(worker, accepted)).await?;
        }
        Spoken::Http1 if declared == Protocol::Detect => serve_http1(worker, arrived).await,
        Spoken::Http2 if declared == Protocol::Detect => serve_http2(worker, arrived, false).await,
        _ => return Ok(Some(arrived)),
    }
    Ok(None)
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

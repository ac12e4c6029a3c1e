//! Opaque connections to the workload.

use std::io;
use std::rc::Rc;
use std::time::Duration;

use wattle_balance::Permit;
use wattle_model::{Inbound, Protocol, Reason};
use wattle_net::detect::Speaker;
use wattle_net::{Stream, first_speaker};
use wattle_telemetry::Reporter;

use super::staying::{self, LetIn};
use super::{App, Arrived, Who, metrics, secured, serve_http1, serve_http2};
use crate::phases::accept::Accepted;
use crate::phases::authorize;
use crate::phases::detect::{self, Spoken};
use crate::phases::external;
use crate::phases::identify;
use crate::phases::refuse;
use crate::phases::relay::Opaque;
use crate::phases::reply;
use crate::phases::trial::Marks;
use crate::worker::{Connecting, Worker};

/// Longest time for either side of an undeclared connection to say the first word.
const FIRST_WORD: Duration = Duration::from_secs(600);

/// Authorizes, dials the application and relays.
pub(super) async fn carry(worker: &Rc<Worker>, arrived: Arrived) {
    let judged = worker.inbound();
    if let Err(reason) = asked(worker, &arrived.who).await {
        return refuse(worker, arrived, reason);
    }
    match dial(worker, &arrived.who).await {
        Ok(app) => relay(worker, (arrived, judged), app).await,
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
    let waiting = tokio::time::timeout(FIRST_WORD, first_speaker(&mut arrived.stream, &mut app.stream));
    let spoken = match waiting.await?? {
        Speaker::Client => detect::begun(&mut arrived.stream).await?,
        Speaker::Server | Speaker::ClientClosed | Speaker::ServerClosed => Spoken::Opaque,
    };
    // A connection to the application that carries nothing must not stay in its place.
    let app = if is_opaque(&spoken, declared) {
        Some(app)
    } else {
        None
    };
    let (Some(arrived), Some(app)) = (requests(worker, arrived, spoken, declared).await?, app) else {
        return Ok(());
    };
    // Only now is it certain that no request will come: the connection itself is authorized.
    let judged = worker.inbound();
    match asked(worker, &arrived.who).await {
        Ok(()) => relay(worker, (arrived, judged), app).await,
        Err(reason) => refuse(worker, arrived, reason),
    }
    Ok(())
}

/// True for bytes that are carried as they are.
fn is_opaque(spoken: &Spoken, declared: Protocol) -> bool {
    match spoken {
        Spoken::Tls(hello) => !identify::is_mesh(hello),
        Spoken::Http1 | Spoken::Http2 => declared != Protocol::Detect,
        Spoken::Opaque | Spoken::Silent => true,
    }
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
            Box::pin(secured(worker, accepted, hello.sni)).await?;
        }
        Spoken::Http1 if declared == Protocol::Detect => serve_http1(worker, arrived).await,
        Spoken::Http2 if declared == Protocol::Detect => serve_http2(worker, arrived, false).await,
        _ => return Ok(Some(arrived)),
    }
    Ok(None)
}

/// Is it allowed, by those who must be asked as well?
pub(super) async fn asked(worker: &Rc<Worker>, who: &Who) -> Result<(), Reason> {
    let inbound = worker.inbound().ok_or(Reason::ConfigUnavailable)?;
    if !inbound.authorization.external.is_empty() {
        let asks = external::asks(&inbound, &authorize::facts(who), None)?;
        Box::pin(external::connection(worker, who, &asks)).await?;
    }
    allowed(worker, who)
}

/// Is it allowed by policy?
pub(super) fn allowed(worker: &Worker, who: &Who) -> Result<(), Reason> {
    let inbound = worker.inbound().ok_or(Reason::ConfigUnavailable)?;
    let connection = authorize::facts(who);
    authorize::authorize(&inbound, &connection, None)
}

/// A connection to the application.
struct Dialled {
    stream: Stream,
    place: Place,
}

/// A connection's place among those that are open to the application.
struct Place {
    app: Rc<App>,
    counted: Option<Permit>,
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.counted.take());
        self.app.bounds.free();
    }
}

async fn dial(worker: &Worker, who: &Who) -> Result<Dialled, Reason> {
    let app = super::app(worker, who.local);
    let counted = match app.bounds.connection() {
        Connecting::Uncounted => None,
        Connecting::Counted(permit) => Some(permit),
        Connecting::Full => return Err(Reason::UpstreamOverflow),
    };
    let place = Place { app, counted };
    match wattle_net::connect(place.app.address, &worker.homeward(&place.app)).await {
        Ok(socket) => Ok(Dialled {
            stream: socket.into(),
            place,
        }),
        Err(error) => {
            tracing::debug!(%error, "application not reached");
            Err(Reason::UpstreamConnectFailure)
        }
    }
}

/// `judged` is what it was let in by: a change since then is not missed.
async fn relay(worker: &Rc<Worker>, (arrived, judged): (Arrived, Option<Rc<Inbound>>), dialled: Dialled) {
    let metrics = Rc::new(metrics::tcp(worker, &arrived.who));
    let mut opaque = begin(worker, &arrived.who);
    let Dialled { stream, place } = dialled;
    opaque.upstream = Some(place.app.address);
    opaque.limits = place.app.bounds.relaying();
    let let_in = LetIn {
        who: arrived.who,
        request: None,
        judged,
    };
    opaque.staying = Some(staying::of(worker, let_in));
    opaque.carry(worker, metrics, arrived.stream, stream).await;
    drop(place);
}

fn refuse(worker: &Worker, arrived: Arrived, reason: Reason) {
    tracing::info!(
        peer = %arrived.who.downstream, id = arrived.who.peer.as_ref().map(tracing::field::display),
        port = arrived.who.local.port(), reason = reason.id(), "connection refused"
    );
    let metrics = metrics::tcp(worker, &arrived.who);
    let mut opaque = begin(worker, &arrived.who);
    opaque.names.refusal = Some(refuse::keep(worker, &arrived.who, (reason.id(), ""), None));
    opaque.refused(worker, Some(&metrics), reason.id(), reply::flags(reason));
    arrived.stream.abort();
}

fn begin(worker: &Worker, who: &Who) -> Opaque {
    let mut opaque = Opaque::begin(worker, who.downstream, who.local);
    opaque.names.server_name = who.sni.clone();
    opaque.names.reporter = Reporter::Destination;
    opaque.names.source = who.peer.as_ref().map(|id| id.as_str().into());
    if let Some(inbound) = worker.inbound()
        && inbound.authorization.tries_or_audits()
    {
        Marks::of(worker, &inbound, &authorize::facts(who), None).tell(&mut opaque.names);
    }
    opaque
}

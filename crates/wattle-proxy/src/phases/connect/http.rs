//! Connections that carry HTTP: multiplexed where both ends can, else one request at a time.

use std::rc::Rc;

use http::Version;
use wattle_balance::{Acquired, Shared, Streams};
use wattle_http::{RequestHead, h1, h2};
use wattle_model::{Hop, Reason};
use wattle_net::Stream;

use super::{ConnectFailure, Opened, failure, kept, outside, plain, secure};
use crate::identity::Alpn;
use crate::inbound::App;
use crate::worker::{Bounds, Connecting, HttpPool, Proof, Security, Upstream, Uses, Worker};

/// A connection with room for one request.
pub(crate) enum Connection {
    /// Shared by many requests; `marked` when HTTP/1 requests travel on it as such.
    Multiplexed { client: h2::Client, marked: bool },
    /// For this request alone; with what it rests on, where it is one of the mesh.
    Http1(h1::Client, Option<Rc<Proof>>),
}

/// Where multiplexed connections are kept.
type Pool = Shared<h2::Client>;

impl Connection {
    /// The same, with HTTP/1 requests travelling as such or not.
    fn marked(self, marked: bool) -> Self {
        match self {
            Self::Multiplexed { client, .. } => Self::Multiplexed { client, marked },
            other @ Self::Http1(..) => other,
        }
    }

    /// Does the far proxy speak for itself on it, so that its own replies can be told from the application's?
    pub(crate) fn is_marked(&self) -> bool {
        matches!(self, Self::Multiplexed { marked: true, .. })
    }
}

/// What a request needs of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// HTTP/1 as it came.
    Http1,
    /// HTTP/1 that becomes a tunnel when accepted (upgrade, CONNECT).
    Http1Tunnel,
    /// HTTP/2 as it came.
    Http2,
}

impl Wanted {
    /// By the request's version, and whether it asks for a tunnel.
    pub(crate) fn by(head: &RequestHead) -> Self {
        if head.version >= Version::HTTP_2 {
            Self::Http2
        } else if head.asks_for_tunnel() {
            Self::Http1Tunnel
        } else {
            Self::Http1
        }
    }
}

/// Offer for HTTP/1 requests: multiplexed if the peer is a Wattle proxy.
const OFFER_HTTP1: &[Alpn] = &[Alpn::Multiplexed, Alpn::Http1];
/// Offer for HTTP/2 requests, also to a server without a proxy.
const OFFER_HTTP2: &[Alpn] = &[Alpn::Multiplexed, Alpn::Http2, Alpn::Program];
/// Offer where the bytes after the request are not HTTP, or by setting.
const OFFER_ONE: &[Alpn] = &[Alpn::Http1];

/// A connection to an endpoint of the mesh or beyond it; `authority` is the request's.
pub(crate) async fn http(
    worker: &Worker,
    upstream: &Upstream,
    wanted: Wanted,
    authority: &str,
) -> Result<Connection, ConnectFailure> {
    let wanted = match wanted {
        // A tunnel stays HTTP/1.1: its bytes are the connection's.
        Wanted::Http1 if upstream.bounds.hop().http2 => Wanted::Http2,
        wanted => wanted,
    };
    let mesh = match upstream.security() {
        Security::Mesh => Hop::MutualTls,
        Security::Outside => return originated(worker, upstream, wanted, authority).await,
        Security::Plaintext | Security::AsEndpoint => Hop::Plaintext,
    };
    match (mesh, wanted) {
        (Hop::Plaintext, Wanted::Http2) => {
            multiplexed((worker, &upstream.bounds), &upstream.http2, false, async || {
                plain(worker, upstream).await.map(Dialled::Http2)
            })
            .await
        }
        (Hop::Plaintext, _) => {
            single(worker, &upstream.http1, async || {
                Ok((plain(worker, upstream).await?, None))
            })
            .await
        }
        (Hop::MutualTls, Wanted::Http1Tunnel) => over_http1(worker, upstream).await,
        (Hop::MutualTls, Wanted::Http1)
            if worker.settings.http1_hop || upstream.http1_only.get() || upstream.http2_only.get() =>
        {
            over_http1(worker, upstream).await
        }
        (Hop::MutualTls, wanted) => {
            let offer = if wanted == Wanted::Http2 {
                OFFER_HTTP2
            } else {
                OFFER_HTTP1
            };
            let connection = multiplexed((worker, &upstream.bounds), &upstream.http2, true, async || {
                let secured = secure::secure(worker, upstream, plain(worker, upstream).await?, offer).await?;
                Ok(match secured.alpn {
                    Some(Alpn::Http1) => {
                        upstream.http1_only.set(true);
                        Dialled::Http1(secured.stream)
                    }
                    Some(Alpn::Http2 | Alpn::Program) => {
                        upstream.http2_only.set(true);
                        Dialled::Http2(secured.stream)
                    }
                    Some(Alpn::Multiplexed) => Dialled::Http2(secured.stream),
                    Some(Alpn::Opaque) | None => {
                        return Err(ConnectFailure::new(
                            Reason::UpstreamTlsFailure,
                            "no_protocol",
                            "the far proxy agreed to none of the protocols offered",
                        ));
                    }
                })
            })
            .await?;
            Ok(connection.marked(!upstream.http2_only.get()))
        }
    }
}

/// A connection that is secured by TLS of the outside world.
async fn originated(
    worker: &Worker,
    upstream: &Upstream,
    wanted: Wanted,
    authority: &str,
) -> Result<Connection, ConnectFailure> {
    let name = outside::name(upstream, Some(authority))?;
    let named = upstream
        .bounds
        .is_named_by_request()
        .then(|| upstream.named(worker, &name));
    let (http1, http2, http1_only) = match &named {
        Some(named) => (&named.http1, &named.http2, &named.http1_only),
        None => (&upstream.http1, &upstream.http2, &upstream.http1_only),
    };
    let dial = async |offer| {
        let stream = plain(worker, upstream).await?;
        outside::originate(worker, upstream, (stream, name), offer).await
    };
    if wanted != Wanted::Http2 || http1_only.get() {
        let dial = async || Ok((dial(outside::HTTP1).await?.stream, None));
        return single(worker, http1, dial).await;
    }
    multiplexed((worker, &upstream.bounds), http2, false, async || {
        let originated = dial(outside::HTTP2).await?;
        Ok(match originated.is_http2 {
            true => Dialled::Http2(originated.stream),
            false => {
                http1_only.set(true);
                Dialled::Http1(originated.stream)
            }
        })
    })
    .await
}

/// A connection to the application itself.
pub(crate) async fn app(worker: &Worker, app: &App, wanted: Wanted) -> Result<Connection, ConnectFailure> {
    let dial = async || {
        let socket = wattle_net::connect(app.address, &worker.homeward(app)).await;
        socket.map(Stream::from).map_err(|error| failure(&error))
    };
    match wanted {
        Wanted::Http2 => {
            multiplexed((worker, &app.bounds), &app.http2, false, async || {
                dial().await.map(Dialled::Http2)
            })
            .await
        }
        Wanted::Http1 | Wanted::Http1Tunnel => {
            single(worker, &app.http1, async || Ok((dial().await?, None))).await
        }
    }
}

/// What a dialled connection turned out to carry.
enum Dialled {
    Http2(Stream),
    Http1(Stream),
}

async fn over_http1(worker: &Worker, upstream: &Upstream) -> Result<Connection, ConnectFailure> {
    single(worker, &upstream.http1, async || {
        let stream = plain(worker, upstream).await?;
        let secured = secure::secure(worker, upstream, stream, OFFER_ONE).await?;
        Ok((secured.stream, Some(secured.proof)))
    })
    .await
}

async fn single(
    worker: &Worker,
    pool: &Rc<HttpPool>,
    dial: impl AsyncFnOnce() -> Result<Opened, ConnectFailure>,
) -> Result<Connection, ConnectFailure> {
    let _waiting = match pool.check_out(worker.clock.recent_ns()) {
        Some((client, proof)) => return Ok(Connection::Http1(client, proof)),
        None => pool.bounds().pending().map_err(over_bound)?,
    };
    let counted = loop {
        match pool.bounds().connection() {
            Connecting::Uncounted => break None,
            Connecting::Counted(permit) => break Some(permit),
            // Those that hold all places may be other endpoints' and stay idle: each endpoint may have one.
            Connecting::Full if pool.is_empty() => break None,
            Connecting::Full => pool.bounds().freed().await,
        }
        if let Some((client, proof)) = pool.check_out(worker.clock.now_ns()) {
            return Ok(Connection::Http1(client, proof));
        }
    };
    let Some(permit) = pool.permit() else {
        return Err(overflow("too many connections to the endpoint"));
    };
    let (stream, proof) = dial().await?;
    let back = pool.checkin((permit, counted), proof.clone(), worker.clock.now_ns());
    let client = h1::Client::new(stream, worker.limits.clone(), Some(back));
    Ok(Connection::Http1(client, proof))
}

async fn multiplexed(
    (worker, bounds): (&Worker, &Rc<Bounds>),
    pool: &Pool,
    marked: bool,
    dial: impl AsyncFnOnce() -> Result<Dialled, ConnectFailure>,
) -> Result<Connection, ConnectFailure> {
    let uses = bounds.uses();
    let mut waiting = None;
    let ticket = loop {
        let acquired = pool.acquire(|client| streams(client, uses));
        if waiting.is_none() && !matches!(acquired, Acquired::Use(_)) {
            waiting = bounds.pending().map_err(over_bound)?;
        }
        match acquired {
            Acquired::Use(client) => return Ok(Connection::Multiplexed { client, marked }),
            Acquired::Connect(ticket) => break ticket,
            Acquired::Refused => {
                return Err(overflow(
                    "too many requests wait for a connection to the endpoint",
                ));
            }
            Acquired::Wait(waiter) => waiter.await.map_err(|failed| {
                ConnectFailure::new(
                    Reason::UpstreamConnectFailure,
                    "connect_failed",
                    failed.to_string(),
                )
            })?,
        }
    };
    let counted = match bounds.connection() {
        Connecting::Uncounted => None,
        Connecting::Counted(permit) => Some(permit),
        Connecting::Full if pool.live() == 0 => None,
        Connecting::Full => return Err(over_bound(Reason::UpstreamOverflow)),
    };
    match dial().await {
        Ok(Dialled::Http2(stream)) => {
            let client = kept::open(worker, bounds, pool, (stream, counted)).await;
            match client {
                Ok(client) => {
                    ticket.connected(client.clone());
                    Ok(Connection::Multiplexed { client, marked })
                }
                Err(failure) => {
                    ticket.failed();
                    Err(failure)
                }
            }
        }
        Ok(Dialled::Http1(stream)) => {
            // Whoever waits asks again and finds that the peer speaks HTTP/1.1 only.
            drop(ticket);
            let client = h1::Client::new(stream, worker.limits.clone(), None);
            Ok(Connection::Http1(client, None))
        }
        Err(failure) => {
            ticket.failed();
            Err(failure)
        }
    }
}

fn streams(client: &h2::Client, uses: Uses) -> Streams {
    if client.is_closing() || client.requests() >= uses.requests {
        Streams::Closing
    } else {
        let room = uses.streams.saturating_sub(client.active_streams());
        Streams::Available(client.available_streams().min(room))
    }
}

fn overflow(detail: &str) -> ConnectFailure {
    ConnectFailure::new(Reason::Overload, "overflow", detail)
}

/// A bound of the backend's policy is reached.
fn over_bound(reason: Reason) -> ConnectFailure {
    ConnectFailure::new(reason, "overflow", "a bound of the backend's policy is reached")
}

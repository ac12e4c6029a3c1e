//! Detect: what is spoken. A declared protocol is never guessed; on an undeclared port the server may speak first.

use std::io;
use std::time::Duration;

use wattle_model::Protocol;
use wattle_net::{ClientHello, Stream, Verdict, detect};

/// How long an undeclared connection's client may be silent before the server is dialled, so that the server may speak first.
/// Clients that speak first do so with the handshake's last packet; this covers the time to hand it over.
const CLIENT_FIRST: Duration = Duration::from_millis(2);
/// How long a client that began to speak may take to make its protocol clear.
const CLEAR_WITHIN: Duration = Duration::from_secs(10);
/// Longest wait for a client after a server that closed without a word.
const LATE: Duration = Duration::from_secs(1);
/// How long a client of HTTP may stay silent: an idle connection that was opened ahead of need is no error.
const AHEAD_OF_NEED: Duration = Duration::from_secs(3600);

/// What a connection carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Spoken {
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
    /// TLS, not ours to open unless its ALPN says so.
    Tls(ClientHello),
    /// Anything else.
    Opaque,
    /// The client says nothing: only dialling the server tells.
    Silent,
}

/// What a connection carries, given what its port is declared to carry. Reads nothing where the declaration suffices.
pub(crate) async fn spoken(stream: &mut Stream, declared: Protocol) -> io::Result<Spoken> {
    match declared {
        Protocol::Tcp | Protocol::Tls => Ok(Spoken::Opaque),
        Protocol::Http1 | Protocol::Http2 | Protocol::Grpc => http_version(stream).await,
        Protocol::Detect => undeclared(stream).await,
    }
}

/// The same where routes ask for a TLS server name: on a port that is not HTTP the client is heard first, for at most
/// 10 s, or a server name would be missed that decides where to dial.
pub(crate) async fn spoken_by_name(stream: &mut Stream, declared: Protocol) -> io::Result<Spoken> {
    let spoken = match declared {
        Protocol::Http1 | Protocol::Http2 | Protocol::Grpc => return http_version(stream).await,
        Protocol::Tcp | Protocol::Tls | Protocol::Detect => begun(stream).await?,
    };
    Ok(match spoken {
        // Declared opaque stays opaque, whatever it looks like.
        Spoken::Http1 | Spoken::Http2 if declared != Protocol::Detect => Spoken::Opaque,
        spoken => spoken,
    })
}

/// The version of declared HTTP: anything that is not the HTTP/2 preface is treated, and answered, as HTTP/1.
async fn http_version(stream: &mut Stream) -> io::Result<Spoken> {
    match detect(stream, AHEAD_OF_NEED).await?.verdict {
        Verdict::Http2 => Ok(Spoken::Http2),
        _ => Ok(Spoken::Http1),
    }
}

/// What the client of a port of HTTP begins with, however late: it may have connected ahead of need.
pub(crate) async fn client_first(stream: &mut Stream) -> io::Result<Spoken> {
    Ok(meaning(detect(stream, AHEAD_OF_NEED).await?.verdict))
}

async fn undeclared(stream: &mut Stream) -> io::Result<Spoken> {
    let first = detect(stream, CLIENT_FIRST).await?;
    if first.cut_short.is_none() {
        return Ok(meaning(first.verdict));
    }
    if stream.peeked().is_empty() {
        return Ok(Spoken::Silent);
    }
    begun(stream).await
}

/// What a client that has begun to speak is saying.
pub(crate) async fn begun(stream: &mut Stream) -> io::Result<Spoken> {
    Ok(meaning(detect(stream, CLEAR_WITHIN).await?.verdict))
}

/// What a client says that was thought to listen, while the server closed without a word: a server's proxy that judges
/// requests refuses opaque bytes, and the client may have been late.
pub(crate) async fn late(stream: &mut Stream) -> io::Result<Spoken> {
    let first = detect(stream, LATE).await?;
    match first.cut_short.is_some() && !stream.peeked().is_empty() {
        true => begun(stream).await,
        false => Ok(meaning(first.verdict)),
    }
}

/// Looks for TLS in front of whatever the port carries; `None` when the client says nothing at first.
pub(crate) async fn client_hello(stream: &mut Stream, patient: bool) -> io::Result<Option<Spoken>> {
    if patient {
        return begun(stream).await.map(Some);
    }
    match undeclared(stream).await? {
        Spoken::Silent => Ok(None),
        spoken => Ok(Some(spoken)),
    }
}

fn meaning(verdict: Verdict) -> Spoken {
    match verdict {
        Verdict::Http1 => Spoken::Http1,
        Verdict::Http2 => Spoken::Http2,
        Verdict::Tls(hello) => Spoken::Tls(hello),
        Verdict::Opaque | Verdict::NeedMore => Spoken::Opaque,
    }
}

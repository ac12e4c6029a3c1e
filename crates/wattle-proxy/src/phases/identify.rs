//! Identify: mutual TLS of an inbound connection, and who is at the other end.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use wattle_identity::{Peer, Purpose, Rejection, SpiffeId};
use wattle_model::{EffectivePort, MtlsMode};
use wattle_net::{ClientHello, Stream, tls};

use crate::identity::{Alpn, Credentials, HTTP2};
use crate::worker::{Proof, Worker};

/// Longest time for a handshake, from ClientHello to Finished.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A connection whose peer proved who it is.
pub(crate) struct Identified {
    /// The plain bytes.
    pub(crate) stream: Stream,
    /// The peer.
    pub(crate) peer: SpiffeId,
    /// What the connection rests on.
    pub(crate) proof: Rc<Proof>,
    /// What is carried; `None` when the peer named no protocol of the mesh.
    pub(crate) alpn: Option<Alpn>,
    /// The peer said `h2` instead, and so will speak first.
    pub(crate) speaks_first: bool,
    /// How the keys were agreed on, by its name in TLS; empty where the library has none.
    pub(crate) key_exchange: &'static str,
}

/// Why the peer was turned away.
#[derive(Debug)]
pub(crate) struct TurnedAway {
    /// Stable id.
    pub(crate) reason: &'static str,
    /// For the log.
    pub(crate) detail: String,
}

/// Is this ClientHello meant for the mesh, rather than for the application's own TLS?
pub(crate) fn is_mesh(hello: &ClientHello) -> bool {
    hello.alpn.iter().any(|token| Alpn::from_token(token).is_some())
}

/// The same for the first word on a port. Under STRICT nothing else is let in, and an application that speaks HTTP in the
/// clear has no TLS of its own: there a client need not say by its tokens that it is of the mesh.
pub(crate) fn is_for_mesh(hello: &ClientHello, port: &EffectivePort<'_>) -> bool {
    let only_mesh = match port.mtls {
        MtlsMode::Strict => true,
        MtlsMode::Permissive => port.protocol.is_http(),
        MtlsMode::Disable => false,
    };
    only_mesh || is_mesh(hello)
}

/// Completes mutual TLS.
pub(crate) async fn identify(worker: &Worker, stream: Stream) -> Result<Identified, TurnedAway> {
    let Some((credentials, _)) = worker.credentials() else {
        return Err(TurnedAway {
            reason: "no_own_certificate",
            detail: "this proxy has no certificate yet".into(),
        });
    };
    let mut accepted = tls::accept(stream, credentials.server().clone(), HANDSHAKE)
        .await
        .map_err(turned_away)?;
    let checked = checked(worker, &credentials, &mut accepted);
    let (peer, proof) = checked.map_err(|rejection| TurnedAway {
        reason: rejection.id(),
        detail: rejection.to_string(),
    })?;
    let agreed = accepted.agreed.alpn.as_deref();
    Ok(Identified {
        alpn: agreed.and_then(Alpn::from_token),
        speaks_first: agreed == Some(HTTP2),
        stream: accepted.stream,
        peer: credentials.canonical(peer),
        proof,
        key_exchange: accepted
            .agreed
            .key_exchange
            .and_then(|group| group.as_str())
            .unwrap_or_default(),
    })
}

/// Who it is; what a handshake does not see of a resumed session, or of roots that changed meanwhile, is looked at here.
fn checked(
    worker: &Worker,
    credentials: &Credentials,
    accepted: &mut tls::TlsAccepted,
) -> Result<(SpiffeId, Rc<Proof>), Rejection> {
    let chain = std::mem::take(&mut accepted.agreed.peer_certificates);
    let peer = Peer::from_chain(&chain)?;
    peer.check_time(worker.clock.wall())?;
    let proof = worker.proofs.of(worker, Purpose::Client, chain, credentials)?;
    proof.carry(&mut accepted.stream);
    Ok((peer.id().clone(), proof))
}

fn turned_away(error: tls::TlsError) -> TurnedAway {
    match error.protocol().and_then(Rejection::from_tls_error) {
        Some(rejection) => TurnedAway {
            reason: rejection.id(),
            detail: rejection.to_string(),
        },
        None => TurnedAway {
            reason: error.id(),
            detail: described(&error),
        },
    }
}

fn described(error: &tls::TlsError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

/// Writes down that a peer was turned away.
pub(crate) fn log(turned_away: &TurnedAway, peer: SocketAddr, port: u16) {
    tracing::info!(%peer, port, reason = turned_away.reason, detail = turned_away.detail, "peer turned away");
}

#[cfg(test)]
mod tests {
    use wattle_model::Protocol;

    use super::*;

    #[test]
    fn tls_without_a_token_of_the_mesh_is_for_it_where_the_port_leaves_no_other_meaning() {
        let offers = |token: &'static [u8]| ClientHello {
            alpn: vec![token.into()],
            ..ClientHello::default()
        };
        let (mesh, program, nothing) = (offers(b"istio"), offers(b"h2"), ClientHello::default());
        let port = |mtls, protocol| EffectivePort {
            mtls,
            mtls_origin: None,
            protocol,
            service: None,
            target: None,
        };
        for (mtls, protocol, without_token) in [
            (MtlsMode::Strict, Protocol::Grpc, true),
            (MtlsMode::Strict, Protocol::Tcp, true),
            (MtlsMode::Permissive, Protocol::Grpc, true),
            (MtlsMode::Permissive, Protocol::Http1, true),
            (MtlsMode::Permissive, Protocol::Tls, false),
            (MtlsMode::Permissive, Protocol::Tcp, false),
            (MtlsMode::Permissive, Protocol::Detect, false),
            (MtlsMode::Disable, Protocol::Grpc, false),
        ] {
            let port = port(mtls, protocol);
            assert!(is_for_mesh(&mesh, &port), "{mtls:?} {protocol:?}");
            assert_eq!(
                is_for_mesh(&program, &port),
                without_token,
                "{mtls:?} {protocol:?}"
            );
            assert_eq!(
                is_for_mesh(&nothing, &port),
                without_token,
                "{mtls:?} {protocol:?}"
            );
        }
    }
}

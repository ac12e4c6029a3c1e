//! Connections that no proxy secured: allowed where the port is not STRICT, and by policy that asks for no identity.

use std::io;
use std::rc::Rc;

use wattle_model::Protocol;

use super::{Arrived, Who, serve_http1, serve_http2, tcp};
use crate::phases::accept::Accepted;
use crate::phases::detect::Spoken;
use crate::worker::Worker;

/// Serves a plaintext connection; `spoken` is `None` when the client says nothing at first.
pub(super) async fn serve(
    worker: &Rc<Worker>,
    accepted: Accepted,
    spoken: Option<Spoken>,
    declared: Protocol,
) -> io::Result<()> {
    let Accepted {
        stream,
        peer,
        destination,
    } = accepted;
    let sni = match &spoken {
        Some(Spoken::Tls(hello)) => hello.sni.as_deref(),
        _ => None,
    };
    let arrived = Arrived {
        stream,
        who: Rc::new(Who {
            downstream: peer,
            local: destination,
            peer: None,
            proof: None,
            sni: sni.map(Into::into),
        }),
    };
    match (declared, spoken) {
        (Protocol::Tcp | Protocol::Tls | Protocol::Detect, None) => {
            tcp::silent(worker, arrived, declared).await?;
        }
        (Protocol::Tcp | Protocol::Tls, Some(_)) => tcp::carry(worker, arrived).await,
        (_, Some(Spoken::Http1)) => serve_http1(worker, arrived).await,
        (_, Some(Spoken::Http2)) => serve_http2(worker, arrived, false).await,
        // Declared HTTP is never taken for opaque: it would slip past policies about requests.
        (Protocol::Http1 | Protocol::Http2 | Protocol::Grpc, _) => serve_http1(worker, arrived).await,
        (Protocol::Detect, Some(_)) => tcp::carry(worker, arrived).await,
    }
    Ok(())
}

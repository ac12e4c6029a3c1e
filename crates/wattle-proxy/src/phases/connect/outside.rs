//! TLS of the outside world, as the backend's policy says (Istio `SIMPLE`, `MUTUAL`; Gateway API `BackendTLSPolicy`).

use rustls::CertificateError;
use rustls_pki_types::ServerName;
use wattle_model::traffic::UpstreamTls;
use wattle_model::{Reason, host_of};
use wattle_net::{Stream, tls};

use super::{ConnectFailure, secure};
use crate::worker::{Upstream, Worker};

/// For HTTP/1 requests.
pub(super) const HTTP1: &[&[u8]] = &[b"http/1.1"];
/// For HTTP/2 requests, and for all where the policy asks for it.
pub(super) const HTTP2: &[&[u8]] = &[b"h2", b"http/1.1"];
/// For opaque bytes.
pub(super) const OPAQUE: &[&[u8]] = &[];

/// A connection and whether HTTP/2 was agreed on.
pub(super) struct Originated {
    pub(super) stream: Stream,
    pub(super) is_http2: bool,
}

/// Whose name the server is asked for: the policy's, else the backend's host, else the request's below a wildcard.
pub(super) fn name(
    upstream: &Upstream,
    authority: Option<&str>,
) -> Result<ServerName<'static>, ConnectFailure> {
    let policy = upstream.bounds.policy();
    let name = match &policy.tls {
        UpstreamTls::Origination { sni: Some(sni), .. } => ServerName::try_from(sni.to_string()).ok(),
        _ => upstream.bounds.server_name(authority.map(host_of)),
    };
    name.ok_or_else(|| {
        failed(
            "no_server_name",
            "neither the policy nor the backend nor the request gives a name to ask the server for",
        )
    })
}

/// Secures a connection to the server of this name, offering these protocols.
pub(super) async fn originate(
    worker: &Worker,
    upstream: &Upstream,
    (stream, name): (Stream, ServerName<'static>),
    offer: &'static [&'static [u8]],
) -> Result<Originated, ConnectFailure> {
    let policy = upstream.bounds.policy();
    let UpstreamTls::Origination {
        names,
        files,
        unverified,
        ..
    } = &policy.tls
    else {
        return Err(failed(
            "tls_settings",
            "the policy changed while the connection was made",
        ));
    };
    let material = worker.outside(files).await;
    let material = material.map_err(|problem| failed("tls_files", &problem))?;
    let make = || material.client(names, *unverified, offer, &worker.settings.clock);
    let config = upstream
        .bounds
        .outside_tls(offer, &material, make)
        .map_err(|error| failed("tls_settings", &error.to_string()))?;
    let timeout = worker.outward_to(&upstream.bounds).timeout;
    let connected = tls::connect(stream, name, config, timeout).await;
    let connected = connected.map_err(|error| refused(&error))?;
    Ok(Originated {
        is_http2: connected.agreed.alpn.as_deref() == Some(b"h2"),
        stream: connected.stream,
    })
}

fn failed(cause: &'static str, detail: &str) -> ConnectFailure {
    ConnectFailure::new(Reason::UpstreamTlsFailure, cause, detail)
}

fn refused(error: &tls::TlsError) -> ConnectFailure {
    use CertificateError as Bad;
    let (reason, cause) = match error.protocol() {
        Some(rustls::Error::InvalidCertificate(bad)) => match bad {
            Bad::Expired | Bad::NotValidYet => (Reason::UpstreamCertificateExpired, "certificate_time"),
            Bad::UnknownIssuer => (Reason::UpstreamCertificateUntrusted, "certificate_issuer"),
            Bad::Revoked | Bad::UnknownRevocationStatus => {
                (Reason::UpstreamTlsFailure, "certificate_revoked")
            }
            Bad::NotValidForName => (Reason::UpstreamTlsFailure, "certificate_name"),
            _ => (Reason::UpstreamTlsFailure, "certificate"),
        },
        _ => (Reason::UpstreamTlsFailure, error.id()),
    };
    ConnectFailure::new(reason, cause, secure::told(error))
}

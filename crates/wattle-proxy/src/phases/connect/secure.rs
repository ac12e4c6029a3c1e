//! Mutual TLS towards an endpoint that must be exactly who the control plane says.

use std::rc::Rc;

use rustls_pki_types::ServerName;
use wattle_identity::{Peer, Purpose, Rejection, SpiffeId, TrustDomain};
use wattle_model::{Reason, Workload};
use wattle_net::{Stream, tls};

use super::ConnectFailure;
use crate::identity::Alpn;
use crate::worker::{Proof, Upstream, Worker};

/// A secured connection and what it carries.
pub(crate) struct Secured {
    pub(crate) stream: Stream,
    pub(crate) alpn: Option<Alpn>,
    /// What the connection rests on.
    pub(crate) proof: Rc<Proof>,
}

/// Secures a connection, offering these protocols.
pub(crate) async fn secure(
    worker: &Worker,
    upstream: &Upstream,
    stream: Stream,
    offer: &'static [Alpn],
) -> Result<Secured, ConnectFailure> {
    let Some((credentials, generation)) = worker.credentials() else {
        return Err(refused("no_own_certificate", "this proxy has no certificate yet"));
    };
    let expected = identity(&upstream.workload)?;
    let config = upstream
        .tls(generation, offer, || credentials.client(expected.clone(), offer))
        .map_err(|error| refused("tls_settings", &error.to_string()))?;
    // Sessions are kept by this name; the identity is checked against the workload's, never against it.
    let name = ServerName::from(upstream.address.ip());
    let connected = tls::connect(stream, name, config, worker.outward_to(&upstream.bounds).timeout).await;
    let connected = connected.map_err(|error| failed(&error))?;
    let peer =
        Peer::from_chain(&connected.agreed.peer_certificates).map_err(|rejection| rejected(&rejection))?;
    peer.check_time(worker.clock.wall())
        .map_err(|rejection| rejected(&rejection))?;
    // A resumed session did not verify anew.
    if credentials.canonical(peer.id().clone()) != expected {
        let (got, expected) = (peer.id().clone(), expected.to_string());
        return Err(rejected(&Rejection::UnexpectedIdentity { got, expected }));
    }
    let alpn = connected.agreed.alpn.as_deref().and_then(Alpn::chosen);
    let (mut stream, chain) = (connected.stream, connected.agreed.peer_certificates);
    let proof = worker.proofs.of(worker, Purpose::Server, chain, &credentials);
    let proof = proof.map_err(|rejection| rejected(&rejection))?;
    proof.carry(&mut stream);
    Ok(Secured { stream, alpn, proof })
}

/// Who must be found there; a workload without a valid name can be nobody.
fn identity(workload: &Workload) -> Result<SpiffeId, ConnectFailure> {
    TrustDomain::new(&workload.trust_domain)
        .and_then(|domain| SpiffeId::new(&domain, &workload.namespace, &workload.service_account))
        .map_err(|error| refused("no_expected_identity", &error.to_string()))
}

fn refused(cause: &'static str, detail: &str) -> ConnectFailure {
    ConnectFailure::new(Reason::UpstreamTlsFailure, cause, detail)
}

fn rejected(rejection: &Rejection) -> ConnectFailure {
    let reason = match rejection {
        Rejection::UnexpectedIdentity { .. } => Reason::UpstreamTlsIdentity,
        Rejection::UnknownTrustDomain { .. } => Reason::UpstreamTrustDomain,
        Rejection::UntrustedIssuer { .. } => Reason::UpstreamCertificateUntrusted,
        Rejection::Expired { .. } | Rejection::NotYetValid { .. } => Reason::UpstreamCertificateExpired,
        _ => Reason::UpstreamTlsFailure,
    };
    ConnectFailure::new(reason, rejection.id(), rejection.to_string())
}

fn failed(error: &tls::TlsError) -> ConnectFailure {
    match error.protocol().and_then(Rejection::from_tls_error) {
        Some(rejection) => rejected(&rejection),
        None => ConnectFailure::new(Reason::UpstreamTlsFailure, error.id(), told(error)),
    }
}

/// What failed, with the TLS library's word for it.
pub(super) fn told(error: &tls::TlsError) -> String {
    match error.protocol() {
        Some(inner) => format!("{error}: {inner}"),
        None => error.to_string(),
    }
}

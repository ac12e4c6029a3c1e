//! Every parser of bytes that a peer, a user or a file can bring here, as a plain function; none may panic on any input.

use std::time::SystemTime;

use rustls_pki_types::CertificateDer;

use crate::{
    authority::Authority,
    bundle::TrustBundle,
    csr,
    plugged::{Plugged, PluggedFiles},
    revocation::RevocationLists,
    spiffe::{SpiffeId, TrustDomain},
    succession::Succession,
    svid::Svid,
    token::{JoinToken, TokenHash},
    verify::peer_identity,
};

/// A parser that keeps nothing and panics on nothing.
pub type Entry = fn(&[u8]);

/// The parsers by name, for fuzz targets and the property test.
pub const ENTRIES: [(&str, Entry); 12] = [
    ("spiffe_id", spiffe_id),
    ("trust_domain", trust_domain),
    ("bundle_pem", bundle_pem),
    ("svid_pem", svid_pem),
    ("certificates_der", certificates_der),
    ("authority_pem", authority_pem),
    ("csr_pem", csr_pem),
    ("peer_certificate", peer_certificate),
    ("join_token", join_token),
    ("plugged_pem", plugged_pem),
    ("succession", succession),
    ("revocation_pem", revocation_pem),
];

/// [`SpiffeId`] from text; what is accepted must print as it came.
pub fn spiffe_id(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(id) = text.parse::<SpiffeId>() {
        assert_eq!(id.as_str(), text);
    }
}

/// [`TrustDomain`] from text.
pub fn trust_domain(bytes: &[u8]) {
    let _ = std::str::from_utf8(bytes).map(TrustDomain::new);
}

/// [`TrustBundle`] from PEM.
pub fn bundle_pem(bytes: &[u8]) {
    with_trust_domain(|trust_domain| drop(TrustBundle::from_pem(trust_domain, bytes)));
}

/// [`TrustBundle`] and [`Svid`] from concatenated DER.
pub fn certificates_der(bytes: &[u8]) {
    with_trust_domain(|trust_domain| drop(TrustBundle::from_der(trust_domain, bytes)));
    let _ = Svid::from_der(bytes, bytes);
}

/// [`Svid`] from PEM.
pub fn svid_pem(bytes: &[u8]) {
    let _ = Svid::from_pem(bytes);
}

/// [`Authority`] from PEM.
pub fn authority_pem(bytes: &[u8]) {
    with_trust_domain(|trust_domain| drop(Authority::from_pem(&trust_domain, bytes)));
}

/// A [`Plugged`] issuer all of whose files hold the same bytes.
pub fn plugged_pem(bytes: &[u8]) {
    let files = PluggedFiles {
        certificate: bytes,
        key: bytes,
        chain: bytes,
        roots: bytes,
    };
    with_trust_domain(|trust_domain| drop(Plugged::read(&trust_domain, files, SystemTime::UNIX_EPOCH)));
}

/// A [`Succession`] whose authority and phases are the same bytes.
pub fn succession(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    with_trust_domain(|trust_domain| drop(Succession::from_parts(&trust_domain, bytes, text)));
}

/// [`RevocationLists`] from PEM.
pub fn revocation_pem(bytes: &[u8]) {
    let _ = RevocationLists::from_pem(bytes);
}

/// A signing request from PEM, as the authority reads it.
pub fn csr_pem(bytes: &[u8]) {
    with_trust_domain(|trust_domain| {
        let Ok(caller) = SpiffeId::new(&trust_domain, "default", "fuzz") else {
            return;
        };
        let _ = std::str::from_utf8(bytes).map(|text| csr::accept(text, &caller));
    });
}

/// A peer's certificate as DER, as the handshake reads it.
pub fn peer_certificate(bytes: &[u8]) {
    let _ = peer_identity(&[CertificateDer::from(bytes)]);
}

/// [`JoinToken`] and [`TokenHash`] from text.
pub fn join_token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let _ = (text.parse::<JoinToken>(), text.parse::<TokenHash>());
}

fn with_trust_domain(run: impl FnOnce(TrustDomain)) {
    if let Ok(trust_domain) = TrustDomain::new("cluster.local") {
        run(trust_domain);
    }
}

//! The check of a peer's certificate, and the two rustls hooks that call it.

use std::{sync::Arc, time::SystemTime};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use webpki::{
    CertRevocationList, EndEntityCert, KeyUsage, RevocationCheckDepth, RevocationOptions,
    RevocationOptionsBuilder, UnknownStatusPolicy,
};

use crate::{
    bundle::BundleSet,
    certificate::Certificate,
    expected::Expected,
    instant::{Lifetime, system_time, unix_secs},
    rejection::Rejection,
    spiffe::SpiffeId,
    tls::signature_algorithms,
};

/// What the peer is in this exchange; its certificate must be for that (extended key usage).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The peer dialled us.
    Client,
    /// We dialled the peer.
    Server,
}

/// Checks a peer's chain against the roots of the trust domain that its leaf names, and no others, at `now`; gives the
/// proven name. That the peer holds the key is proven apart, by the handshake's signature.
pub fn verify_peer(
    bundles: &BundleSet,
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    purpose: Purpose,
    now: UnixTime,
) -> Result<SpiffeId, Rejection> {
    let id = Certificate::read(leaf)?.workload()?;
    let Some(bundle) = bundles.bundle(id.trust_domain()) else {
        return Err(Rejection::UnknownTrustDomain {
            got: id,
            known: bundles.names(),
        });
    };
    let usage = match purpose {
        Purpose::Client => KeyUsage::client_auth(),
        Purpose::Server => KeyUsage::server_auth(),
    };
    let lists: Vec<_> = bundles.revoked().lists().iter().collect();
    let outcome = EndEntityCert::try_from(leaf).and_then(|leaf| {
        let algorithms = signature_algorithms().all;
        leaf.verify_for_usage(
            algorithms,
            bundle.anchors(),
            intermediates,
            now,
            usage,
            revocation(&lists),
            None,
        )
        .map(|_| ())
    });
    match outcome {
        Ok(()) => Ok(id),
        Err(error) => Err(explain(error, id, bundle.roots().len(), purpose)),
    }
}

/// Every certificate of the chain is looked for in the list of its issuer, where there is one.
fn revocation<'a>(lists: &'a [&'a CertRevocationList<'a>]) -> Option<RevocationOptions<'a>> {
    let options = RevocationOptionsBuilder::new(lists).ok()?;
    Some(
        options
            .with_depth(RevocationCheckDepth::Chain)
            .with_status_policy(UnknownStatusPolicy::Allow)
            .build(),
    )
}

fn explain(error: webpki::Error, got: SpiffeId, roots: usize, purpose: Purpose) -> Rejection {
    match error {
        webpki::Error::CertExpired { time, not_after } => Rejection::Expired {
            not_after_secs: not_after.as_secs(),
            now_secs: time.as_secs(),
        },
        webpki::Error::CertNotValidYet { time, not_before } => Rejection::NotYetValid {
            not_before_secs: not_before.as_secs(),
            now_secs: time.as_secs(),
        },
        webpki::Error::UnknownIssuer
        | webpki::Error::InvalidSignatureForPublicKey
        | webpki::Error::EndEntityUsedAsCa
        | webpki::Error::PathLenConstraintViolated
        | webpki::Error::MaximumPathBuildCallsExceeded
        | webpki::Error::MaximumPathDepthExceeded
        | webpki::Error::MaximumSignatureChecksExceeded => Rejection::UntrustedIssuer { got, roots },
        webpki::Error::CertRevoked => Rejection::Revoked,
        webpki::Error::RequiredEkuNotFoundContext(_) => {
            let role = if purpose == Purpose::Client {
                "client"
            } else {
                "server"
            };
            Rejection::WrongPurpose { got, role }
        }
        other => Rejection::malformed(&other.to_string()),
    }
}

/// The name in a chain that the handshake has already verified, as a connection shows it afterwards.
pub fn peer_identity(chain: &[CertificateDer<'_>]) -> Result<SpiffeId, Rejection> {
    Peer::from_chain(chain).map(|peer| peer.id)
}

/// The far side of an established connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    id: SpiffeId,
    lifetime: Lifetime,
    serial: String,
}

impl Peer {
    /// Reads the chain that the handshake has verified, leaf first.
    pub fn from_chain(chain: &[CertificateDer<'_>]) -> Result<Self, Rejection> {
        let leaf = Certificate::read(chain.first().ok_or(Rejection::NoCertificate)?)?;
        Ok(Self {
            id: leaf.workload()?,
            lifetime: leaf.lifetime(),
            serial: leaf.serial(),
        })
    }

    /// The number of the peer's certificate among those of its issuer, in hexadecimal.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// The peer's proven name.
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// When the peer's certificate ends.
    pub fn not_after(&self) -> SystemTime {
        system_time(self.lifetime.not_after_secs)
    }

    /// Refuses a peer whose certificate has ended meanwhile. To be called after each handshake, since a resumed one does not
    /// verify anew.
    pub fn check_time(&self, now: SystemTime) -> Result<(), Rejection> {
        let (
            now_secs,
            Lifetime {
                not_before_secs,
                not_after_secs,
            },
        ) = (unix_secs(now), self.lifetime);
        if now_secs > not_after_secs {
            return Err(Rejection::Expired {
                not_after_secs,
                now_secs,
            });
        }
        if now_secs < not_before_secs {
            return Err(Rejection::NotYetValid {
                not_before_secs,
                now_secs,
            });
        }
        Ok(())
    }
}

/// The inbound side's hook: any workload of a known trust domain may connect; what it may do is for policy to say.
#[derive(Debug)]
pub struct ClientVerifier {
    bundles: Arc<BundleSet>,
    mandatory: bool,
}

impl ClientVerifier {
    /// `mandatory` false lets a client without certificate through, one with a bad certificate never.
    pub fn new(bundles: Arc<BundleSet>, mandatory: bool) -> Self {
        Self { bundles, mandatory }
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // A workload has one certificate, so a hint could only keep it from showing it and hide the reason.
        &[]
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        verify_peer(&self.bundles, leaf, intermediates, Purpose::Client, now)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(tls12_refused())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        handshake_signature(message, leaf, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        signature_algorithms().supported_schemes()
    }
}

/// The outbound side's hook: the far side must be one of those that may be there. The server name plays no part.
#[derive(Debug)]
pub struct ServerVerifier {
    bundles: Arc<BundleSet>,
    expected: Expected,
}

impl ServerVerifier {
    /// One verifier serves one set of expected identities, since a resumed session is not verified anew.
    pub fn new(bundles: Arc<BundleSet>, expected: Expected) -> Self {
        Self { bundles, expected }
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let got = verify_peer(&self.bundles, leaf, intermediates, Purpose::Server, now)?;
        if self.expected.allows(&got) {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Rejection::UnexpectedIdentity {
            got,
            expected: self.expected.to_string(),
        }
        .into())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(tls12_refused())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        handshake_signature(message, leaf, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        signature_algorithms().supported_schemes()
    }
}

fn handshake_signature(
    message: &[u8],
    leaf: &CertificateDer<'_>,
    signature: &DigitallySignedStruct,
) -> Result<HandshakeSignatureValid, Error> {
    let algorithms: &WebPkiSupportedAlgorithms = signature_algorithms();
    verify_tls13_signature(message, leaf, signature, algorithms)
        .map_err(|_| Error::InvalidCertificate(CertificateError::BadSignature))
}

/// No configuration of this crate offers TLS 1.2, so this is the second lock on that door.
fn tls12_refused() -> Error {
    Error::General("TLS 1.2 is not spoken in the mesh".into())
}

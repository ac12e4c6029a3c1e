//! TLS 1.3 as the mesh speaks it.
//!
//! Resumption skips the certificate check, hence these rules:
//! * a ticket lives at most ten minutes and never longer than the server's own certificate;
//! * every [`ServerConfig`] has its own ticket key, so a new bundle or certificate means a new configuration and ends all
//!   resumption with the old one;
//! * every [`ClientConfig`] has its own session store: use one for each pair of own [`Svid`] and [`Expected`] set, and dial by
//!   address, because sessions are kept by server name;
//! * after each handshake, resumed or not, read the [`Peer`](crate::Peer) from the connection, call
//!   [`check_time`](crate::Peer::check_time), and authorise that name anew.
//!
//! Early data is never offered or accepted: it can be replayed.

use std::sync::{Arc, LazyLock};

use rustls::{
    ClientConfig, ServerConfig, SupportedProtocolVersion,
    client::{ResolvesClientCert, Resumption},
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms,
        aws_lc_rs::{self, cipher_suite, kx_group},
    },
    sign::SingleCertAndKey,
    time_provider::{DefaultTimeProvider, TimeProvider},
    version::TLS13,
};

use crate::{
    bundle::BundleSet,
    expected::Expected,
    svid::Svid,
    ticket::{BoundedTicketer, system_now},
    verify::{ClientVerifier, ServerVerifier},
};

/// Server names for which a client keeps sessions; the least recent goes first.
const MAX_SESSIONS: usize = 64;
/// Tickets per full handshake. One is enough, as each resumed session brings the next; each carries the client's chain.
const TICKETS: usize = 1;
static VERSIONS: &[&SupportedProtocolVersion] = &[&TLS13];

/// AWS-LC with the hybrid key exchange first, then its classical parts for peers that lack it. AES-128 leads as in Go, Envoy
/// and browsers: it is the cheapest where the processor has AES.
static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    Arc::new(CryptoProvider {
        kx_groups: vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1],
        cipher_suites: vec![
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        ..aws_lc_rs::default_provider()
    })
});

/// The signature algorithms accepted in certificates and handshakes.
pub(crate) fn signature_algorithms() -> &'static WebPkiSupportedAlgorithms {
    &PROVIDER.signature_verification_algorithms
}

/// Whether a server insists on knowing its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientCertificates {
    /// Mutual TLS: no certificate, no connection.
    Required,
    /// A client may come without one, as to fetch its first; one that shows a bad certificate is refused all the same.
    Optional,
}

/// Why no TLS configuration could be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The clock handed in gave no time.
    #[error("no TLS settings without the time")]
    Clock,
    /// The TLS library refused.
    #[error("TLS settings were refused")]
    Rustls(#[from] rustls::Error),
}

/// What all TLS configurations of one trust snapshot share; make new ones when the bundles change.
#[derive(Debug, Clone)]
pub struct TlsSettings {
    bundles: Arc<BundleSet>,
    alpn: Vec<Vec<u8>>,
    clock: Arc<dyn TimeProvider>,
}

impl TlsSettings {
    /// Believes these bundles and offers these application protocols, most preferred first; none when empty. The time is the
    /// TLS library's own notion of it.
    pub fn new(bundles: Arc<BundleSet>, alpn: &[&[u8]]) -> Self {
        let alpn = alpn.iter().map(|protocol| protocol.to_vec()).collect();
        Self {
            bundles,
            alpn,
            clock: Arc::new(DefaultTimeProvider),
        }
    }

    /// The same under another clock.
    pub fn with_clock(self, clock: Arc<dyn TimeProvider>) -> Self {
        Self { clock, ..self }
    }

    /// The same with other application protocols, most preferred first.
    pub fn with_alpn(self, alpn: &[&[u8]]) -> Self {
        Self {
            alpn: alpn.iter().map(|protocol| protocol.to_vec()).collect(),
            ..self
        }
    }

    /// For accepting connections as that workload.
    pub fn server(&self, svid: &Svid, clients: ClientCertificates) -> Result<Arc<ServerConfig>, TlsError> {
        let now = system_now(self.clock.as_ref()).ok_or(TlsError::Clock)?;
        let verifier = ClientVerifier::new(self.bundles.clone(), clients == ClientCertificates::Required);
        let mut config = ServerConfig::builder_with_details(PROVIDER.clone(), self.clock.clone())
            .with_protocol_versions(VERSIONS)?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(svid.certified().clone())));
        config.alpn_protocols = self.alpn.clone();
        let ticketer = BoundedTicketer::new(svid, now, self.clock.clone())?;
        // Without a ticketer the library would fall back to its memory, whose sessions nothing ends.
        config.send_tls13_tickets = if rustls::server::ProducesTickets::enabled(&ticketer) {
            TICKETS
        } else {
            0
        };
        config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
        config.ticketer = Arc::new(ticketer);
        Ok(Arc::new(config))
    }

    /// For dialling as that workload, to a far side that must be one of those expected.
    pub fn client(&self, svid: &Svid, expected: Expected) -> Result<Arc<ClientConfig>, TlsError> {
        self.dialling(
            Some(Arc::new(SingleCertAndKey::from(svid.certified().clone()))),
            expected,
        )
    }

    /// For dialling without a name of one's own, to fetch the first certificate.
    pub fn anonymous_client(&self, expected: Expected) -> Result<Arc<ClientConfig>, TlsError> {
        self.dialling(None, expected)
    }

    fn dialling(
        &self,
        own: Option<Arc<dyn ResolvesClientCert>>,
        expected: Expected,
    ) -> Result<Arc<ClientConfig>, TlsError> {
        let verifier = ServerVerifier::new(self.bundles.clone(), expected);
        let builder = ClientConfig::builder_with_details(PROVIDER.clone(), self.clock.clone())
            .with_protocol_versions(VERSIONS)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match own {
            Some(own) => builder.with_client_cert_resolver(own),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = self.alpn.clone();
        config.enable_sni = false;
        config.resumption = Resumption::in_memory_sessions(MAX_SESSIONS);
        Ok(Arc::new(config))
    }
}

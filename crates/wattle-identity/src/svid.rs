//! A workload's proof of its name (X.509-SVID), and the request for one.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, UnixTime};
use zeroize::Zeroizing;

use crate::{
    bundle::BundleSet,
    certificate::{Certificate, fingerprint},
    csr,
    der::{self, DerError},
    instant::{Lifetime, system_time},
    key::{KeyError, PrivateKey, Signer},
    pem::{self, PemError, Sections},
    rejection::Rejection,
    spiffe::SpiffeId,
    verify::{Purpose, verify_peer},
};

/// Longest chain below the root.
const MAX_CHAIN: usize = 8;

/// Why a certificate and key do not make a proof.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SvidError {
    /// The text is not PEM.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// The text is not certificates as DER.
    #[error(transparent)]
    Der(#[from] DerError),
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The text does not hold 1 to 8 certificates and, where a key is expected, exactly one key.
    #[error("text holds {certificates} certificates and {keys} keys, expected 1 to {MAX_CHAIN} and one key")]
    Count {
        /// Certificates found.
        certificates: usize,
        /// Private keys found.
        keys: usize,
    },
    /// The leaf cannot be read, or is not a workload's.
    #[error("certificate is not a workload's")]
    Leaf(#[source] Rejection),
    /// The certificate is for another key.
    #[error("certificate is not for this private key")]
    OtherKey,
    /// The authority gave another name than was asked for.
    #[error("certificate names {got}, expected {expected}")]
    OtherName {
        /// The name in the certificate.
        got: SpiffeId,
        /// The name that was asked for.
        expected: SpiffeId,
    },
}

/// A workload's certificate chain and private key; the key is wiped when the last holder drops it and never printed.
pub struct Svid {
    id: SpiffeId,
    lifetime: Lifetime,
    key: PrivateKey,
    certified: Arc<CertifiedKey>,
    issuer_id: Option<String>,
}

impl Svid {
    /// Reads a chain, leaf first, and its key from one PEM text, in any order of the two.
    pub fn from_pem(text: &[u8]) -> Result<Self, SvidError> {
        let Sections {
            certificates,
            mut keys,
            ..
        } = pem::read(text)?;
        match (keys.pop(), keys.is_empty()) {
            (Some(key), true) => Self::assemble(certificates, key),
            (popped, _) => Err(SvidError::Count {
                certificates: certificates.len(),
                keys: keys.len() + usize::from(popped.is_some()),
            }),
        }
    }

    /// Takes a chain as concatenated DER, leaf first, and its key as PKCS#8 DER.
    pub fn from_der(chain: &[u8], key: &[u8]) -> Result<Self, SvidError> {
        let key = PrivatePkcs8KeyDer::from(key).clone_key();
        Self::assemble(der::certificates(chain)?, PrivateKey::from_der(key.into()))
    }

    /// Whether this chain leads to these roots now, as a peer will see it when it is dialled by us.
    pub fn check(&self, bundles: &BundleSet, now: SystemTime) -> Result<(), Rejection> {
        let (leaf, intermediates) = self.chain().split_first().ok_or(Rejection::NoCertificate)?;
        let now = UnixTime::since_unix_epoch(now.duration_since(UNIX_EPOCH).unwrap_or_default());
        verify_peer(bundles, leaf, intermediates, Purpose::Client, now).map(|_| ())
    }

    /// Chain, then key, as PEM; wiped when dropped.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(self.chain_pem());
        self.key.write_pem(&mut text);
        text
    }

    /// The key as PEM, for a program of the same workload that keeps it in memory; wiped when dropped.
    pub fn key_pem(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::new());
        self.key.write_pem(&mut text);
        text
    }

    /// The chain as PEM, leaf first, without the root.
    pub fn chain_pem(&self) -> String {
        self.chain()
            .iter()
            .map(|certificate| pem::certificate(certificate))
            .collect()
    }

    /// The chain as DER, leaf first, without the root.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.certified.cert
    }

    /// Whose proof it is.
    pub fn id(&self) -> &SpiffeId {
        &self.id
    }

    /// Who signed it, as [`Authority::issuer_id`](crate::Authority::issuer_id); not known of one that was read without
    /// the certificate above it.
    pub fn issuer_id(&self) -> Option<&str> {
        self.issuer_id.as_deref()
    }

    /// Start of validity.
    pub fn not_before(&self) -> SystemTime {
        system_time(self.lifetime.not_before_secs)
    }

    /// End of validity.
    pub fn not_after(&self) -> SystemTime {
        system_time(self.lifetime.not_after_secs)
    }

    /// How long it is still valid; nought once it has expired.
    pub fn remaining(&self, now: SystemTime) -> Duration {
        self.lifetime.remaining(now)
    }

    /// When to ask for the next one: between 40% (`jitter` 1) and 50% (`jitter` 0) of its life, so that a fleet started
    /// together does not ask together. Values outside 0 to 1 count as the nearer end.
    pub fn renew_at(&self, jitter: f64) -> SystemTime {
        let jitter = if jitter.is_nan() {
            0.0
        } else {
            jitter.clamp(0.0, 1.0)
        };
        let life = Duration::from_secs(
            self.lifetime
                .not_after_secs
                .saturating_sub(self.lifetime.not_before_secs),
        );
        self.not_before() + life.mul_f64(0.5 - 0.1 * jitter)
    }

    /// Chain and key as rustls uses them, shared by every configuration made from this proof.
    pub(crate) fn certified(&self) -> &Arc<CertifiedKey> {
        &self.certified
    }

    fn assemble(mut chain: Vec<CertificateDer<'static>>, key: PrivateKey) -> Result<Self, SvidError> {
        let Some(leaf) = chain.first().filter(|_| chain.len() <= MAX_CHAIN) else {
            return Err(SvidError::Count {
                certificates: chain.len(),
                keys: 1,
            });
        };
        let (id, lifetime) = {
            let leaf = Certificate::read(leaf).map_err(SvidError::Leaf)?;
            (leaf.workload().map_err(SvidError::Leaf)?, leaf.lifetime())
        };
        let issuer_id = chain.get(1).map(fingerprint);
        // Authorities may append the root. A peer has its own and would only carry it on the wire.
        chain.retain(|certificate| {
            !Certificate::read(certificate).is_ok_and(|c| c.is_ca() && c.is_self_issued())
        });
        let certified = CertifiedKey::new(chain, key.signing_key()?);
        certified.keys_match().map_err(|_| SvidError::OtherKey)?;
        Ok(Self {
            id,
            lifetime,
            key,
            certified: Arc::new(certified),
            issuer_id,
        })
    }
}

impl fmt::Debug for Svid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Svid({}, {:?})", self.id, self.lifetime)
    }
}

/// A fresh key and the request to certify it; the key never leaves the process.
pub struct SvidRequest {
    id: SpiffeId,
    key: PrivateKey,
    csr_pem: String,
}

impl SvidRequest {
    /// Makes an ECDSA P-256 key and a request for that name.
    pub fn new(id: &SpiffeId) -> Result<Self, KeyError> {
        let key = PrivateKey::generate()?;
        let csr_pem = csr::create(&Signer::new(&key)?, id)?;
        Ok(Self {
            id: id.clone(),
            key,
            csr_pem,
        })
    }

    /// The request, to be sent to the authority.
    pub fn csr_pem(&self) -> &str {
        &self.csr_pem
    }

    /// Takes the authority's answer, leaf first; it must be for this key and this name. Who signed it is not checked here:
    /// the peers will.
    pub fn into_svid(self, chain_pem: &str) -> Result<Svid, SvidError> {
        let svid = Svid::assemble(pem::read(chain_pem.as_bytes())?.certificates, self.key)?;
        if svid.id == self.id {
            Ok(svid)
        } else {
            Err(SvidError::OtherName {
                got: svid.id.clone(),
                expected: self.id,
            })
        }
    }
}

impl fmt::Debug for SvidRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SvidRequest({})", self.id)
    }
}

//! The signing authority: a root, an issuer below it, and the certificates that it gives to workloads.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use rcgen::Issuer;
use rustls_pki_types::CertificateDer;
use zeroize::Zeroizing;

use crate::{
    bundle::{BundleError, TrustBundle},
    csr::{self, CsrError},
    instant::{Lifetime, system_time, unix_secs, utc},
    issued::Issued,
    key::{KeyError, PrivateKey, Signer},
    lineage::Lineage,
    pem::{self, PemError},
    profile,
    rejection::Rejection,
    spiffe::{SpiffeId, TrustDomain},
};

/// Longest life of a workload's certificate, and the one given to who asks for nought.
pub const MAX_TTL: Duration = Duration::from_secs(24 * 3600);
const ROOT_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
const ISSUER_LIFE: Duration = Duration::from_secs(365 * 24 * 3600);
/// How far a peer's clock may be behind.
const BACKDATE: Duration = Duration::from_secs(60);

/// Why an authority could not be made or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// The text is not PEM.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// A key cannot be made or used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The root does not make a bundle.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// Not 1 to 6 certificates and 1 or 2 keys.
    #[error("authority holds {certificates} certificates and {keys} keys, expected 1 to 6 and 1 or 2")]
    Count {
        /// Certificates found.
        certificates: usize,
        /// Private keys found.
        keys: usize,
    },
    /// A certificate cannot be read.
    #[error("certificate of the authority cannot be read")]
    Certificate(#[source] Rejection),
    /// A certificate may not sign others.
    #[error("certificate in the authority's chain is not an authority's")]
    NotAnAuthority,
    /// A key fits none of the certificates.
    #[error("private key of the authority fits none of its certificates")]
    OtherKey,
    /// There is not exactly one root, or the issuer does not lead to it.
    #[error("certificates do not form one chain from an issuer to one root")]
    Broken,
    /// The root's key is kept elsewhere.
    #[error("issuer cannot be replaced here: the root's key is not present")]
    NoRootKey,
    /// A certificate could not be signed.
    #[error("certificate of the authority could not be signed")]
    Sign,
}

/// Why a workload got no certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The request is at fault.
    #[error(transparent)]
    Request(#[from] CsrError),
    /// The caller belongs elsewhere.
    #[error(
        "caller {caller} is not of trust domain {trust_domain}, which is all that this authority may sign for"
    )]
    ForeignTrustDomain {
        /// The proven name of the caller.
        caller: SpiffeId,
        /// The authority's own.
        trust_domain: TrustDomain,
    },
    /// A certificate of the authority has ended: a new issuer or root is needed.
    #[error("authority's own certificate expired at {}, it is {} here", utc(*.not_after_secs), utc(*.now_secs))]
    AuthorityExpired {
        /// End of validity, seconds since 1970.
        not_after_secs: u64,
        /// The time here, seconds since 1970.
        now_secs: u64,
    },
    /// The library or the source of randomness failed.
    #[error("certificate could not be signed")]
    Sign,
}

/// Signs certificates for the workloads of one trust domain; its keys are wiped when dropped and never printed.
pub struct Authority {
    trust_domain: TrustDomain,
    lineage: Lineage,
    issuer: Issuer<'static, Signer>,
    lifetime: Lifetime,
    max_ttl: Duration,
}

impl Authority {
    /// A new root (ECDSA P-256, 10 years) and an issuer below it (1 year, signs workloads only).
    pub fn create(trust_domain: &TrustDomain, now: SystemTime) -> Result<Self, AuthorityError> {
        let root_key = PrivateKey::generate()?;
        let lifetime = Lifetime::starting(now, BACKDATE, ROOT_LIFE, None);
        let params = profile::authority(trust_domain, "root", 1, lifetime).ok_or(AuthorityError::Sign)?;
        let root = params
            .self_signed(&Signer::new(&root_key)?)
            .map_err(|_| AuthorityError::Sign)?;
        Self::with_issuer(trust_domain, root.der().clone(), root_key, now)
    }

    /// Reads certificates and keys from one PEM text, in any order: one root, an issuer with its key, what lies between
    /// them, and the root's key where it is kept here. A root alone with its key signs workloads itself.
    pub fn from_pem(trust_domain: &TrustDomain, text: &[u8]) -> Result<Self, AuthorityError> {
        Self::assemble(trust_domain.clone(), Lineage::sort(pem::read(text)?)?)
    }

    /// Everything needed to go on after a restart, as PEM; wiped when dropped.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(pem::certificate(&self.lineage.root));
        for certificate in &self.lineage.chain {
            pem::write(&mut text, "CERTIFICATE", certificate);
        }
        for key in self.lineage.root_key.iter().chain([&self.lineage.issuer_key]) {
            key.write_pem(&mut text);
        }
        text
    }

    /// The same authority under a shorter longest life of workload certificates; [`MAX_TTL`] stays the bound.
    pub fn with_max_ttl(self, max_ttl: Duration) -> Self {
        Self {
            max_ttl: max_ttl.min(MAX_TTL),
            ..self
        }
    }

    /// A fresh issuer below the same root, to be made when [`needs_new_issuer`](Self::needs_new_issuer) says so. What the
    /// old one signed stays valid.
    pub fn renewed(&self, now: SystemTime) -> Result<Self, AuthorityError> {
        let root_key = self.lineage.root_key.as_ref().ok_or(AuthorityError::NoRootKey)?;
        let renewed = Self::with_issuer(
            &self.trust_domain,
            self.lineage.root.clone(),
            root_key.duplicate(),
            now,
        )?;
        Ok(renewed.with_max_ttl(self.max_ttl))
    }

    /// Whether less than half of the issuer's life is left.
    pub fn needs_new_issuer(&self, now: SystemTime) -> bool {
        let Lifetime {
            not_before_secs,
            not_after_secs,
        } = self.lifetime;
        unix_secs(now) > not_before_secs + not_after_secs.saturating_sub(not_before_secs) / 2
    }

    /// The trust domain that this authority may sign for.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The root, as what others believe.
    pub fn bundle(&self) -> Result<TrustBundle, BundleError> {
        TrustBundle::new(self.trust_domain.clone(), [self.lineage.root.clone()])
    }

    /// When the first certificate of the authority's own chain ends.
    pub fn not_after(&self) -> SystemTime {
        system_time(self.lifetime.not_after_secs)
    }

    /// Certifies the key in the request for exactly the caller's proven name, from a minute ago until `ttl` from now, at
    /// most 24 hours and never past the authority's own end; `ttl` nought asks for the longest.
    pub fn sign(
        &self,
        csr_pem: &str,
        caller: &SpiffeId,
        now: SystemTime,
        ttl: Duration,
    ) -> Result<Issued, SignError> {
        if !caller.is_in(&self.trust_domain) {
            let (caller, trust_domain) = (caller.clone(), self.trust_domain.clone());
            return Err(SignError::ForeignTrustDomain { caller, trust_domain });
        }
        if self.lifetime.remaining(now).is_zero() {
            let (not_after_secs, now_secs) = (self.lifetime.not_after_secs, unix_secs(now));
            return Err(SignError::AuthorityExpired {
                not_after_secs,
                now_secs,
            });
        }
        let key = csr::accept(csr_pem, caller)?;
        let ttl = if ttl.is_zero() {
            self.max_ttl
        } else {
            ttl.min(self.max_ttl)
        };
        let lifetime = Lifetime::starting(now, BACKDATE, ttl, Some(self.lifetime));
        let params = profile::workload(caller, lifetime).ok_or(SignError::Sign)?;
        let leaf = params
            .signed_by(&key, &self.issuer)
            .map_err(|_| SignError::Sign)?;
        let chain = [leaf.der()]
            .into_iter()
            .chain(&self.lineage.chain)
            .cloned()
            .collect();
        Ok(Issued {
            chain,
            root: self.lineage.root.clone(),
            lifetime,
        })
    }

    fn with_issuer(
        trust_domain: &TrustDomain,
        root: CertificateDer<'static>,
        root_key: PrivateKey,
        now: SystemTime,
    ) -> Result<Self, AuthorityError> {
        let root_lifetime = crate::certificate::Certificate::read(&root)
            .map_err(AuthorityError::Certificate)?
            .lifetime();
        let issuer_key = PrivateKey::generate()?;
        let lifetime = Lifetime::starting(now, BACKDATE, ISSUER_LIFE, Some(root_lifetime));
        let params = profile::authority(trust_domain, "issuer", 0, lifetime).ok_or(AuthorityError::Sign)?;
        let signer =
            Issuer::from_ca_cert_der(&root, Signer::new(&root_key)?).map_err(|_| AuthorityError::Sign)?;
        let issuer = params
            .signed_by(&Signer::new(&issuer_key)?, &signer)
            .map_err(|_| AuthorityError::Sign)?;
        let chain = vec![issuer.der().clone()];
        Self::assemble(
            trust_domain.clone(),
            Lineage {
                chain,
                root,
                root_key: Some(root_key),
                issuer_key,
            },
        )
    }

    fn assemble(trust_domain: TrustDomain, lineage: Lineage) -> Result<Self, AuthorityError> {
        let signer = Signer::new(&lineage.issuer_key)?;
        let issuer = Issuer::from_ca_cert_der(lineage.issuer(), signer).map_err(|_| AuthorityError::Sign)?;
        let lifetime = lineage.lifetime()?;
        Ok(Self {
            trust_domain,
            lineage,
            issuer,
            lifetime,
            max_ttl: MAX_TTL,
        })
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({}, {:?})", self.trust_domain, self.lifetime)
    }
}

//! Whom to believe: the roots of each trust domain.

use std::{collections::BTreeMap, fmt, time::SystemTime};

use rustls_pki_types::{CertificateDer, TrustAnchor};
use webpki::anchor_from_trusted_cert;

use crate::{
    certificate::{Certificate, fingerprint},
    der::{self, DerError},
    instant::system_time,
    pem::{self, PemError},
    revocation::RevocationLists,
    spiffe::TrustDomain,
};

/// Most roots of one trust domain; rotation needs two.
const MAX_ROOTS: usize = 16;
/// Most trust domains in one set.
const MAX_DOMAINS: usize = 64;

/// Why roots were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The text is not PEM.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// The text is not certificates as DER.
    #[error(transparent)]
    Der(#[from] DerError),
    /// There is no certificate in it, which would refuse everybody by mistake.
    #[error("trust bundle of {0} holds no certificate")]
    Empty(TrustDomain),
    /// More than 16 roots.
    #[error("trust bundle of {0} holds more than {MAX_ROOTS} roots")]
    TooMany(TrustDomain),
    /// A certificate cannot be read, or is not an authority's.
    #[error("certificate {position} in the trust bundle of {trust_domain} is not an authority's")]
    NotAnAuthority {
        /// The bundle's trust domain.
        trust_domain: TrustDomain,
        /// Which certificate, from 1.
        position: usize,
    },
    /// More than 64 trust domains.
    #[error("bundle set holds more than {MAX_DOMAINS} trust domains")]
    TooManyDomains,
}

/// The roots that may vouch for workloads of one trust domain; several while a root is being replaced.
///
/// The roots' own end of validity is not looked at during a handshake: see [`TrustBundle::not_after`].
#[derive(Clone, PartialEq, Eq)]
pub struct TrustBundle {
    trust_domain: TrustDomain,
    roots: Vec<CertificateDer<'static>>,
    anchors: Vec<TrustAnchor<'static>>,
    not_after_secs: u64,
}

impl TrustBundle {
    /// Takes roots as DER, in order, dropping repeated ones; between 1 and 16 of them, each an authority's certificate.
    pub fn new(
        trust_domain: TrustDomain,
        roots: impl IntoIterator<Item = CertificateDer<'static>>,
    ) -> Result<Self, BundleError> {
        let mut bundle = Self {
            trust_domain,
            roots: Vec::new(),
            anchors: Vec::new(),
            not_after_secs: 0,
        };
        for (index, root) in roots.into_iter().enumerate() {
            bundle.add(root, index + 1)?;
        }
        if bundle.roots.is_empty() {
            Err(BundleError::Empty(bundle.trust_domain))
        } else {
            Ok(bundle)
        }
    }

    /// Reads every certificate of a PEM text as a root.
    pub fn from_pem(trust_domain: TrustDomain, text: &[u8]) -> Result<Self, BundleError> {
        Self::new(trust_domain, pem::read(text)?.certificates)
    }

    /// Reads every certificate of concatenated DER as a root.
    pub fn from_der(trust_domain: TrustDomain, text: &[u8]) -> Result<Self, BundleError> {
        Self::new(trust_domain, der::certificates(text)?)
    }

    /// The roots as PEM, in their order.
    pub fn to_pem(&self) -> String {
        self.roots.iter().map(|root| pem::certificate(root)).collect()
    }

    /// This bundle's roots followed by the other's: the overlap during which both an old and a new root are believed.
    pub fn joined(&self, other: &Self) -> Result<Self, BundleError> {
        Self::new(
            self.trust_domain.clone(),
            self.roots.iter().chain(&other.roots).cloned(),
        )
    }

    /// The same roots for another trust domain: an alias of this one.
    pub fn for_alias(&self, trust_domain: TrustDomain) -> Self {
        Self {
            trust_domain,
            ..self.clone()
        }
    }

    /// The trust domain whose workloads these roots may vouch for.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The roots as DER.
    pub fn roots(&self) -> &[CertificateDer<'static>] {
        &self.roots
    }

    /// What tells these roots from any others: 32 hexadecimal digits of their SHA-256.
    pub fn id(&self) -> String {
        fingerprint(
            &self
                .roots
                .iter()
                .flat_map(|root| root.iter().copied())
                .collect::<Vec<_>>()
                .into(),
        )
    }

    /// When the last root ends; after that nothing should be believed, and it is the owner of the bundle who must act.
    pub fn not_after(&self) -> SystemTime {
        system_time(self.not_after_secs)
    }

    pub(crate) fn anchors(&self) -> &[TrustAnchor<'static>] {
        &self.anchors
    }

    fn add(&mut self, root: CertificateDer<'static>, position: usize) -> Result<(), BundleError> {
        if self.roots.contains(&root) {
            return Ok(());
        }
        if self.roots.len() >= MAX_ROOTS {
            return Err(BundleError::TooMany(self.trust_domain.clone()));
        }
        let refused = || BundleError::NotAnAuthority {
            trust_domain: self.trust_domain.clone(),
            position,
        };
        let parsed = Certificate::read(&root).map_err(|_| refused())?;
        let anchor = anchor_from_trusted_cert(&root).map_err(|_| refused())?;
        if !parsed.is_ca() {
            return Err(refused());
        }
        self.not_after_secs = self.not_after_secs.max(parsed.lifetime().not_after_secs);
        self.anchors.push(anchor.to_owned());
        self.roots.push(root);
        Ok(())
    }
}

impl fmt::Debug for TrustBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "TrustBundle({}, {} roots)",
            self.trust_domain,
            self.roots.len()
        )
    }
}

/// The bundles of all trust domains that are believed here, and what their issuers revoked; a root vouches for its own
/// domain only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BundleSet {
    bundles: BTreeMap<TrustDomain, TrustBundle>,
    revoked: RevocationLists,
}

impl BundleSet {
    /// A set of one.
    pub fn only(bundle: TrustBundle) -> Self {
        Self {
            bundles: BTreeMap::from([(bundle.trust_domain.clone(), bundle)]),
            revoked: RevocationLists::default(),
        }
    }

    /// The same under these revocation lists.
    pub fn with_revoked(self, revoked: RevocationLists) -> Self {
        Self { revoked, ..self }
    }

    /// Adds a bundle, replacing the one of the same trust domain; at most 64 domains.
    pub fn insert(&mut self, bundle: TrustBundle) -> Result<(), BundleError> {
        if self.bundles.len() >= MAX_DOMAINS && !self.bundles.contains_key(&bundle.trust_domain) {
            return Err(BundleError::TooManyDomains);
        }
        self.bundles.insert(bundle.trust_domain.clone(), bundle);
        Ok(())
    }

    /// The bundle of a trust domain.
    pub fn bundle(&self, trust_domain: &str) -> Option<&TrustBundle> {
        self.bundles.get(trust_domain)
    }

    /// All bundles, by name of trust domain.
    pub fn iter(&self) -> impl Iterator<Item = &TrustBundle> {
        self.bundles.values()
    }

    /// What is revoked.
    pub fn revoked(&self) -> &RevocationLists {
        &self.revoked
    }

    /// The names of the trust domains, for a message.
    pub(crate) fn names(&self) -> String {
        match self.bundles.len() {
            0 => "(none is known here)".into(),
            _ => self
                .bundles
                .keys()
                .take(4)
                .map(TrustDomain::as_str)
                .collect::<Vec<_>>()
                .join(" or "),
        }
    }
}

//! The signing authority: a root, an issuer below it, and the certificates that it gives to workloads.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use rcgen::Issuer;
use rustls_pki_types::CertificateDer;
use zeroize::Zeroizing;

use crate::{
    authority_error::{AuthorityError, SignError},
    bundle::{BundleError, TrustBundle},
    certificate::{Certificate, fingerprint, hex},
    csr,
    instant::{Lifetime, system_time, unix_secs},
    issued::Issued,
    key::{PrivateKey, Signer},
    lifetimes::{Lifetimes, backdate},
    lineage::Lineage,
    pem, profile,
    spiffe::{SpiffeId, TrustDomain},
};

/// Part of a root's life, in hundredths, after which it is to be replaced.
const ROOT_DUE: u64 = 80;

/// Signs certificates for the workloads of one trust domain; its keys are wiped when dropped and never printed.
pub struct Authority {
    trust_domain: TrustDomain,
    lineage: Lineage,
    issuer: Issuer<'static, Signer>,
    lifetime: Lifetime,
    root_lifetime: Lifetime,
    lifetimes: Lifetimes,
}

impl Authority {
    /// A new root (ECDSA P-256, 10 years) and an issuer below it (1 year, signs workloads only).
    pub fn create(trust_domain: &TrustDomain, now: SystemTime) -> Result<Self, AuthorityError> {
        Self::create_for(trust_domain, Lifetimes::default(), now)
    }

    /// The same with other lives.
    pub fn create_for(
        trust_domain: &TrustDomain,
        lifetimes: Lifetimes,
        now: SystemTime,
    ) -> Result<Self, AuthorityError> {
        let root_key = PrivateKey::generate()?;
        let lifetime = Lifetime::starting(now, backdate(lifetimes.root), lifetimes.root, None);
        let params = profile::authority(trust_domain, "root", 1, lifetime).ok_or(AuthorityError::Sign)?;
        let root = params
            .self_signed(&Signer::new(&root_key)?)
            .map_err(|_| AuthorityError::Sign)?;
        Self::with_issuer(trust_domain, root.der().clone(), root_key, (lifetimes, now))
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

    /// The same authority with other lives of what it makes from now on.
    pub fn with_lifetimes(self, lifetimes: Lifetimes) -> Self {
        Self {
            lifetimes: lifetimes.bounded(),
            ..self
        }
    }

    /// The same authority under a shorter longest life of workload certificates; [`MAX_TTL`](crate::MAX_TTL) stays the bound.
    pub fn with_max_ttl(self, max_ttl: Duration) -> Self {
        let lifetimes = Lifetimes {
            workload: max_ttl,
            ..self.lifetimes
        };
        self.with_lifetimes(lifetimes)
    }

    /// A fresh issuer below the same root, to be made when [`needs_new_issuer`](Self::needs_new_issuer) says so. What the
    /// old one signed stays valid.
    pub fn renewed(&self, now: SystemTime) -> Result<Self, AuthorityError> {
        let root_key = self.lineage.root_key.as_ref().ok_or(AuthorityError::NoRootKey)?;
        Self::with_issuer(
            &self.trust_domain,
            self.lineage.root.clone(),
            root_key.duplicate(),
            (self.lifetimes, now),
        )
    }

    /// Whether less than half of the issuer's life is left.
    pub fn needs_new_issuer(&self, now: SystemTime) -> bool {
        let Lifetime {
            not_before_secs,
            not_after_secs,
        } = self.lifetime;
        unix_secs(now) > not_before_secs + not_after_secs.saturating_sub(not_before_secs) / 2
    }

    /// Whether less than a fifth of the root's life is left.
    pub fn needs_new_root(&self, now: SystemTime) -> bool {
        let Lifetime {
            not_before_secs,
            not_after_secs,
        } = self.root_lifetime;
        unix_secs(now) > not_before_secs + not_after_secs.saturating_sub(not_before_secs) * ROOT_DUE / 100
    }

    /// Whether the root's key is kept here, so that issuers and roots can be made here.
    pub fn has_root_key(&self) -> bool {
        self.lineage.root_key.is_some()
    }

    /// What tells the certificate that signs workloads from every other: 32 hexadecimal digits of its SHA-256.
    pub fn issuer_id(&self) -> String {
        fingerprint(self.lineage.issuer())
    }

    /// The same of the root.
    pub fn root_id(&self) -> String {
        fingerprint(&self.lineage.root)
    }

    /// Lives of what is made from now on.
    pub fn lifetimes(&self) -> Lifetimes {
        self.lifetimes
    }

    /// The trust domain that this authority may sign for.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The root, as what others believe.
    pub fn bundle(&self) -> Result<TrustBundle, BundleError> {
        TrustBundle::new(self.trust_domain.clone(), [self.lineage.root.clone()])
    }

    /// When the root ends.
    pub fn root_not_after(&self) -> SystemTime {
        system_time(self.root_lifetime.not_after_secs)
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
        let longest = self.lifetimes.workload;
        let ttl = if ttl.is_zero() { longest } else { ttl.min(longest) };
        let lifetime = Lifetime::starting(now, backdate(ttl), ttl, Some(self.lifetime));
        let params = profile::workload(caller, lifetime).ok_or(SignError::Sign)?;
        let leaf = params
            .signed_by(&key, &self.issuer)
            .map_err(|_| SignError::Sign)?;
        let serial = params
            .serial_number
            .map(|serial| hex(serial.as_ref()))
            .unwrap_or_default();
        let chain = [leaf.der()]
            .into_iter()
            .chain(&self.lineage.chain)
            .cloned()
            .collect();
        Ok(Issued {
            chain,
            roots: vec![self.lineage.root.clone()],
            serial,
            issuer_id: self.issuer_id(),
            lifetime,
        })
    }

    fn with_issuer(
        trust_domain: &TrustDomain,
        root: CertificateDer<'static>,
        root_key: PrivateKey,
        (lifetimes, now): (Lifetimes, SystemTime),
    ) -> Result<Self, AuthorityError> {
        let root_lifetime = Certificate::read(&root)
            .map_err(AuthorityError::Certificate)?
            .lifetime();
        let issuer_key = PrivateKey::generate()?;
        let length = lifetimes.issuer;
        let lifetime = Lifetime::starting(now, backdate(length), length, Some(root_lifetime));
        let params = profile::authority(trust_domain, "issuer", 0, lifetime).ok_or(AuthorityError::Sign)?;
        let signer =
            Issuer::from_ca_cert_der(&root, Signer::new(&root_key)?).map_err(|_| AuthorityError::Sign)?;
        let issuer = params
            .signed_by(&Signer::new(&issuer_key)?, &signer)
            .map_err(|_| AuthorityError::Sign)?;
        let chain = vec![issuer.der().clone()];
        let lineage = Lineage {
            chain,
            root,
            root_key: Some(root_key),
            issuer_key,
        };
        Ok(Self::assemble(trust_domain.clone(), lineage)?.with_lifetimes(lifetimes))
    }

    pub(crate) fn assemble(trust_domain: TrustDomain, lineage: Lineage) -> Result<Self, AuthorityError> {
        let signer = Signer::new(&lineage.issuer_key)?;
        let issuer = Issuer::from_ca_cert_der(lineage.issuer(), signer).map_err(|_| AuthorityError::Sign)?;
        let lifetime = lineage.lifetime()?;
        let root_lifetime = Certificate::read(&lineage.root)
            .map_err(AuthorityError::Certificate)?
            .lifetime();
        Ok(Self {
            trust_domain,
            lineage,
            issuer,
            lifetime,
            root_lifetime,
            lifetimes: Lifetimes::default(),
        })
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({}, {:?})", self.trust_domain, self.lifetime)
    }
}

//! An issuer that somebody else made: its files, and what must hold of them.

use std::time::SystemTime;

use rustls_pki_types::CertificateDer;

use crate::{
    authority::Authority,
    authority_error::AuthorityError,
    bundle::{BundleError, TrustBundle},
    certificate::Certificate,
    instant::{unix_secs, utc},
    key::{KeyError, PrivateKey, Signer},
    lineage::Lineage,
    pem::{self, PemError, Sections},
    spiffe::TrustDomain,
};

/// Most certificates from the issuer up to the root.
const MAX_CHAIN: usize = 6;

/// How the files are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Istio's `cacerts`: `ca-cert.pem`, `ca-key.pem`, `cert-chain.pem`, `root-cert.pem`.
    Cacerts,
    /// A Secret of cert-manager: `tls.crt` with its chain, `tls.key`, `ca.crt`.
    CertManager,
}

impl Layout {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Cacerts, Self::CertManager];

    /// The file that tells the layouts apart: the issuer's certificate.
    pub fn certificate(self) -> &'static str {
        match self {
            Self::Cacerts => "ca-cert.pem",
            Self::CertManager => "tls.crt",
        }
    }

    /// The issuer's private key.
    pub fn key(self) -> &'static str {
        match self {
            Self::Cacerts => "ca-key.pem",
            Self::CertManager => "tls.key",
        }
    }

    /// The roots; several while one is being replaced.
    pub fn roots(self) -> &'static str {
        match self {
            Self::Cacerts => "root-cert.pem",
            Self::CertManager => "ca.crt",
        }
    }

    /// What lies between issuer and root, where it is a file of its own; it may be missing.
    pub fn chain(self) -> Option<&'static str> {
        match self {
            Self::Cacerts => Some("cert-chain.pem"),
            Self::CertManager => None,
        }
    }
}

/// The contents of the files.
#[derive(Clone, Copy)]
pub struct PluggedFiles<'a> {
    /// The issuer's certificate first; what is above it may follow.
    pub certificate: &'a [u8],
    /// Its private key.
    pub key: &'a [u8],
    /// What lies between issuer and root; may repeat either.
    pub chain: &'a [u8],
    /// One root or several.
    pub roots: &'a [u8],
}

/// Why files do not make an issuer; each names the file's part and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PluggedError {
    /// A file is not PEM.
    #[error("file of the {0}: not PEM")]
    Pem(&'static str, #[source] PemError),
    /// A file has no certificate in it.
    #[error("file of the {0} holds no certificate")]
    Empty(&'static str),
    /// Not exactly one key.
    #[error("file of the key holds {0} private keys, exactly one expected, without a password")]
    Keys(usize),
    /// The key is of an unknown kind.
    #[error("file of the key")]
    Key(#[source] KeyError),
    /// The key is another certificate's.
    #[error("private key does not belong to the issuer's certificate: put the pair of one issue in place")]
    KeyMismatch,
    /// A certificate in the chain may not sign certificates.
    #[error(
        "certificate {0} from the issuer up is not an authority's: basicConstraints CA and keyCertSign expected"
    )]
    NotAnAuthority(usize),
    /// A certificate is over.
    #[error("certificate {position} from the issuer up expired at {at}: renew it")]
    Expired {
        /// Which, from 1.
        position: usize,
        /// When.
        at: String,
    },
    /// A certificate has not begun.
    #[error("certificate {position} from the issuer up is valid from {at} only: check the clock")]
    NotYetValid {
        /// Which, from 1.
        position: usize,
        /// When.
        at: String,
    },
    /// The authority may not have so many below it.
    #[error(
        "certificate {position} from the issuer up allows {allowed} authorities below it, there are {below}"
    )]
    PathLength {
        /// Which, from 1.
        position: usize,
        /// Its path length constraint.
        allowed: u32,
        /// How many there are.
        below: usize,
    },
    /// The issuer leads to none of the roots.
    #[error(
        "the chain does not lead from the issuer to one of the {0} roots: add what lies between, or the root"
    )]
    NoRoot(usize),
    /// The roots make no bundle.
    #[error("file of the roots")]
    Roots(#[source] BundleError),
    /// The authority cannot be made of it.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

/// An issuer from files, with every root that its file names.
#[derive(Debug)]
pub struct Plugged {
    /// Signs workloads; the root's key is elsewhere.
    pub authority: Authority,
    /// What is believed; the root of `authority` is among them.
    pub roots: TrustBundle,
}

impl Plugged {
    /// Reads the files and checks all that would otherwise fail at some workload.
    pub fn read(
        trust_domain: &TrustDomain,
        files: PluggedFiles<'_>,
        now: SystemTime,
    ) -> Result<Self, PluggedError> {
        let own = certificates("issuer", files.certificate)?;
        let issuer = own.first().cloned().ok_or(PluggedError::Empty("issuer"))?;
        let key = sole_key(files.key)?;
        let roots = TrustBundle::from_pem(trust_domain.clone(), files.roots).map_err(PluggedError::Roots)?;
        let signer = Signer::new(&key).map_err(PluggedError::Key)?;
        if read(&issuer, 1)?.spki() != signer.spki() {
            return Err(PluggedError::KeyMismatch);
        }
        let between: Vec<_> = own
            .into_iter()
            .skip(1)
            .chain(certificates("chain", files.chain)?)
            .collect();
        let way = climb(issuer, &between, roots.roots())?;
        check(&way, now)?;
        let (root, chain) = way
            .split_last()
            .ok_or(PluggedError::NoRoot(roots.roots().len()))?;
        let lineage = Lineage {
            chain: chain.to_vec(),
            root: root.clone(),
            root_key: None,
            issuer_key: key,
        };
        let authority = Authority::assemble(trust_domain.clone(), lineage)?;
        Ok(Self { authority, roots })
    }
}

fn certificates(what: &'static str, text: &[u8]) -> Result<Vec<CertificateDer<'static>>, PluggedError> {
    Ok(sections(what, text)?.certificates)
}

fn sections(what: &'static str, text: &[u8]) -> Result<Sections, PluggedError> {
    pem::read(text).map_err(|error| PluggedError::Pem(what, error))
}

fn sole_key(text: &[u8]) -> Result<PrivateKey, PluggedError> {
    let mut keys = sections("key", text)?.keys;
    match (keys.len(), keys.pop()) {
        (1, Some(key)) => Ok(key),
        (count, _) => Err(PluggedError::Keys(count)),
    }
}

fn read<'a>(certificate: &'a CertificateDer<'_>, position: usize) -> Result<Certificate<'a>, PluggedError> {
    Certificate::read(certificate).map_err(|_| PluggedError::NotAnAuthority(position))
}

/// From the issuer to a root, both included, by who signed whom.
fn climb(
    issuer: CertificateDer<'static>,
    between: &[CertificateDer<'static>],
    roots: &[CertificateDer<'static>],
) -> Result<Vec<CertificateDer<'static>>, PluggedError> {
    let mut way = vec![issuer];
    while way.len() <= MAX_CHAIN {
        let Some(last) = way.last() else { break };
        if roots.contains(last) {
            return Ok(way);
        }
        let child = read(last, way.len())?;
        let mut above = None;
        for candidate in roots.iter().chain(between) {
            if above.is_none()
                && !way.contains(candidate)
                && child.is_signed_by(&read(candidate, way.len() + 1)?)
            {
                above = Some(candidate.clone());
            }
        }
        match above {
            Some(certificate) => way.push(certificate),
            None => break,
        }
    }
    Err(PluggedError::NoRoot(roots.len()))
}

fn check(way: &[CertificateDer<'static>], now: SystemTime) -> Result<(), PluggedError> {
    let now_secs = unix_secs(now);
    for (below, certificate) in way.iter().enumerate() {
        let position = below + 1;
        let certificate = read(certificate, position)?;
        if !certificate.is_ca() || !certificate.may_sign() {
            return Err(PluggedError::NotAnAuthority(position));
        }
        let lifetime = certificate.lifetime();
        if now_secs > lifetime.not_after_secs {
            let at = utc(lifetime.not_after_secs);
            return Err(PluggedError::Expired { position, at });
        }
        if now_secs < lifetime.not_before_secs {
            let at = utc(lifetime.not_before_secs);
            return Err(PluggedError::NotYetValid { position, at });
        }
        if let Some(allowed) = certificate.path_len()
            && (allowed as usize) < below
        {
            return Err(PluggedError::PathLength {
                position,
                allowed,
                below,
            });
        }
    }
    Ok(())
}

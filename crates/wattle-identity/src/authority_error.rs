//! Why an authority is not one, and why it does not sign.

use crate::{
    bundle::BundleError,
    csr::CsrError,
    instant::utc,
    key::KeyError,
    pem::PemError,
    rejection::Rejection,
    spiffe::{SpiffeId, TrustDomain},
};

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
    /// A succession's text is not one.
    #[error("succession of authorities is damaged at line {0}")]
    Succession(usize),
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

//! Why a peer was refused, in words that lead to the cause, and its passage through rustls.

use std::{io, sync::Arc};

use rustls::{AlertDescription, CertificateError, OtherError};
use rustls_pki_types::UnixTime;

use crate::{instant::utc, spiffe::SpiffeId};

/// Longest foreign text that a message repeats, in characters.
const SHOWN: usize = 256;

/// A refused peer: [`id`](Self::id) is stable and meant for programs, `Display` names what was found and what was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// The peer showed no certificate.
    #[error("peer showed no certificate, expected one that names a workload")]
    NoCertificate,
    /// The certificate does not hold exactly one SPIFFE name of a workload.
    #[error(
        "peer's certificate holds {got}, expected exactly one URI spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT"
    )]
    NotSpiffe {
        /// What it holds instead.
        got: String,
    },
    /// No bundle for the peer's trust domain is known here.
    #[error("peer is {got}, expected a workload of trust domain {known}")]
    UnknownTrustDomain {
        /// The name in the certificate; not proven, since nobody here could check it.
        got: SpiffeId,
        /// The trust domains known here.
        known: String,
    },
    /// The chain does not lead to a root of the trust domain that the certificate names.
    #[error(
        "peer claims to be {got}, expected a chain to one of the {roots} known roots of its trust domain"
    )]
    UntrustedIssuer {
        /// The name in the certificate; not proven.
        got: SpiffeId,
        /// How many roots were tried.
        roots: usize,
    },
    /// A certificate of the chain is past its end.
    #[error("peer's certificate expired at {}, it is {} here", utc(*.not_after_secs), utc(*.now_secs))]
    Expired {
        /// End of validity, seconds since 1970.
        not_after_secs: u64,
        /// The time here, seconds since 1970.
        now_secs: u64,
    },
    /// A certificate of the chain is not valid yet; often a clock is wrong.
    #[error("peer's certificate is valid from {}, it is {} here", utc(*.not_before_secs), utc(*.now_secs))]
    NotYetValid {
        /// Start of validity, seconds since 1970.
        not_before_secs: u64,
        /// The time here, seconds since 1970.
        now_secs: u64,
    },
    /// A certificate of the chain is in its issuer's revocation list.
    #[error("peer's certificate, or one above it, was revoked by its issuer")]
    Revoked,
    /// The peer is who it says, but not one who may be at this endpoint.
    #[error("peer is {got}, expected {expected}")]
    UnexpectedIdentity {
        /// The proven name.
        got: SpiffeId,
        /// The names that were acceptable.
        expected: String,
    },
    /// The certificate may not be used on this side of a connection (extended key usage).
    #[error("certificate of {got} is not for a TLS {role}")]
    WrongPurpose {
        /// The name in the certificate.
        got: SpiffeId,
        /// `client` or `server`: what the peer is in this exchange.
        role: &'static str,
    },
    /// The certificate cannot be read, or breaks a rule of its kind.
    #[error("peer's certificate is malformed: {reason}")]
    Malformed {
        /// Which rule.
        reason: String,
    },
    /// The peer does not hold the key of the certificate that it showed.
    #[error("peer's handshake signature does not fit its certificate")]
    BadSignature,
    /// The peer refused us, or what we showed.
    #[error("peer refused this side with alert {alert}")]
    RefusedByPeer {
        /// The alert's name in RFC 8446 section 6.2, such as `certificate_expired`.
        alert: &'static str,
    },
}

impl Rejection {
    /// The stable reason id, for metrics, logs and the `wattle-reason` header.
    pub fn id(&self) -> &'static str {
        match self {
            Self::NoCertificate => "no_certificate",
            Self::NotSpiffe { .. } => "not_spiffe",
            Self::UnknownTrustDomain { .. } => "unknown_trust_domain",
            Self::UntrustedIssuer { .. } => "untrusted_issuer",
            Self::Expired { .. } => "expired",
            Self::NotYetValid { .. } => "not_yet_valid",
            Self::Revoked => "revoked",
            Self::UnexpectedIdentity { .. } => "unexpected_identity",
            Self::WrongPurpose { .. } => "wrong_purpose",
            Self::Malformed { .. } => "malformed",
            Self::BadSignature => "bad_signature",
            Self::RefusedByPeer { .. } => "refused_by_peer",
        }
    }

    /// Finds the refusal in a failed handshake; `None` when the cause was not anyone's identity.
    pub fn from_tls_error(error: &rustls::Error) -> Option<Self> {
        match error {
            rustls::Error::NoCertificatesPresented => Some(Self::NoCertificate),
            rustls::Error::InvalidCertificate(error) => Some(Self::from_certificate_error(error)),
            rustls::Error::AlertReceived(alert) => {
                alert_name(*alert).map(|alert| Self::RefusedByPeer { alert })
            }
            _ => None,
        }
    }

    /// The same for an I/O error that carries a TLS error, as stream adapters return it.
    pub fn from_io_error(error: &io::Error) -> Option<Self> {
        Self::from_tls_error(error.get_ref()?.downcast_ref()?)
    }

    fn from_certificate_error(error: &CertificateError) -> Self {
        match error {
            CertificateError::Other(OtherError(cause)) => cause
                .downcast_ref()
                .cloned()
                .unwrap_or_else(|| Self::malformed(&cause.to_string())),
            CertificateError::ExpiredContext { time, not_after } => Self::Expired {
                not_after_secs: not_after.as_secs(),
                now_secs: time.as_secs(),
            },
            CertificateError::NotValidYetContext { time, not_before } => Self::NotYetValid {
                not_before_secs: not_before.as_secs(),
                now_secs: time.as_secs(),
            },
            CertificateError::BadSignature => Self::BadSignature,
            CertificateError::Revoked => Self::Revoked,
            other => Self::malformed(&other.to_string()),
        }
    }

    pub(crate) fn malformed(reason: &str) -> Self {
        Self::Malformed {
            reason: reason.into(),
        }
    }

    /// The text comes from an unproven certificate, so it is cut and its control characters are made visible.
    pub(crate) fn not_spiffe(uri: &str) -> Self {
        Self::NotSpiffe {
            got: uri.chars().take(SHOWN).flat_map(char::escape_debug).collect(),
        }
    }
}

/// Errors of time and revocation keep rustls's own form, so that the peer is told `certificate_expired` or
/// `certificate_revoked` and can see that its own renewal failed; everything else travels whole and the peer is told `certificate_unknown`.
impl From<Rejection> for rustls::Error {
    fn from(rejection: Rejection) -> Self {
        let at = |secs| UnixTime::since_unix_epoch(std::time::Duration::from_secs(secs));
        Self::InvalidCertificate(match rejection {
            Rejection::Expired {
                not_after_secs,
                now_secs,
            } => CertificateError::ExpiredContext {
                time: at(now_secs),
                not_after: at(not_after_secs),
            },
            Rejection::NotYetValid {
                not_before_secs,
                now_secs,
            } => CertificateError::NotValidYetContext {
                time: at(now_secs),
                not_before: at(not_before_secs),
            },
            Rejection::Revoked => CertificateError::Revoked,
            other => CertificateError::Other(OtherError(Arc::new(other))),
        })
    }
}

/// The alerts of RFC 8446 section 6.2 that speak about who we are.
fn alert_name(alert: AlertDescription) -> Option<&'static str> {
    Some(match alert {
        AlertDescription::NoCertificate => "no_certificate",
        AlertDescription::BadCertificate => "bad_certificate",
        AlertDescription::UnsupportedCertificate => "unsupported_certificate",
        AlertDescription::CertificateRevoked => "certificate_revoked",
        AlertDescription::CertificateExpired => "certificate_expired",
        AlertDescription::CertificateUnknown => "certificate_unknown",
        AlertDescription::UnknownCA => "unknown_ca",
        AlertDescription::AccessDenied => "access_denied",
        AlertDescription::DecryptError => "decrypt_error",
        AlertDescription::CertificateRequired => "certificate_required",
        _ => return None,
    })
}

//! Certificates one after the other, without separators, as the SPIFFE Workload API carries them.

use rustls_pki_types::CertificateDer;
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

/// Largest text that is read, in bytes.
const MAX_BYTES: usize = 256 * 1024;
/// Most certificates in one text.
const MAX_CERTIFICATES: usize = 64;

/// Why a text was not accepted as certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DerError {
    /// More than 256 KiB, or more than 64 certificates.
    #[error("DER text is larger than {MAX_BYTES} bytes or {MAX_CERTIFICATES} certificates")]
    TooLarge,
    /// What follows this many certificates is none.
    #[error("DER text holds something else than a certificate after {0} of them")]
    Malformed(usize),
}

/// The certificates of a text; none of an empty one.
pub(crate) fn certificates(mut text: &[u8]) -> Result<Vec<CertificateDer<'static>>, DerError> {
    if text.len() > MAX_BYTES {
        return Err(DerError::TooLarge);
    }
    let mut found = Vec::new();
    while !text.is_empty() {
        if found.len() >= MAX_CERTIFICATES {
            return Err(DerError::TooLarge);
        }
        let malformed = DerError::Malformed(found.len());
        let (rest, _) = X509Certificate::from_der(text).map_err(|_| malformed)?;
        let length = text.len() - rest.len();
        let (one, rest) = text.split_at_checked(length).ok_or(malformed)?;
        found.push(one.to_vec().into());
        text = rest;
    }
    Ok(found)
}

//! Certificates that their issuers took back: revocation lists (RFC 5280 section 5), as PEM.

use std::{fmt, sync::Arc};

use rustls_pki_types::CertificateRevocationListDer;
use webpki::{CertRevocationList, OwnedCertRevocationList};

use crate::pem::{self, PemError};

/// Most lists; each issuer has one.
const MAX_LISTS: usize = 64;

/// Why lists were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RevocationError {
    /// The text is not PEM.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// There is no list in it, which would let everybody in by mistake.
    #[error("text holds no revocation list, at least one section X509 CRL expected")]
    Empty,
    /// More than 64 lists.
    #[error("text holds {0} revocation lists, at most {MAX_LISTS} expected")]
    TooMany(usize),
    /// A list cannot be read, or is of an unsupported kind (delta, indirect).
    #[error("revocation list {0} cannot be read: a complete and direct list of version 2 expected")]
    Unreadable(usize),
}

/// Revocation lists of any number of issuers. Of an issuer without a list nothing is revoked; a list whose next update is
/// overdue still counts, since refusing all would make one late file the end of the mesh.
#[derive(Clone, Default)]
pub struct RevocationLists {
    lists: Arc<[CertRevocationList<'static>]>,
    der: Arc<[Vec<u8>]>,
}

impl RevocationLists {
    /// Reads every list of a PEM text.
    pub fn from_pem(text: &[u8]) -> Result<Self, RevocationError> {
        let lists = pem::read(text)?.revocation_lists;
        if lists.is_empty() {
            return Err(RevocationError::Empty);
        }
        Self::from_der(lists)
    }

    /// Takes lists as DER, none too.
    pub fn from_der(der: Vec<Vec<u8>>) -> Result<Self, RevocationError> {
        if der.len() > MAX_LISTS {
            return Err(RevocationError::TooMany(der.len()));
        }
        let read = |(index, list): (usize, &Vec<u8>)| {
            OwnedCertRevocationList::from_der(&CertificateRevocationListDer::from(list.as_slice()))
                .map(CertRevocationList::from)
                .map_err(|_| RevocationError::Unreadable(index + 1))
        };
        let lists = der.iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            lists: lists.into(),
            der: der.into(),
        })
    }

    /// The lists as DER.
    pub fn der(&self) -> &[Vec<u8>] {
        &self.der
    }

    pub(crate) fn lists(&self) -> &[CertRevocationList<'static>] {
        &self.lists
    }
}

impl PartialEq for RevocationLists {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for RevocationLists {}

impl fmt::Debug for RevocationLists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RevocationLists({})", self.lists.len())
    }
}

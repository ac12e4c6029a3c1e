//! PEM in and out (RFC 7468), bounded on the way in, wiped on the way out where it holds a key.

use base64::{Engine, engine::general_purpose::STANDARD};
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{PemObject, SectionKind},
};
use zeroize::Zeroizing;

use crate::key::PrivateKey;

/// Largest PEM text that is read, in bytes.
const MAX_PEM: usize = 256 * 1024;
/// Most sections in one text.
const MAX_SECTIONS: usize = 64;
const LINE: usize = 64;

/// Why a text was not accepted as PEM.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PemError {
    /// More than 256 KiB, or more than 64 sections.
    #[error("PEM text is larger than {MAX_PEM} bytes or {MAX_SECTIONS} sections")]
    TooLarge,
    /// A section is cut off or its base64 is damaged.
    #[error("PEM text is malformed")]
    Malformed,
}

/// What a PEM text held; sections of other kinds are passed over.
#[derive(Default)]
pub(crate) struct Sections {
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    pub(crate) keys: Vec<PrivateKey>,
    pub(crate) requests: Vec<Vec<u8>>,
    pub(crate) revocation_lists: Vec<Vec<u8>>,
}

/// Reads every section.
pub(crate) fn read(text: &[u8]) -> Result<Sections, PemError> {
    if text.len() > MAX_PEM {
        return Err(PemError::TooLarge);
    }
    let mut found = Sections::default();
    for (count, section) in <(SectionKind, Vec<u8>)>::pem_slice_iter(text).enumerate() {
        if count >= MAX_SECTIONS {
            return Err(PemError::TooLarge);
        }
        let (kind, der) = section.map_err(|_| PemError::Malformed)?;
        match kind {
            SectionKind::Certificate => found.certificates.push(der.into()),
            SectionKind::Csr => found.requests.push(der),
            SectionKind::Crl => found.revocation_lists.push(der),
            kind => found
                .keys
                .extend(PrivateKeyDer::from_pem(kind, der).map(PrivateKey::from_der)),
        }
    }
    Ok(found)
}

/// Appends one section.
pub(crate) fn write(out: &mut String, label: &str, der: &[u8]) {
    let body = Zeroizing::new(STANDARD.encode(der));
    // Reserved at once: a growing buffer would leave copies of a key behind.
    out.reserve(body.len() + body.len() / LINE + 2 * label.len() + 40);
    out.push_str("-----BEGIN ");
    out.push_str(label);
    out.push_str("-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, tail) = rest.split_at(LINE.min(rest.len()));
        out.push_str(line);
        out.push('\n');
        rest = tail;
    }
    out.push_str("-----END ");
    out.push_str(label);
    out.push_str("-----\n");
}

/// One certificate as PEM.
pub(crate) fn certificate(der: &[u8]) -> String {
    let mut text = String::new();
    write(&mut text, "CERTIFICATE", der);
    text
}

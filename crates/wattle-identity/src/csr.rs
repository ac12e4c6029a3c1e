//! Certificate signing requests (PKCS #10, RFC 2986): what we send, and what we accept.

use rcgen::{CertificateParams, DistinguishedName, SanType, SubjectPublicKeyInfo};
use x509_parser::{
    certification_request::X509CertificationRequest,
    extensions::GeneralName,
    oid_registry::{OID_PKCS1_RSASSAPSS, OID_PKCS1_SHA1WITHRSA, OID_SHA1_WITH_RSA},
    prelude::FromDer,
};

use crate::{
    certificate::requested_names,
    key::{KeyError, Signer},
    pem,
    spiffe::SpiffeId,
};

/// Largest request in bytes of DER; one with an RSA-8192 key stays below 3 KiB.
const MAX_REQUEST: usize = 16 * 1024;

/// Why a signing request was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CsrError {
    /// The text does not hold exactly one readable request.
    #[error("text does not hold exactly one well-formed certificate request")]
    Malformed,
    /// More than 16 KiB.
    #[error("certificate request is larger than {MAX_REQUEST} bytes")]
    TooLarge,
    /// The request is not signed by the key that it asks to certify, or with an algorithm that proves nothing.
    #[error("certificate request is not signed by its own key")]
    Signature,
    /// The key is of a kind that is not certified here.
    #[error("key in the certificate request is not ECDSA P-256, P-384, Ed25519 or RSA from 2,048 bits")]
    UnsupportedKey,
    /// The request asks for a name other than the caller's.
    #[error("certificate request asks for {requested}, but the caller is {caller}")]
    OtherName {
        /// What it asks for.
        requested: String,
        /// Who the caller was proven to be.
        caller: SpiffeId,
    },
}

/// A request for that name, as PEM.
pub(crate) fn create(signer: &Signer, id: &SpiffeId) -> Result<String, KeyError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.subject_alt_names = vec![uri(id.as_str()).ok_or(KeyError::Generate)?];
    let request = params.serialize_request(signer).map_err(|_| KeyError::Generate)?;
    let mut text = String::new();
    pem::write(&mut text, "CERTIFICATE REQUEST", request.der());
    Ok(text)
}

/// A URI as a subject alternative name; `None` when it is not ASCII.
pub(crate) fn uri(text: &str) -> Option<SanType> {
    text.try_into().ok().map(SanType::URI)
}

/// Checks a request and gives the key to certify. The name in it is compared with the caller's and then forgotten: the
/// certificate is made from the caller's name alone, and no other wish in the request is read at all.
pub(crate) fn accept(text: &str, caller: &SpiffeId) -> Result<SubjectPublicKeyInfo, CsrError> {
    let sections = pem::read(text.as_bytes()).map_err(|_| CsrError::Malformed)?;
    let [der] = sections.requests.as_slice() else {
        return Err(CsrError::Malformed);
    };
    if der.len() > MAX_REQUEST {
        return Err(CsrError::TooLarge);
    }
    let Ok(([], request)) = X509CertificationRequest::from_der(der) else {
        return Err(CsrError::Malformed);
    };
    check_signature(&request)?;
    check_names(&request, caller)?;
    let key = request.certification_request_info.subject_pki.raw;
    SubjectPublicKeyInfo::from_der(key).map_err(|_| CsrError::UnsupportedKey)
}

fn check_signature(request: &X509CertificationRequest<'_>) -> Result<(), CsrError> {
    let algorithm = &request.signature_algorithm.algorithm;
    // SHA-1 can be collided; PSS parameters may name it too, and no known workload uses them.
    if [OID_PKCS1_SHA1WITHRSA, OID_SHA1_WITH_RSA, OID_PKCS1_RSASSAPSS].contains(algorithm) {
        return Err(CsrError::Signature);
    }
    request.verify_signature().map_err(|_| CsrError::Signature)
}

fn check_names(request: &X509CertificationRequest<'_>, caller: &SpiffeId) -> Result<(), CsrError> {
    let Some(extensions) = request.requested_extensions() else {
        return Ok(());
    };
    for name in requested_names(extensions) {
        if !matches!(name, GeneralName::URI(uri) if *uri == caller.as_str()) {
            let requested = name
                .to_string()
                .chars()
                .take(256)
                .flat_map(char::escape_debug)
                .collect();
            return Err(CsrError::OtherName {
                requested,
                caller: caller.clone(),
            });
        }
    }
    Ok(())
}

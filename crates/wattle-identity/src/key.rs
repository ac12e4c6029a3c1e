//! Private keys: made, read, written, and lent to the two libraries that sign with them.

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair},
};
use rcgen::{PublicKeyData, SignatureAlgorithm, SubjectPublicKeyInfo};
use rustls::{SignatureScheme, crypto::aws_lc_rs::sign::any_supported_type, sign::SigningKey};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroize;

use crate::pem;

/// Why a private key could not be made or used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The source of randomness failed.
    #[error("no key could be generated")]
    Generate,
    /// The key is damaged, or of a kind other than ECDSA P-256 or P-384, Ed25519, or RSA.
    #[error("private key is damaged or of an unsupported kind")]
    Unsupported,
}

/// A private key; wiped when dropped and never printed.
pub(crate) struct PrivateKey(PrivateKeyDer<'static>);

impl PrivateKey {
    /// A fresh ECDSA P-256 key.
    pub(crate) fn generate() -> Result<Self, KeyError> {
        // The library's document wipes itself on drop; ours does after the copy.
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new())
            .map_err(|_| KeyError::Generate)?;
        Ok(Self(PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(
            document.as_ref().to_vec(),
        ))))
    }

    pub(crate) fn from_der(der: PrivateKeyDer<'static>) -> Self {
        Self(der)
    }

    /// A second holder of the same key.
    pub(crate) fn duplicate(&self) -> Self {
        Self(self.0.clone_key())
    }

    /// The key as rustls signs with it.
    pub(crate) fn signing_key(&self) -> Result<Arc<dyn SigningKey>, KeyError> {
        any_supported_type(&self.0).map_err(|_| KeyError::Unsupported)
    }

    pub(crate) fn write_pem(&self, out: &mut String) {
        let label = match &self.0 {
            PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
            PrivateKeyDer::Sec1(_) => "EC PRIVATE KEY",
            _ => "PRIVATE KEY",
        };
        pem::write(out, label, self.0.secret_der());
    }
}

impl Drop for PrivateKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(..)")
    }
}

/// A key as it signs certificates and requests.
pub(crate) struct Signer {
    key: Arc<dyn SigningKey>,
    public: SubjectPublicKeyInfo,
    scheme: SignatureScheme,
    algorithm: &'static SignatureAlgorithm,
}

impl Signer {
    pub(crate) fn new(key: &PrivateKey) -> Result<Self, KeyError> {
        let key = key.signing_key()?;
        let spki = key.public_key().ok_or(KeyError::Unsupported)?;
        let public = SubjectPublicKeyInfo::from_der(&spki).map_err(|_| KeyError::Unsupported)?;
        let (scheme, algorithm) = SCHEMES
            .iter()
            .copied()
            .find(|(scheme, _)| key.choose_scheme(&[*scheme]).is_some())
            .ok_or(KeyError::Unsupported)?;
        Ok(Self {
            key,
            public,
            scheme,
            algorithm,
        })
    }

    /// The public half, as SubjectPublicKeyInfo DER.
    pub(crate) fn spki(&self) -> Vec<u8> {
        self.public.subject_public_key_info()
    }
}

static SCHEMES: [(SignatureScheme, &SignatureAlgorithm); 4] = [
    (
        SignatureScheme::ECDSA_NISTP256_SHA256,
        &rcgen::PKCS_ECDSA_P256_SHA256,
    ),
    (
        SignatureScheme::ECDSA_NISTP384_SHA384,
        &rcgen::PKCS_ECDSA_P384_SHA384,
    ),
    (SignatureScheme::ED25519, &rcgen::PKCS_ED25519),
    (SignatureScheme::RSA_PKCS1_SHA256, &rcgen::PKCS_RSA_SHA256),
];

impl PublicKeyData for Signer {
    fn der_bytes(&self) -> &[u8] {
        self.public.der_bytes()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        self.algorithm
    }
}

impl rcgen::SigningKey for Signer {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signer = self
            .key
            .choose_scheme(&[self.scheme])
            .ok_or(rcgen::Error::RemoteKeyError)?;
        signer.sign(message).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}

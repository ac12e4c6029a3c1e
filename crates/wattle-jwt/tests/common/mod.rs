//! An issuer with one key of each kind, and the tokens it signs.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub)]

use std::sync::{Arc, LazyLock};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use wattle_jwt::{Claims, KeySet, Rejection, Requirements, Token, verify};

/// The time in the tests, seconds since 1970.
pub const NOW: u64 = 1_800_000_000;
pub const ISSUER: &str = "https://issuer.example";
/// A payload that fulfils what [`requirements`] ask for.
pub const PAYLOAD: &str = r#"{"iss":"https://issuer.example","sub":"alice","aud":["shop","bank"],"exp":1800000300,"iat":1799999990}"#;

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn decode(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

enum Private {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

/// A private key and its public half as the members of a JWK.
pub struct Signer {
    private: Private,
    pub jwk: String,
}

pub static RSA: LazyLock<Signer> = LazyLock::new(|| {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    // SEQUENCE of two INTEGERs (RFC 8017 appendix A.1.1); 2048 bits and 65537 leave one layout.
    let der = key.public_key().as_ref();
    assert_eq!(
        (der.len(), &der[..9]),
        (270, &[0x30, 0x82, 1, 0x0a, 2, 0x82, 1, 1, 0][..])
    );
    let jwk = format!(
        r#""kty":"RSA","n":"{}","e":"{}""#,
        encode(&der[9..265]),
        encode(&der[267..])
    );
    Signer {
        private: Private::Rsa(key),
        jwk,
    }
});
pub static P256: LazyLock<Signer> =
    LazyLock::new(|| elliptic(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, "P-256"));
pub static P384: LazyLock<Signer> =
    LazyLock::new(|| elliptic(&signature::ECDSA_P384_SHA384_FIXED_SIGNING, "P-384"));
pub static P521: LazyLock<Signer> =
    LazyLock::new(|| elliptic(&signature::ECDSA_P521_SHA512_FIXED_SIGNING, "P-521"));
pub static ED25519: LazyLock<Signer> = LazyLock::new(edwards);

pub fn elliptic(algorithm: &'static EcdsaSigningAlgorithm, curve: &str) -> Signer {
    let key = EcdsaKeyPair::generate(algorithm).unwrap();
    let (x, y) = key.public_key().as_ref()[1..].split_at((key.public_key().as_ref().len() - 1) / 2);
    let jwk = format!(
        r#""kty":"EC","crv":"{curve}","x":"{}","y":"{}""#,
        encode(x),
        encode(y)
    );
    Signer {
        private: Private::Ec(key),
        jwk,
    }
}

pub fn edwards() -> Signer {
    let key = Ed25519KeyPair::generate().unwrap();
    let jwk = format!(
        r#""kty":"OKP","crv":"Ed25519","x":"{}""#,
        encode(key.public_key())
    );
    Signer {
        private: Private::Ed(key),
        jwk,
    }
}

impl Signer {
    /// The public half with more members, such as `"kid":"a"`.
    pub fn jwk(&self, more: &str) -> String {
        let comma = if more.is_empty() { "" } else { "," };
        format!("{{{}{comma}{more}}}", self.jwk)
    }

    pub fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.private {
            Private::Ec(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Private::Ed(key) => key.sign(message).as_ref().to_vec(),
            Private::Rsa(key) => {
                let encoding: &dyn RsaEncoding = match algorithm {
                    "RS256" => &signature::RSA_PKCS1_SHA256,
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    _ => &signature::RSA_PSS_SHA512,
                };
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(encoding, &random, message, &mut signature).unwrap();
                signature
            }
        }
    }

    /// A token whose header is `{"alg":ALGORITHM}`, with more members.
    pub fn token(&self, algorithm: &str, more: &str, payload: &str) -> String {
        let comma = if more.is_empty() { "" } else { "," };
        self.signed(
            algorithm,
            format!(r#"{{"alg":"{algorithm}"{comma}{more}}}"#),
            payload,
        )
    }

    /// A token with that very header.
    pub fn signed(&self, algorithm: &str, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        let signed = format!("{}.{}", encode(header), encode(payload));
        let signature = self.sign(algorithm, signed.as_bytes());
        format!("{signed}.{}", encode(signature))
    }
}

/// Each algorithm with whoever signs it.
pub fn signers() -> [(&'static str, &'static Signer); 10] {
    [
        ("RS256", &RSA),
        ("RS384", &RSA),
        ("RS512", &RSA),
        ("PS256", &RSA),
        ("PS384", &RSA),
        ("PS512", &RSA),
        ("ES256", &P256),
        ("ES384", &P384),
        ("ES512", &P521),
        ("EdDSA", &ED25519),
    ]
}

pub fn key_set(keys: &[String]) -> Arc<KeySet> {
    let set = KeySet::parse(&format!(r#"{{"keys":[{}]}}"#, keys.join(","))).unwrap();
    assert_eq!(set.problems(), []);
    Arc::new(set)
}

/// What the issuer with one key of each kind is asked for.
pub static REQUIREMENTS: LazyLock<Requirements> = LazyLock::new(|| {
    let keys = [&RSA, &P256, &P384, &P521, &ED25519].map(|signer| signer.jwk(""));
    Requirements::new(ISSUER, key_set(&keys))
});

/// Reads and verifies.
pub fn accept(text: &str) -> Result<Claims, Rejection> {
    accept_by(text, &REQUIREMENTS)
}

pub fn accept_by(text: &str, requirements: &Requirements) -> Result<Claims, Rejection> {
    verify(Token::parse(text)?, requirements, NOW)
}

/// Why a token is refused, and that nothing of it is repeated.
pub fn refusal(text: &str) -> &'static str {
    refusal_by(text, &REQUIREMENTS)
}

pub fn refusal_by(text: &str, requirements: &Requirements) -> &'static str {
    let rejection = accept_by(text, requirements).expect_err(text);
    let shown = format!("{rejection} {rejection:?}");
    for part in text.split('.').filter(|part| part.len() > 12) {
        assert!(!shown.contains(part), "{shown}");
    }
    rejection.id()
}

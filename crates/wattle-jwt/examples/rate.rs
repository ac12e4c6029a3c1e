//! What a verified token costs: `rate SECONDS` reads and verifies tokens of each algorithm for so long and prints how
//! many a CPU verifies in a second, and what reading alone costs.
#![allow(clippy::expect_used)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use wattle_jwt::{KeySet, Requirements, Token, verify};

const NOW: u64 = 1_800_000_000;
/// The claims of a usual access token.
const PAYLOAD: &str = r#"{"iss":"https://issuer.example/realms/shop","sub":"f2d1b9a0-53c7-4c39-9c38-5f0f9f1f7b11","aud":["shop","bank"],"exp":1800000300,"iat":1799999990,"auth_time":1799999000,"jti":"8b6f0f0e-2d4b-4b3e-93a6-9f6a4f1e6f6d","azp":"web","acr":"1","scope":"openid profile email","realm_access":{"roles":["offline_access","user"]},"resource_access":{"account":{"roles":["manage-account","view-profile"]}},"email_verified":true,"name":"Alice Example","preferred_username":"alice","email":"alice@example.com"}"#;

/// An algorithm, the key set of its issuer, and a token.
struct Case {
    algorithm: &'static str,
    keys: Arc<KeySet>,
    token: String,
}

fn main() {
    let seconds = std::env::args().nth(1).and_then(|word| word.parse().ok());
    let time = Duration::from_secs_f64(seconds.unwrap_or(1.0));
    for case in cases() {
        let requirements = Requirements::new("https://issuer.example/realms/shop", case.keys.clone());
        let parsed = rate(time, || assert!(Token::parse(black_box(&case.token)).is_ok()));
        let verified = rate(time, || {
            let token = Token::parse(black_box(&case.token)).expect("well formed");
            assert!(verify(token, &requirements, NOW).is_ok(), "refused");
        });
        println!(
            "{:<6} {:>8.0} verified per CPU second, {:>7.2} us each, of which {:.2} us read {} bytes",
            case.algorithm,
            verified,
            1e6 / verified,
            1e6 / parsed,
            case.token.len(),
        );
    }
}

/// How often `work` is done in a second of this thread's CPU time.
fn rate(time: Duration, mut work: impl FnMut()) -> f64 {
    let (begun, used) = (Instant::now(), cpu_nanos());
    let mut done = 0.0;
    while begun.elapsed() < time {
        for _ in 0..16 {
            work();
        }
        done += 16.0;
    }
    done * 1e9 / (cpu_nanos() - used)
}

/// What this thread has run so far; others of the machine do not count.
fn cpu_nanos() -> f64 {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let nanos = schedule.split(' ').next().and_then(|word| word.parse().ok());
    nanos.expect("nanoseconds come first")
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (size, name) in [(KeySize::Rsa2048, "RS256"), (KeySize::Rsa4096, "RS256")] {
        cases.push(rsa(size, name, &signature::RSA_PKCS1_SHA256));
    }
    cases.push(rsa(KeySize::Rsa2048, "PS256", &signature::RSA_PSS_SHA256));
    cases.push(elliptic(
        "ES256",
        "P-256",
        &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
    ));
    cases.push(elliptic(
        "ES384",
        "P-384",
        &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
    ));
    cases.push(elliptic(
        "ES512",
        "P-521",
        &signature::ECDSA_P521_SHA512_FIXED_SIGNING,
    ));
    let key = Ed25519KeyPair::generate().expect("random numbers");
    let jwk = format!(
        r#""kty":"OKP","crv":"Ed25519","x":"{}""#,
        encode(key.public_key())
    );
    cases.push(case("EdDSA", &jwk, |signed| key.sign(signed).as_ref().to_vec()));
    cases
}

fn rsa(size: KeySize, algorithm: &'static str, encoding: &'static dyn RsaEncoding) -> Case {
    let key = RsaKeyPair::generate(size).expect("random numbers");
    // SEQUENCE of modulus and 65537 (RFC 8017 appendix A.1.1): the modulus ends five bytes before the end.
    let der = key.public_key().as_ref();
    let end = der.len() - 5;
    let modulus = &der[end - key.public_modulus_len()..end];
    let jwk = format!(r#""kty":"RSA","e":"AQAB","n":"{}""#, encode(modulus));
    case(algorithm, &jwk, |signed| {
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(encoding, &SystemRandom::new(), signed, &mut signature)
            .expect("the length is right");
        signature
    })
}

fn elliptic(algorithm: &'static str, curve: &str, signing: &'static EcdsaSigningAlgorithm) -> Case {
    let key = EcdsaKeyPair::generate(signing).expect("random numbers");
    let point = &key.public_key().as_ref()[1..];
    let (x, y) = point.split_at(point.len() / 2);
    let jwk = format!(
        r#""kty":"EC","crv":"{curve}","x":"{}","y":"{}""#,
        encode(x),
        encode(y)
    );
    case(algorithm, &jwk, |signed| {
        key.sign(&SystemRandom::new(), signed)
            .expect("random numbers")
            .as_ref()
            .to_vec()
    })
}

fn case(algorithm: &'static str, jwk: &str, sign: impl Fn(&[u8]) -> Vec<u8>) -> Case {
    let header = format!(r#"{{"alg":"{algorithm}","typ":"JWT","kid":"2026-11"}}"#);
    let signed = format!("{}.{}", encode(header), encode(PAYLOAD));
    let signature = encode(sign(signed.as_bytes()));
    let set = format!(r#"{{"keys":[{{{jwk},"kid":"2026-11","use":"sig"}}]}}"#);
    Case {
        algorithm,
        keys: Arc::new(KeySet::parse(&set).expect("a key set")),
        token: format!("{signed}.{signature}"),
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

//! What a verified token costs: `rate SECONDS` reads and verifies tokens of each algorithm for so long and prints how
//! many a CPU verifies in a second, and what reading alone costs. `rate tokens RS256-2048 COUNT` prints a key set and so
//! many different tokens that it verifies, a line each, for those who measure a proxy.
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
/// Long after `NOW`: 1 January 2100.
const END: u64 = 4_102_444_800;

/// A signature over bytes.
type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// An algorithm with its key, how a token is signed with it, and the key set of the issuer.
struct Case {
    name: &'static str,
    keys: String,
    sign: Sign,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["tokens", name, count] => print_tokens(name, count.parse().expect("a number of tokens")),
        [seconds] => measure(seconds.parse().expect("a number of seconds")),
        _ => measure(1.0),
    }
}

fn measure(seconds: f64) {
    let time = Duration::from_secs_f64(seconds);
    for case in cases() {
        let keys = Arc::new(KeySet::parse(&case.keys).expect("a key set"));
        let requirements = Requirements::new("https://issuer.example/realms/shop", keys);
        let text = case.token(0);
        let parsed = rate(time, || assert!(Token::parse(black_box(&text)).is_ok()));
        let verified = rate(time, || {
            let token = Token::parse(black_box(&text)).expect("well formed");
            assert!(verify(token, &requirements, NOW).is_ok(), "refused");
        });
        println!(
            "{:<10} {:>8.0} verified per CPU second, {:>7.2} us each, of which {:.2} us read {} bytes",
            case.name,
            verified,
            1e6 / verified,
            1e6 / parsed,
            text.len(),
        );
    }
}

fn print_tokens(name: &str, count: u64) {
    let cases = cases();
    let case = cases.iter().find(|case| case.name == name);
    let case = case.expect("an algorithm as `rate` prints it");
    println!("{}", case.keys);
    for number in 0..count {
        println!("{}", case.token(number));
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
    for (size, name) in [(KeySize::Rsa2048, "RS256-2048"), (KeySize::Rsa4096, "RS256-4096")] {
        cases.push(rsa(size, name, &signature::RSA_PKCS1_SHA256));
    }
    cases.push(rsa(KeySize::Rsa2048, "PS256-2048", &signature::RSA_PSS_SHA256));
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
    cases.push(case("EdDSA", &jwk, move |signed| {
        key.sign(signed).as_ref().to_vec()
    }));
    cases
}

fn rsa(size: KeySize, name: &'static str, encoding: &'static dyn RsaEncoding) -> Case {
    let key = RsaKeyPair::generate(size).expect("random numbers");
    // SEQUENCE of modulus and 65537 (RFC 8017 appendix A.1.1): the modulus ends five bytes before the end.
    let der = key.public_key().as_ref();
    let end = der.len() - 5;
    let modulus = &der[end - key.public_modulus_len()..end];
    let jwk = format!(r#""kty":"RSA","e":"AQAB","n":"{}""#, encode(modulus));
    case(name, &jwk, move |signed| {
        let mut signature = vec![0; key.public_modulus_len()];
        key.sign(encoding, &SystemRandom::new(), signed, &mut signature)
            .expect("the length is right");
        signature
    })
}

fn elliptic(name: &'static str, curve: &str, signing: &'static EcdsaSigningAlgorithm) -> Case {
    let key = EcdsaKeyPair::generate(signing).expect("random numbers");
    let point = &key.public_key().as_ref()[1..];
    let (x, y) = point.split_at(point.len() / 2);
    let jwk = format!(
        r#""kty":"EC","crv":"{curve}","x":"{}","y":"{}""#,
        encode(x),
        encode(y)
    );
    case(name, &jwk, move |signed| {
        key.sign(&SystemRandom::new(), signed)
            .expect("random numbers")
            .as_ref()
            .to_vec()
    })
}

fn case(name: &'static str, jwk: &str, sign: impl Fn(&[u8]) -> Vec<u8> + 'static) -> Case {
    Case {
        name,
        keys: format!(r#"{{"keys":[{{{jwk},"kid":"2026-11","use":"sig"}}]}}"#),
        sign: Box::new(sign),
    }
}

impl Case {
    /// A usual access token that differs from those with other numbers.
    fn token(&self, number: u64) -> String {
        let algorithm = self.name.split('-').next().unwrap_or_default();
        let header = format!(r#"{{"alg":"{algorithm}","typ":"JWT","kid":"2026-11"}}"#);
        let signed = format!("{}.{}", encode(header), encode(claims(number)));
        let signature = encode((self.sign)(signed.as_bytes()));
        format!("{signed}.{signature}")
    }
}

fn claims(number: u64) -> String {
    format!(
        r#"{{"iss":"https://issuer.example/realms/shop","sub":"f2d1b9a0-53c7-4c39-9c38-{number:012}","aud":["shop","bank"],"exp":{END},"iat":1700000000,"auth_time":1699999000,"jti":"8b6f0f0e-2d4b-4b3e-93a6-{number:012}","azp":"web","acr":"1","scope":"openid profile email","realm_access":{{"roles":["offline_access","user"]}},"resource_access":{{"account":{{"roles":["manage-account","view-profile"]}}}},"email_verified":true,"name":"Alice Example","preferred_username":"alice","email":"alice@example.com"}}"#
    )
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

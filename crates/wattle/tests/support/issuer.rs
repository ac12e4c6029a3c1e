//! Somebody who signs tokens, and a server of key sets.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use wattle_testkit::Spot;

/// Claim `iss` of the tokens.
pub(crate) const ISSUER: &str = "https://issuer.example";

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key, and the tokens that are signed with it.
pub(crate) struct Issuer {
    key: EcdsaKeyPair,
    id: &'static str,
}

impl Issuer {
    pub(crate) fn new(id: &'static str) -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        Self { key, id }
    }

    /// The public half.
    pub(crate) fn jwk(&self) -> String {
        let (x, y) = self.key.public_key().as_ref()[1..].split_at(32);
        let (x, y, id) = (encode(x), encode(y), self.id);
        format!(r#"{{"kty":"EC","crv":"P-256","alg":"ES256","kid":"{id}","x":"{x}","y":"{y}"}}"#)
    }

    /// A token of `alice` that is valid for an hour, with these further claims, such as `,"azp":"web"`.
    pub(crate) fn token(&self, claims: &str) -> String {
        self.until(3600, claims)
    }

    /// The same that expires so many seconds from now.
    pub(crate) fn until(&self, seconds: i64, claims: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let expiry = now.checked_add_signed(seconds).unwrap();
        let payload = format!(r#"{{"iss":"{ISSUER}","sub":"alice","exp":{expiry}{claims}}}"#);
        self.sign(&format!(r#"{{"alg":"ES256","kid":"{}"}}"#, self.id), &payload)
    }

    pub(crate) fn sign(&self, header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", encode(header), encode(payload));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", encode(signature.as_ref()))
    }
}

/// A key set of these.
pub(crate) fn key_set(issuers: &[&Issuer]) -> String {
    let keys: Vec<_> = issuers.iter().map(|issuer| issuer.jwk()).collect();
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

/// A server that answers everything with a key set, which can be exchanged.
#[derive(Clone, Default)]
pub(crate) struct KeyServer(Arc<Mutex<String>>);

impl KeyServer {
    /// Starts it on a loopback's port.
    pub(crate) fn start(spot: &Spot, port: u16, keys: String) -> Self {
        Self::start_at(spot, (Ipv4Addr::LOCALHOST, port), keys)
    }

    pub(crate) fn start_at(spot: &Spot, address: (Ipv4Addr, u16), keys: String) -> Self {
        let server = Self(Arc::new(Mutex::new(keys)));
        let listener = spot.enter(|| TcpListener::bind(address)).unwrap();
        let answers = server.clone();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let body = answers.0.lock().unwrap().clone();
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                // Whoever breaks off asks again.
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        server
    }

    pub(crate) fn publish(&self, keys: String) {
        *self.0.lock().unwrap() = keys;
    }
}

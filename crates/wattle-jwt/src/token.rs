//! A token before anybody believes it: its form is checked, its signature is not.

use std::fmt;

use crate::algorithm::{self, Algorithm};
use crate::base64url;
use crate::claims::{Claim, Object};
use crate::document::{Document, Fault};
use crate::rejection::Rejection;

/// Longest token that is read, in bytes; longer ones rarely fit into a request's header anyway.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;
/// Longest signature: RSA with the longest modulus that is accepted.
const MAX_SIGNATURE_BYTES: usize = crate::MAX_MODULUS_BITS / 8;

const HEADER: &str = "header";
const PAYLOAD: &str = "payload";
const SIGNATURE: &str = "signature";

/// A signed token (JWS, RFC 7515 section 7.1) whose form is right and whose claims are **not proven**.
///
/// Of the header only `alg` and `kid` count, and `kid` only as a word to look up: keys inside a token or at addresses in
/// it (`jwk`, `jku`, `x5c`, `x5u`) are never used.
pub struct Token<'t> {
    algorithm: Algorithm,
    key_id: Option<Box<str>>,
    /// Header and payload as they were sent, with the dot between them: what is signed.
    signed: &'t str,
    signature: Vec<u8>,
    payload: Document,
}

impl<'t> Token<'t> {
    /// Reads a token in its compact form, such as it stands behind `Bearer ` in a request.
    ///
    /// A token is refused whose form leaves open what it says: names twice, base64 with a second spelling, extensions that
    /// must be understood, encryption, nesting. `typ` is not looked at.
    pub fn parse(text: &'t str) -> Result<Self, Rejection> {
        if text.len() > MAX_TOKEN_BYTES {
            return Err(Rejection::TooLarge);
        }
        let [header, payload, signature] = parts(text)?;
        let (algorithm, key_id) = read_header(header)?;
        let payload = document(payload, PAYLOAD, Rejection::DuplicateClaim)?;
        check_types(Object::root(&payload))?;
        Ok(Self {
            algorithm,
            key_id,
            signed: &text[..text.len() - signature.len() - 1],
            signature: read_signature(signature)?,
            payload,
        })
    }

    /// `alg`.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// `kid`, not proven.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// `iss`, not proven: good for choosing whose requirements to verify the token against, and for nothing else.
    pub fn unverified_issuer(&self) -> Option<&str> {
        Object::root(&self.payload).member("iss")?.text()
    }

    pub(crate) fn signed(&self) -> &'t str {
        self.signed
    }

    pub(crate) fn signature(&self) -> &[u8] {
        &self.signature
    }

    pub(crate) fn payload(&self) -> &Document {
        &self.payload
    }

    pub(crate) fn into_payload(self) -> Document {
        self.payload
    }
}

/// A token is a secret.
impl fmt::Debug for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

fn parts(text: &str) -> Result<[&str; 3], Rejection> {
    let mut parts = text.split('.');
    let mut next = || parts.next();
    let found = [next(), next(), next(), next(), next(), next()];
    match found {
        [Some(header), Some(payload), Some(signature), None, ..] => Ok([header, payload, signature]),
        [.., Some(_), None] => Err(Rejection::Encrypted),
        _ => Err(malformed("form", "three parts with dots between them")),
    }
}

fn malformed(part: &'static str, expected: &'static str) -> Rejection {
    Rejection::Malformed { part, expected }
}

fn document(encoded: &str, part: &'static str, duplicate: Rejection) -> Result<Document, Rejection> {
    let json = base64url::decode(encoded).ok_or(malformed(part, "base64url without padding"))?;
    Document::parse(json).map_err(|fault| match fault {
        Fault::Syntax => malformed(part, "JSON in UTF-8"),
        Fault::NotAnObject => malformed(part, "a JSON object"),
        Fault::Duplicate => duplicate,
        Fault::TooDeep => Rejection::TooDeep { part },
    })
}

/// `alg` and `kid` of a header that asks for nothing that is not supported.
fn read_header(encoded: &str) -> Result<(Algorithm, Option<Box<str>>), Rejection> {
    let document = document(encoded, HEADER, Rejection::DuplicateHeader)?;
    let header = Object::root(&document);
    let text = |name: &str| match header.member(name) {
        None => Ok(None),
        Some(Claim::Text(text)) => Ok(Some(text)),
        Some(_) => Err(malformed(HEADER, "strings as alg, kid, typ and cty")),
    };
    let name = text("alg")?.ok_or(Rejection::Algorithm { got: "missing" })?;
    let got = algorithm::refused(name);
    let algorithm = Algorithm::named(name).ok_or(Rejection::Algorithm { got })?;
    if ["crit", "b64"].iter().any(|name| header.member(name).is_some()) {
        return Err(Rejection::Critical);
    }
    text("typ")?;
    if text("cty")?.is_some_and(is_token) {
        return Err(Rejection::Nested);
    }
    Ok((algorithm, text("kid")?.map(Into::into)))
}

/// Whether a content type is that of a token (RFC 7519 section 5.2); a media type's case does not count.
fn is_token(content_type: &str) -> bool {
    ["JWT", "application/jwt"]
        .iter()
        .any(|name| content_type.eq_ignore_ascii_case(name))
}

fn read_signature(encoded: &str) -> Result<Vec<u8>, Rejection> {
    match base64url::decode(encoded) {
        None => Err(malformed(SIGNATURE, "base64url without padding")),
        Some(signature) if (1..=MAX_SIGNATURE_BYTES).contains(&signature.len()) => Ok(signature),
        Some(_) => Err(malformed(SIGNATURE, "1 to 1024 bytes")),
    }
}

/// The types of the registered claims (RFC 7519 section 4.1): a claim of another type must not pass for a missing one.
fn check_types(claims: Object<'_>) -> Result<(), Rejection> {
    for name in ["iss", "sub", "jti"] {
        if claims.member(name).is_some_and(|claim| claim.text().is_none()) {
            let expected = "a string";
            return Err(Rejection::ClaimType { name, expected });
        }
    }
    for name in ["exp", "nbf", "iat"] {
        if claims.member(name).is_some_and(|claim| claim.date().is_none()) {
            let expected = "a number of seconds since 1970, at most 2^53";
            return Err(Rejection::ClaimType { name, expected });
        }
    }
    let strings = match claims.member("aud") {
        None | Some(Claim::Text(_)) => true,
        Some(Claim::List(list)) => list.iter().all(|entry| entry.text().is_some()),
        Some(_) => false,
    };
    if !strings {
        return Err(Rejection::ClaimType {
            name: "aud",
            expected: "a string or a list of strings",
        });
    }
    Ok(())
}

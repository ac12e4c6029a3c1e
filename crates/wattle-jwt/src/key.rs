//! One public key of a key set (RFC 7517 section 4), prepared for every algorithm that suits it.
//!
//! What an algorithm may be verified with is decided here, once: an RSA key has no way to verify `ES256`, and no key has a
//! way to verify `HS256`.

use aws_lc_rs::signature::{self, ParsedPublicKey, RsaPublicKeyComponents, VerificationAlgorithm};

use crate::algorithm::{self, Algorithm};
use crate::base64url;
use crate::claims::{Claim, Object};

/// Shortest RSA modulus that is accepted, in bits (RFC 7518 section 3.3).
pub const MIN_MODULUS_BITS: usize = 2048;
/// Longest RSA modulus that is accepted, in bits: verification costs its square.
pub const MAX_MODULUS_BITS: usize = 8192;
/// Largest RSA exponent that is accepted, in bits; the library below verifies with no larger one.
const MAX_EXPONENT_BITS: usize = 33;
/// Members that only a private or a symmetric key has (RFC 7518 sections 6.2.2, 6.3.2 and 6.4).
const SECRET: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A key, and how it verifies each algorithm that it may be used with.
pub(crate) struct Key {
    id: Option<Box<str>>,
    verifiers: Box<[(Algorithm, ParsedPublicKey)]>,
}

/// Why a key of a set is not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFault {
    /// A member is missing or is not what it has to be.
    #[error("{name} is missing or wrong, expected {expected}")]
    Member {
        /// Which member.
        name: &'static str,
        /// What it has to be.
        expected: &'static str,
    },
    /// A symmetric key (`kty: oct`): whoever can verify with it can sign with it.
    #[error("symmetric key (kty oct), expected a public one")]
    Symmetric,
    /// The private half is in the set; it is not used, and should be replaced since it has been published.
    #[error("private key, expected the public half alone; replace it, since it has been published")]
    Private,
    /// A `kty` that is not supported.
    #[error("key type (kty) is not supported, expected RSA, EC or OKP")]
    Type,
    /// A `crv` that is not supported, such as secp256k1, Ed448 or X25519.
    #[error("curve (crv) is not supported, expected {expected}")]
    Curve {
        /// The curves of this key type.
        expected: &'static str,
    },
    /// `alg` is a symmetric algorithm, encrypts, or is not known.
    #[error("algorithm (alg) is {got}, expected a signature algorithm with a public key")]
    Algorithm {
        /// The refused algorithm in words of ours.
        got: &'static str,
    },
    /// `alg` is for another type of key.
    #[error("algorithm (alg) {got} does not suit the key's type or curve")]
    Unsuitable {
        /// The algorithm.
        got: Algorithm,
    },
    /// `use` is something else than `sig`, usually `enc`.
    #[error("key is not for signatures (use is not sig)")]
    Use,
    /// `key_ops` is there without `verify`.
    #[error("key is not for verification (key_ops has no verify)")]
    Operations,
    /// The RSA modulus is too short or too long.
    #[error("RSA modulus has {bits} bits, expected {MIN_MODULUS_BITS} to {MAX_MODULUS_BITS}")]
    Modulus {
        /// Its length, bits.
        bits: usize,
    },
    /// The RSA exponent or modulus is even, or the exponent is 1 or longer than 33 bits.
    #[error("RSA modulus or exponent breaks its rules, expected odd numbers and an exponent of 3 to 2^33")]
    Exponent,
    /// The point does not lie on its curve, or everything can be signed with it.
    #[error("point is not one of the curve, or of small order")]
    Point,
}

impl Key {
    pub(crate) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// How this key verifies `algorithm`, if it may.
    pub(crate) fn verifier(&self, algorithm: Algorithm) -> Option<&ParsedPublicKey> {
        let suits = |(suited, _): &&(Algorithm, _)| *suited == algorithm;
        self.verifiers.iter().find(suits).map(|(_, verifier)| verifier)
    }

    /// Reads one entry of `keys`.
    pub(crate) fn parse(jwk: Claim<'_>) -> Result<Self, KeyFault> {
        let Claim::Object(jwk) = jwk else {
            return Err(KeyFault::Member {
                name: "entry",
                expected: "an object",
            });
        };
        let kind = text(jwk, "kty", "a string")?;
        if kind == "oct" {
            return Err(KeyFault::Symmetric);
        }
        if SECRET.iter().any(|name| jwk.member(name).is_some()) {
            return Err(KeyFault::Private);
        }
        check_purpose(jwk)?;
        let wanted = wanted(jwk)?;
        let verifiers = match kind {
            "RSA" => rsa(jwk, wanted)?,
            "EC" => elliptic(jwk)?,
            "OKP" => edwards(jwk)?,
            _ => return Err(KeyFault::Type),
        };
        Ok(Self {
            id: optional_text(jwk, "kid")?.map(Into::into),
            verifiers: narrowed(verifiers, wanted)?,
        })
    }
}

type Verifiers = Vec<(Algorithm, ParsedPublicKey)>;

/// `use` and `key_ops` (RFC 7517 sections 4.2 and 4.3).
fn check_purpose(jwk: Object<'_>) -> Result<(), KeyFault> {
    if optional_text(jwk, "use")?.is_some_and(|purpose| purpose != "sig") {
        return Err(KeyFault::Use);
    }
    match jwk.member("key_ops") {
        None => Ok(()),
        Some(Claim::List(operations)) if operations.texts().any(|operation| operation == "verify") => Ok(()),
        Some(Claim::List(_)) => Err(KeyFault::Operations),
        Some(_) => Err(KeyFault::Member {
            name: "key_ops",
            expected: "a list of strings",
        }),
    }
}

/// The one algorithm that the key is for, if it says so.
fn wanted(jwk: Object<'_>) -> Result<Option<Algorithm>, KeyFault> {
    let Some(name) = optional_text(jwk, "alg")? else {
        return Ok(None);
    };
    let got = algorithm::refused(name);
    Algorithm::named(name)
        .map(Some)
        .ok_or(KeyFault::Algorithm { got })
}

fn narrowed(
    mut verifiers: Verifiers,
    wanted: Option<Algorithm>,
) -> Result<Box<[(Algorithm, ParsedPublicKey)]>, KeyFault> {
    if let Some(got) = wanted {
        verifiers.retain(|(algorithm, _)| *algorithm == got);
        if verifiers.is_empty() {
            return Err(KeyFault::Unsuitable { got });
        }
    }
    Ok(verifiers.into())
}

fn rsa(jwk: Object<'_>, wanted: Option<Algorithm>) -> Result<Verifiers, KeyFault> {
    let modulus = positive(jwk, "n")?;
    let exponent = positive(jwk, "e")?;
    let bits = bits(&modulus);
    if !(MIN_MODULUS_BITS..=MAX_MODULUS_BITS).contains(&bits) {
        return Err(KeyFault::Modulus { bits });
    }
    let odd = |number: &[u8]| number.last().is_some_and(|last| last & 1 == 1);
    let exponent_bits = self::bits(&exponent);
    if !odd(&modulus) || !odd(&exponent) || !(2..=MAX_EXPONENT_BITS).contains(&exponent_bits) {
        return Err(KeyFault::Exponent);
    }
    let components = RsaPublicKeyComponents {
        n: modulus,
        e: exponent,
    };
    let prepared = |algorithm: Algorithm| {
        let verifier = components.to_parsed_public_key(algorithm.rsa()?);
        Some(verifier.map(|verifier| (algorithm, verifier)))
    };
    let of_interest = Algorithm::ALL
        .into_iter()
        .filter(|algorithm| wanted.is_none_or(|wanted| wanted == *algorithm));
    of_interest
        .filter_map(prepared)
        .collect::<Result<_, _>>()
        .map_err(|_| KeyFault::Exponent)
}

fn elliptic(jwk: Object<'_>) -> Result<Verifiers, KeyFault> {
    let (algorithm, length, verification): (_, _, &'static dyn VerificationAlgorithm) =
        match text(jwk, "crv", "a string")? {
            "P-256" => (Algorithm::Es256, 32, &signature::ECDSA_P256_SHA256_FIXED),
            "P-384" => (Algorithm::Es384, 48, &signature::ECDSA_P384_SHA384_FIXED),
            "P-521" => (Algorithm::Es512, 66, &signature::ECDSA_P521_SHA512_FIXED),
            _ => {
                return Err(KeyFault::Curve {
                    expected: "P-256, P-384 or P-521",
                });
            }
        };
    // An uncompressed point (SEC 1 section 2.3.3); whether it is on the curve is checked as it is parsed.
    let mut point = vec![4];
    for name in ["x", "y"] {
        let coordinate = bytes(jwk, name)?;
        if coordinate.len() != length {
            return Err(KeyFault::Point);
        }
        point.extend(coordinate);
    }
    let verifier = ParsedPublicKey::new(verification, point).map_err(|_| KeyFault::Point)?;
    Ok(vec![(algorithm, verifier)])
}

fn edwards(jwk: Object<'_>) -> Result<Verifiers, KeyFault> {
    if text(jwk, "crv", "a string")? != "Ed25519" {
        return Err(KeyFault::Curve { expected: "Ed25519" });
    }
    let point = bytes(jwk, "x")?;
    if point.len() != signature::ED25519_PUBLIC_KEY_LEN || is_of_small_order(&point) {
        return Err(KeyFault::Point);
    }
    let verifier = ParsedPublicKey::new(&signature::ED25519, point).map_err(|_| KeyFault::Point)?;
    Ok(vec![(Algorithm::EdDsa, verifier)])
}

/// Ordinates, little-endian, of the points of Curve25519 whose order divides 8, in all spellings: with such a key one
/// signature fits many messages.
const SMALL_ORDER: [[u8; 32]; 7] = [
    ordinate(0, 0, 0),
    ordinate(1, 0, 0),
    ordinate(0xec, 0xff, 0x7f),
    ordinate(0xed, 0xff, 0x7f),
    ordinate(0xee, 0xff, 0x7f),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5,
        0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a,
        0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
];

const fn ordinate(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

fn is_of_small_order(point: &[u8]) -> bool {
    let same = |one: &[u8; 32]| {
        // The highest bit is the sign of the other coordinate.
        one[..31] == point[..31] && one[31] == point[31] & 0x7f
    };
    SMALL_ORDER.iter().any(same)
}

fn text<'k>(jwk: Object<'k>, name: &'static str, expected: &'static str) -> Result<&'k str, KeyFault> {
    optional_text(jwk, name)?.ok_or(KeyFault::Member { name, expected })
}

fn optional_text<'k>(jwk: Object<'k>, name: &'static str) -> Result<Option<&'k str>, KeyFault> {
    match jwk.member(name) {
        None => Ok(None),
        Some(Claim::Text(text)) => Ok(Some(text)),
        Some(_) => Err(KeyFault::Member {
            name,
            expected: "a string",
        }),
    }
}

fn bytes(jwk: Object<'_>, name: &'static str) -> Result<Vec<u8>, KeyFault> {
    let expected = "base64url without padding";
    let text = text(jwk, name, expected)?;
    base64url::decode(text).ok_or(KeyFault::Member { name, expected })
}

/// A positive number, big-endian. Zeros in front are against RFC 7518 section 6.3.1.1, but libraries write them, and they
/// change nothing.
fn positive(jwk: Object<'_>, name: &'static str) -> Result<Vec<u8>, KeyFault> {
    let mut bytes = bytes(jwk, name)?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.drain(..zeros);
    if bytes.is_empty() {
        return Err(KeyFault::Member {
            name,
            expected: "a number above zero",
        });
    }
    Ok(bytes)
}

/// How long a number without zeros in front is.
fn bits(number: &[u8]) -> usize {
    let first = number.first().map_or(0, |first| first.leading_zeros() as usize);
    number.len() * 8 - first
}

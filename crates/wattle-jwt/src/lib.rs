//! JSON Web Tokens: read strictly, and verified against the keys of their issuer.
//!
//! **Owns** what a token says before anybody believes it ([`Token`]), the public keys of an issuer ([`KeySet`]), what is
//! asked of a token ([`Requirements`]), the proof ([`verify`]) and what may be believed after it ([`Claims`]). A refused
//! token is a [`Rejection`] with a stable id and a sentence that holds no part of the token: a token is a secret.
//!
//! **Refuses to know** where tokens and key sets come from (no I/O), what time it is (the time is an argument) and what a
//! claim allows (no policy). It signs nothing and holds no private or symmetric key, so no `HS256` can be fooled into
//! taking a public key for a secret.
//!
//! **Start reading** at [`verify`], then [`Token::parse`], then [`KeySet::parse`]. Every parser of outside bytes is
//! listed in [`fuzz::ENTRIES`].

mod algorithm;
mod base64url;
mod claims;
mod document;
pub mod fuzz;
mod key;
mod key_set;
mod number;
mod rejection;
mod requirements;
mod token;
mod verify;

pub use algorithm::Algorithm;
pub use claims::{Claim, Claims, List, Object, SPACE_DELIMITED};
pub use document::MAX_DEPTH;
pub use key::{KeyFault, MAX_MODULUS_BITS, MIN_MODULUS_BITS};
pub use key_set::{KeyProblem, KeySet, KeySetError, MAX_KEY_SET_BYTES, MAX_KEYS, MAX_TRIES};
pub use number::Number;
pub use rejection::Rejection;
pub use requirements::{Audience, DEFAULT_LEEWAY_SECS, Requirements};
pub use token::{MAX_TOKEN_BYTES, Token};
pub use verify::{verify, verify_any};

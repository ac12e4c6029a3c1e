//! The public keys of an issuer (RFC 7517 section 5).

use std::fmt;

use crate::algorithm::Algorithm;
use crate::claims::{Claim, Object};
use crate::document::{Document, Fault, MAX_DEPTH};
use crate::key::{Key, KeyFault};

/// Longest key set that is read, in bytes.
pub const MAX_KEY_SET_BYTES: usize = 512 * 1024;
/// Most keys of a set.
pub const MAX_KEYS: usize = 128;
/// Most keys that one token is verified with before it is refused: a token without `kid` fits many keys, and nobody has
/// proven yet who sent it.
pub const MAX_TRIES: usize = 16;
/// Longest `kid` that a problem repeats, in characters.
const SHOWN: usize = 64;

/// The usable public keys of an issuer, prepared for verification.
///
/// `x5c`, `x5t` and `x5u` of a key are ignored: a key is trusted because it is in the set, not because of a certificate.
/// Two keys may have the same `kid`; both are tried.
#[derive(Default)]
pub struct KeySet {
    keys: Box<[Key]>,
    problems: Box<[KeyProblem]>,
}

/// A key that is not used; the others of its set are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyProblem {
    /// Its place in `keys`, from 0.
    pub index: usize,
    /// Its `kid`, shortened and without control characters, if it has one.
    pub id: Option<String>,
    /// What is wrong with it.
    pub fault: KeyFault,
}

impl fmt::Display for KeyProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "keys[{}]", self.index)?;
        if let Some(id) = &self.id {
            write!(f, " (kid {id})")?;
        }
        write!(f, ": {}", self.fault)
    }
}

/// Why a text is not a key set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeySetError {
    /// Longer than [`MAX_KEY_SET_BYTES`].
    #[error("key set is longer than {MAX_KEY_SET_BYTES} bytes")]
    TooLarge,
    /// Not one JSON object.
    #[error("key set is not JSON, expected an object with a list `keys`")]
    NotJson,
    /// A name twice in an object, so two readers may see two key sets.
    #[error("key set has a member twice in one object")]
    Duplicate,
    /// Deeper than [`MAX_DEPTH`].
    #[error("key set is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// There is no `keys`, or it is not a list; a single key is not a set.
    #[error("key set has no list `keys`")]
    NoKeys,
    /// More than [`MAX_KEYS`].
    #[error("key set has {got} keys, expected at most {MAX_KEYS}")]
    TooManyKeys {
        /// How many there are.
        got: usize,
    },
}

impl KeySet {
    /// Reads a JSON Web Key Set. A key that cannot be used is skipped and reported by [`problems`](Self::problems); a set
    /// without a usable key is one that refuses every token.
    pub fn parse(json: &str) -> Result<Self, KeySetError> {
        if json.len() > MAX_KEY_SET_BYTES {
            return Err(KeySetError::TooLarge);
        }
        let document = Document::parse(json.into()).map_err(|fault| match fault {
            Fault::Syntax | Fault::NotAnObject => KeySetError::NotJson,
            Fault::Duplicate => KeySetError::Duplicate,
            Fault::TooDeep => KeySetError::TooDeep,
        })?;
        let Some(Claim::List(entries)) = Object::root(&document).member("keys") else {
            return Err(KeySetError::NoKeys);
        };
        if entries.len() > MAX_KEYS {
            return Err(KeySetError::TooManyKeys { got: entries.len() });
        }
        let (mut keys, mut problems) = (Vec::new(), Vec::new());
        for (index, entry) in entries.iter().enumerate() {
            match Key::parse(entry) {
                Ok(key) => keys.push(key),
                Err(fault) => problems.push(KeyProblem {
                    index,
                    id: shown_id(entry),
                    fault,
                }),
            }
        }
        Ok(Self {
            keys: keys.into(),
            problems: problems.into(),
        })
    }

    /// How many keys can be used.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key can be used, so that every token is refused.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The keys that are not used, in their order.
    pub fn problems(&self) -> &[KeyProblem] {
        &self.problems
    }

    /// Whether `signature` over `signed` is one of a key that `id` names and `algorithm` suits; `None` when there is no
    /// such key.
    ///
    /// Keys with the very `kid` come first, then keys without one. A token without `kid` may be of any key.
    pub(crate) fn verifies(
        &self,
        id: Option<&str>,
        algorithm: Algorithm,
        signed: &[u8],
        signature: &[u8],
    ) -> Option<bool> {
        let named = self.keys.iter().filter(|key| id.is_some() && key.id() == id);
        let others = self.keys.iter().filter(|key| id.is_none() || key.id().is_none());
        let mut found = None;
        let verifiers = named.chain(others).filter_map(|key| key.verifier(algorithm));
        for verifier in verifiers.take(MAX_TRIES) {
            let verified = verifier.verify_sig(signed, signature).is_ok();
            found = Some(verified);
            if verified {
                break;
            }
        }
        found
    }
}

/// Public keys are no secret, but they are long.
impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySet")
            .field("keys", &self.keys.iter().map(Key::id).collect::<Vec<_>>())
            .field("problems", &self.problems)
            .finish()
    }
}

fn shown_id(entry: Claim<'_>) -> Option<String> {
    let Claim::Object(jwk) = entry else {
        return None;
    };
    let id = jwk.member("kid")?.text()?;
    Some(id.chars().take(SHOWN).flat_map(char::escape_debug).collect())
}

#[cfg(test)]
mod tests;

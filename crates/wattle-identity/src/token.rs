//! Join tokens: how a workload without a certificate is known the first time.

use std::{fmt, str::FromStr, time::SystemTime};

use aws_lc_rs::{constant_time, digest, rand};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use crate::{
    instant::{unix_secs, utc},
    spiffe::SpiffeId,
};

const PREFIX: &str = "wattle-join-";
const SECRET: usize = 32;
/// 32 bytes in base64 without padding.
const ENCODED: usize = 43;

/// Why a join token was refused. The holder is told no more than that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The source of randomness failed.
    #[error("no join token could be generated")]
    Generate,
    /// The text is not a join token, or the hash not 64 hexadecimal digits.
    #[error("text is not a join token of the form {PREFIX} and {ENCODED} characters")]
    Malformed,
    /// It is not the token of this record.
    #[error("join token is not known")]
    Unknown,
    /// It was the right one, too late.
    #[error("join token for {id} expired at {}, it is {} here", utc(*.expires_secs), utc(*.now_secs))]
    Expired {
        /// Whom it was for.
        id: SpiffeId,
        /// Its end, seconds since 1970.
        expires_secs: u64,
        /// The time here, seconds since 1970.
        now_secs: u64,
    },
}

/// A secret of 256 random bits, written `wattle-join-…`; wiped when dropped and never printed.
pub struct JoinToken(Zeroizing<String>);

impl JoinToken {
    /// Makes a new one.
    pub fn generate() -> Result<Self, TokenError> {
        let mut secret = Zeroizing::new([0_u8; SECRET]);
        rand::fill(secret.as_mut_slice()).map_err(|_| TokenError::Generate)?;
        let mut text = Zeroizing::new(String::with_capacity(PREFIX.len() + ENCODED));
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(secret.as_slice(), &mut text);
        Ok(Self(text))
    }

    /// The secret text, to be handed to its holder once.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What the store keeps instead of the secret. The token is random, so a plain hash cannot be guessed backwards.
    pub fn hash(&self) -> TokenHash {
        let mut hash = [0; SECRET];
        hash.copy_from_slice(digest::digest(&digest::SHA256, self.0.as_bytes()).as_ref());
        TokenHash(hash)
    }
}

impl FromStr for JoinToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let encoded = text
            .strip_prefix(PREFIX)
            .filter(|rest| rest.len() == ENCODED)
            .ok_or(TokenError::Malformed)?;
        let mut secret = Zeroizing::new([0_u8; SECRET]);
        match URL_SAFE_NO_PAD.decode_slice(encoded, secret.as_mut_slice()) {
            Ok(SECRET) => Ok(Self(Zeroizing::new(text.into()))),
            _ => Err(TokenError::Malformed),
        }
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinToken(..)")
    }
}

/// The SHA-256 of a token's text, written as 64 hexadecimal digits; fit as a key in a store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenHash([u8; SECRET]);

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for TokenHash {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let mut hash = [0; SECRET];
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
            return Err(TokenError::Malformed);
        };
        if pairs.len() != SECRET {
            return Err(TokenError::Malformed);
        }
        for (byte, [high, low]) in hash.iter_mut().zip(pairs) {
            *byte = hex(*high)
                .zip(hex(*low))
                .map(|(high, low)| high << 4 | low)
                .ok_or(TokenError::Malformed)?;
        }
        Ok(Self(hash))
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// What the authority knows of a token: enough to recognise it, not enough to use it. That it is used once is for the store
/// to see to: it removes the record in the same transaction in which it verifies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRecord {
    /// The hash of the secret.
    pub hash: TokenHash,
    /// Whom the holder may become.
    pub id: SpiffeId,
    /// Until when, that second included.
    pub expires_at: SystemTime,
}

impl TokenRecord {
    /// Compares in constant time, then looks at the clock; gives the name that the holder may have.
    pub fn verify(&self, presented: &JoinToken, now: SystemTime) -> Result<&SpiffeId, TokenError> {
        constant_time::verify_slices_are_equal(&self.hash.0, &presented.hash().0)
            .map_err(|_| TokenError::Unknown)?;
        let (now_secs, expires_secs) = (unix_secs(now), unix_secs(self.expires_at));
        if now_secs > expires_secs {
            return Err(TokenError::Expired {
                id: self.id.clone(),
                expires_secs,
                now_secs,
            });
        }
        Ok(&self.id)
    }
}

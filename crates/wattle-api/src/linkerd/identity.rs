//! Identities of clients as Linkerd writes them.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::decode::{Cursor, Decoded};
use crate::scalar;
use crate::tree::quote;

/// Which clients are meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Identity {
    /// `*`: every client that has an identity.
    Any,
    /// `*.SUFFIX`: every client whose DNS-like identity ends in `.SUFFIX`, which is a DNS name.
    Below(String),
    /// A DNS-like identity, such as `web.shop.serviceaccount.identity.linkerd.cluster.local`.
    Name(String),
    /// A SPIFFE ID, without `spiffe://`.
    Spiffe(String),
}

/// What a SPIFFE ID begins with.
const SCHEME: &str = "spiffe://";
/// Longest SPIFFE ID in bytes (SPIFFE-ID §2.3).
const MAX_SPIFFE: usize = 2048;

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Below(suffix) => write!(f, "*.{suffix}"),
            Self::Name(name) => f.write_str(name),
            Self::Spiffe(rest) => write!(f, "{SCHEME}{rest}"),
        }
    }
}

impl Serialize for Identity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

pub(super) fn identity(cursor: &Cursor<'_>) -> Decoded<Identity> {
    let text = scalar::text(cursor)?;
    read(&text).ok_or_else(|| {
        let reason = format!(
            "found {}, expected * or *.SUFFIX or a DNS name or a SPIFFE ID without wildcards",
            quote(&text)
        );
        let hint = "write SA.NAMESPACE.serviceaccount.identity.linkerd.TRUST-DOMAIN";
        cursor.refuse_with("invalid-identity", reason, hint)
    })
}

fn read(text: &str) -> Option<Identity> {
    if text == "*" {
        return Some(Identity::Any);
    }
    if let Some(rest) = text.strip_prefix(SCHEME) {
        return is_spiffe(rest).then(|| Identity::Spiffe(rest.to_owned()));
    }
    let (name, make): (&str, fn(String) -> Identity) = match text.strip_prefix("*.") {
        Some(suffix) => (suffix, Identity::Below),
        None => (text, Identity::Name),
    };
    scalar::is_subdomain(name).then(|| make(name.to_owned()))
}

/// A trust domain and a path, of the characters that a SPIFFE ID may have.
fn is_spiffe(rest: &str) -> bool {
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/".contains(&byte);
    rest.len() + SCHEME.len() <= MAX_SPIFFE
        && rest.bytes().all(sound)
        && rest
            .split_once('/')
            .is_some_and(|(domain, path)| !domain.is_empty() && !path.is_empty())
}

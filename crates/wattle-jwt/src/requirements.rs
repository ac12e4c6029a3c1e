//! What is asked of a token.

use std::fmt;
use std::sync::Arc;

use crate::key_set::KeySet;

/// How far the clocks of issuer and verifier may be apart, in seconds: Envoy's default `clock_skew_seconds`.
pub const DEFAULT_LEEWAY_SECS: u64 = 60;

/// What a token has to fulfil: one entry of Istio's `jwtRules`.
#[derive(Clone)]
pub struct Requirements {
    /// The exact `iss`; `None` accepts any, also none, as Istio does when only the keys are given.
    pub issuer: Option<Box<str>>,
    /// The audiences of which `aud` has to name one; none are asked for when there are none.
    pub audiences: Vec<Audience>,
    /// The keys of which one has to have signed.
    pub keys: Arc<KeySet>,
    /// How far the clocks may be apart, in seconds; [`DEFAULT_LEEWAY_SECS`] by default.
    pub leeway_secs: u64,
    /// Whether a token has to expire; by default it does not have to, as in Envoy (`require_expiration`).
    pub expiry_required: bool,
}

impl Requirements {
    /// Tokens of `issuer` signed with one of its `keys`, for any audience, with the defaults.
    pub fn new(issuer: &str, keys: Arc<KeySet>) -> Self {
        Self {
            issuer: Some(issuer.into()),
            audiences: Vec::new(),
            keys,
            leeway_secs: DEFAULT_LEEWAY_SECS,
            expiry_required: false,
        }
    }
}

impl fmt::Debug for Requirements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Requirements")
            .field("issuer", &self.issuer)
            .field("audiences", &self.audiences)
            .finish_non_exhaustive()
    }
}

/// An audience, and how it is compared with those in a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audience {
    /// Letter by letter (RFC 7519 section 4.1.3).
    Exact(Box<str>),
    /// Without `http://` or `https://` in front and without `/` at the end on either side, as Envoy compares.
    Host(Box<str>),
}

impl Audience {
    pub(crate) fn is(&self, named: &str) -> bool {
        match self {
            Self::Exact(wanted) => **wanted == *named,
            Self::Host(wanted) => bare(wanted) == bare(named),
        }
    }
}

fn bare(audience: &str) -> &str {
    let without_scheme = ["http://", "https://"]
        .iter()
        .find_map(|scheme| audience.strip_prefix(scheme))
        .unwrap_or(audience);
    without_scheme.strip_suffix('/').unwrap_or(without_scheme)
}

//! Whom an outbound connection may find at the other end.

use std::{collections::BTreeSet, fmt};

use crate::spiffe::{SpiffeId, TrustDomain};

/// Most names that a message lists.
const SHOWN: usize = 4;

/// The identities that the far side of a connection may have.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Expected {
    /// One of these; none at all when the set is empty.
    OneOf(BTreeSet<SpiffeId>),
    /// Any workload of this trust domain.
    AnyIn(TrustDomain),
}

impl Expected {
    /// Exactly this identity.
    pub fn only(id: SpiffeId) -> Self {
        Self::OneOf(BTreeSet::from([id]))
    }

    /// Whether that identity is among them.
    pub fn allows(&self, id: &SpiffeId) -> bool {
        match self {
            Self::OneOf(ids) => ids.contains(id),
            Self::AnyIn(trust_domain) => id.is_in(trust_domain),
        }
    }
}

impl FromIterator<SpiffeId> for Expected {
    fn from_iter<I: IntoIterator<Item = SpiffeId>>(ids: I) -> Self {
        Self::OneOf(ids.into_iter().collect())
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnyIn(trust_domain) => write!(f, "any workload of trust domain {trust_domain}"),
            Self::OneOf(ids) if ids.is_empty() => f.write_str("nobody"),
            Self::OneOf(ids) => {
                for (position, id) in ids.iter().take(SHOWN).enumerate() {
                    let before = if position == 0 { "" } else { " or " };
                    write!(f, "{before}{id}")?;
                }
                match ids.len().saturating_sub(SHOWN) {
                    0 => Ok(()),
                    more => write!(f, " or one of {more} more"),
                }
            }
        }
    }
}

//! What keeps a name out of the table.

use super::{MAX_ADDRESSES, MAX_NAMES, MAX_SEARCH};

/// Why a host or a search domain is not in the table; the rest of the table is not touched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It is no name.
    #[error(
        "cannot answer for {name:?}: expected labels of 1 to 63 letters, digits, '-' and '_', 253 bytes at most, \
         with a leading \"*.\" for a wildcard"
    )]
    Invalid {
        /// The text.
        name: String,
    },
    /// A wildcard was given a short form, which has no meaning.
    #[error("cannot answer for {name:?}: a wildcard has no short forms, found {alias:?}")]
    WildcardAlias {
        /// The wildcard.
        name: String,
        /// Its short form.
        alias: String,
    },
    /// Another host has the name.
    #[error("cannot answer for {host:?}: {name:?} belongs to {owner:?}")]
    Taken {
        /// The host that was added.
        host: String,
        /// The name or short form.
        name: String,
        /// Who had it first.
        owner: String,
    },
    /// The host has more addresses than fit in an answer.
    #[error("cannot answer for {name:?}: {count} addresses, the limit is {MAX_ADDRESSES}")]
    Addresses {
        /// The host.
        name: String,
        /// How many there were.
        count: usize,
    },
    /// The table is full.
    #[error("cannot answer for {name:?}: the table has {MAX_NAMES} names already")]
    Full {
        /// The host.
        name: String,
    },
    /// There are more search domains than resolvers use.
    #[error("cannot expand names with {count} search domains: the limit is {MAX_SEARCH}")]
    Search {
        /// How many there were.
        count: usize,
    },
}

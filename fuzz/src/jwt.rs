//! Tokens and key sets: [`wattle_jwt::fuzz::ENTRIES`] in their order.

use wattle_jwt::fuzz::ENTRIES;

use crate::select;

/// The first byte selects the entry.
pub fn run(input: &[u8]) {
    if let Some((chosen, rest)) = select(input, ENTRIES.len()) {
        ENTRIES[chosen].1(rest);
    }
}

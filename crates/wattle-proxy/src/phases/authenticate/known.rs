//! Tokens that were verified before, so that a client's next request costs no signature.

use std::cell::RefCell;
use std::rc::Rc;

use hashbrown::HashMap;

use super::Verified;

/// Most tokens remembered; when more come, all are forgotten.
const MAX_KNOWN: usize = 1024;
/// Longest token that is remembered, in bytes.
const MAX_BYTES: usize = 4096;

/// Verified tokens of one worker by the place where they were found. Only what was proven is kept, so that nobody without
/// a valid token can fill it. Goes with its rules, so that no token outlives a key.
#[derive(Default)]
pub(super) struct Known(RefCell<HashMap<Key, Rc<Verified>>>);

/// The place, and the token.
type Key = (usize, Box<str>);

/// A key as it is looked up: without a copy of the token.
#[derive(Hash)]
struct Asked<'a>(usize, &'a str);

impl hashbrown::Equivalent<Key> for Asked<'_> {
    fn equivalent(&self, (place, text): &Key) -> bool {
        self.0 == *place && *self.1 == **text
    }
}

impl Known {
    /// The token, if it is still valid.
    pub(super) fn find(&self, place: usize, text: &str, now_secs: u64) -> Option<Rc<Verified>> {
        let known = self.0.borrow();
        let verified = known.get(&Asked(place, text))?;
        verified.holds(now_secs).then(|| verified.clone())
    }

    pub(super) fn keep(&self, place: usize, text: &str, verified: &Rc<Verified>) {
        if text.len() > MAX_BYTES {
            return;
        }
        let mut known = self.0.borrow_mut();
        if known.len() >= MAX_KNOWN {
            known.clear();
        }
        known.insert((place, text.into()), verified.clone());
    }
}

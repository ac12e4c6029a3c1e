//! Texts, cut into classes that a set of comparisons cannot tell apart.

use std::collections::BTreeSet;

use crate::TextMatch;

/// What texts are compared with.
#[derive(Default)]
pub(super) struct TextClasses {
    exact: BTreeSet<String>,
    prefixes: BTreeSet<String>,
    suffixes: BTreeSet<String>,
}

impl TextClasses {
    /// A comparison that matters. Expressions have been taken out before.
    pub(super) fn add(&mut self, text: &TextMatch) {
        match text {
            TextMatch::Exact(text) => _ = self.exact.insert(text.to_string()),
            TextMatch::Prefix(text) => _ = self.prefixes.insert(text.to_string()),
            TextMatch::Suffix(text) => _ = self.suffixes.insert(text.to_string()),
            TextMatch::Present | TextMatch::Regex(_) => {}
        }
    }

    pub(super) fn exact(&mut self, text: &str) {
        self.exact.insert(text.to_owned());
    }

    pub(super) fn prefix(&mut self, text: &str) {
        self.prefixes.insert(text.to_owned());
    }

    pub(super) fn suffix(&mut self, text: &str) {
        self.suffixes.insert(text.to_owned());
    }

    fn all(&self) -> impl Iterator<Item = &String> {
        self.exact.iter().chain(&self.prefixes).chain(&self.suffixes)
    }

    /// A letter that no comparison has, and no hexadecimal digit: it never makes an escape of what is before it.
    fn fresh(&self) -> char {
        let plain = ('g'..='z').chain('G'..='Z');
        let mut candidates = plain.chain('\u{100}'..char::MAX);
        let used = |candidate: &char| self.all().any(|text| text.contains(*candidate));
        candidates.find(|candidate| !used(candidate)).unwrap_or('g')
    }
}

/// One text of each class, `usual` first; `start` also begins those that no prefix asks for.
///
/// Which prefixes a text has follows from the longest of them, and likewise its ends: a text of a longest prefix, a letter
/// that nothing asks for, and a longest end stands for all such texts; those that are named whole stand for themselves.
pub(super) fn representatives(classes: &TextClasses, usual: &str, start: &str) -> Vec<String> {
    let fresh = classes.fresh();
    let mut texts = vec![usual.to_owned()];
    let empty = String::new();
    for prefix in std::iter::once(&empty).chain(&classes.prefixes) {
        for suffix in std::iter::once(&empty).chain(&classes.suffixes) {
            texts.push(format!("{prefix}{fresh}{suffix}"));
            if prefix.is_empty() && !start.is_empty() {
                texts.push(format!("{start}{fresh}{suffix}"));
            }
        }
    }
    texts.extend(classes.exact.iter().cloned());
    let mut seen = BTreeSet::new();
    texts.retain(|text| seen.insert(text.clone()));
    texts
}

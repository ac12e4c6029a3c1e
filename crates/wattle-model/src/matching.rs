//! Predicates over requests, as Gateway API states them.

use std::sync::Arc;

use http::{HeaderName, Method};
use regex::Regex;

/// A regular expression that must match the whole text (RE2 semantics: linear time, bounded size).
#[derive(Clone, Debug)]
pub struct Pattern {
    source: Arc<str>,
    regex: Regex,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Pattern {}

impl Pattern {
    /// Compiled size above which an expression is refused, bytes.
    pub const MAX_SIZE: usize = 256 * 1024;

    /// Compiles `source`; fails when it is not a regular expression or compiles to more than [`Self::MAX_SIZE`].
    pub fn new(source: &str) -> Result<Self, regex::Error> {
        // Alone first: `a)|(b` would be a valid expression only within the group that anchors it, and escape the anchors.
        regex::RegexBuilder::new(source)
            .size_limit(Self::MAX_SIZE)
            .build()?;
        let regex = regex::RegexBuilder::new(&format!("^(?:{source})$"))
            .size_limit(Self::MAX_SIZE)
            .build()?;
        Ok(Self {
            source: source.into(),
            regex,
        })
    }

    /// The expression as written.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// Does the whole of `text` match?
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

/// How a text is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextMatch {
    /// Equal, byte for byte.
    Exact(Box<str>),
    /// Starts with.
    Prefix(Box<str>),
    /// Ends with.
    Suffix(Box<str>),
    /// Anything, but present.
    Present,
    /// The whole text matches.
    Regex(Pattern),
}

/// How a path is compared; the query is never part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathMatch {
    /// Equal, case-sensitive.
    Exact(Box<str>),
    /// Prefix by whole path elements, trailing `/` ignored (Gateway API `PathPrefix`).
    Prefix(Box<str>),
    /// The whole path matches.
    Regex(Pattern),
}

/// A header that must be there with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderMatch {
    /// Name, compared without case.
    pub name: HeaderName,
    /// Comparison with the value; several values of one header are joined by `,` (RFC 9110 §5.3).
    pub value: TextMatch,
}

/// A query parameter that must be there with a value; the first of several counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryMatch {
    /// Name, case-sensitive.
    pub name: Box<str>,
    /// Comparison with the (percent-decoded) value.
    pub value: TextMatch,
}

/// All of these must hold; an empty one matches every request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestMatch {
    /// Path; `None` is any path.
    pub path: Option<PathMatch>,
    /// Method; `None` is any.
    pub method: Option<Method>,
    /// Headers, all of them.
    pub headers: Vec<HeaderMatch>,
    /// Query parameters, all of them.
    pub query: Vec<QueryMatch>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::Pattern;

    #[test]
    fn an_expression_matches_whole_texts_only_and_cannot_escape_its_anchors() {
        let pattern = Pattern::new("a|b").unwrap();
        assert!(pattern.is_match("a") && pattern.is_match("b") && !pattern.is_match("ab"));
        assert!(Pattern::new("a)|(b").is_err());
        assert!(Pattern::new("a)|(?:.*").is_err());
    }
}

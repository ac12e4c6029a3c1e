//! How an Istio policy matches text: exact, by start, by end, present, or by a path template.

use std::fmt;

use serde::ser::SerializeMap;

use crate::decode::{Cursor, Decoded};
use crate::scalar;
use crate::tree::quote;

/// A field and its `not` twin: some of `any` must match (when there are any) and none of `not`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Values<T> {
    /// At least one of them must match, unless empty.
    pub any: Vec<T>,
    /// None of them may match.
    pub not: Vec<T>,
}

impl<T> Default for Values<T> {
    fn default() -> Self {
        Self {
            any: Vec::new(),
            not: Vec::new(),
        }
    }
}

impl<T> Values<T> {
    /// Whether nothing was asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.any.is_empty() && self.not.is_empty()
    }
}

impl<T: fmt::Display> Values<T> {
    pub(crate) fn write<M: SerializeMap>(&self, map: &mut M, any: &str, not: &str) -> Result<(), M::Error> {
        if !self.any.is_empty() {
            map.serialize_entry(any, &texts(&self.any))?;
        }
        if !self.not.is_empty() {
            map.serialize_entry(not, &texts(&self.not))?;
        }
        Ok(())
    }
}

/// Istio writes all of these as text, ports too.
fn texts<T: fmt::Display>(items: &[T]) -> Vec<String> {
    items.iter().map(T::to_string).collect()
}

/// A text to compare with, in Istio's notation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TextMatch {
    /// `*`: anything that is there and not empty.
    Present,
    /// The whole text.
    Exact(String),
    /// `abc*`.
    Prefix(String),
    /// `*abc`.
    Suffix(String),
}

impl TextMatch {
    /// Reads Istio's notation; a star in the middle is an ordinary character there.
    #[must_use]
    pub fn new(text: &str) -> Self {
        match (text.strip_suffix('*'), text.strip_prefix('*')) {
            (Some(""), _) => Self::Present,
            (Some(prefix), _) => Self::Prefix(prefix.to_owned()),
            (_, Some(suffix)) => Self::Suffix(suffix.to_owned()),
            _ => Self::Exact(text.to_owned()),
        }
    }
}

impl fmt::Display for TextMatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Present => f.write_str("*"),
            Self::Exact(text) => f.write_str(text),
            Self::Prefix(text) => write!(f, "{text}*"),
            Self::Suffix(text) => write!(f, "*{text}"),
        }
    }
}

/// A path to compare with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathPattern {
    /// As other text.
    Text(TextMatch),
    /// Path elements, with `{*}` for one and at most one `{**}`, behind the others, for any number.
    Template(String),
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => text.fmt(f),
            Self::Template(template) => f.write_str(template),
        }
    }
}

pub(crate) fn text_match(cursor: &Cursor<'_>) -> Decoded<TextMatch> {
    let text = scalar::filled(cursor)?;
    let both = text.len() > 2 && text.starts_with('*') && text.ends_with('*');
    if both {
        let reason = format!(
            "found {}, expected a star at the start or at the end, not at both",
            quote(&text)
        );
        return Err(cursor.refuse("invalid-match", reason));
    }
    Ok(TextMatch::new(&text))
}

pub(crate) fn path_pattern(cursor: &Cursor<'_>) -> Decoded<PathPattern> {
    let text = scalar::filled(cursor)?;
    if !text.contains("{*}") && !text.contains("{**}") {
        return text_match(cursor).map(PathPattern::Text);
    }
    if !is_template(&text) {
        let reason = format!(
            "found {}, expected {{*}} and {{**}} as whole path elements, none of them behind {{**}}",
            quote(&text)
        );
        return Err(cursor.refuse("invalid-path", reason));
    }
    Ok(PathPattern::Template(text))
}

fn is_template(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('/') else {
        return false;
    };
    // No further one may follow `{**}`; what is literal may (Istio).
    let mut after_many = false;
    rest.split('/').all(|element| match element {
        "{*}" | "{**}" => {
            let first = !after_many;
            after_many |= element == "{**}";
            first
        }
        literal => !literal.contains(['*', '{', '}']),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_has_whole_elements_and_no_operator_behind_the_one_for_many() {
        let good = [
            "/{*}",
            "/{**}",
            "/a/{*}/b/{**}",
            "/a/{**}/",
            "/a/{**}/b/c",
            "/{*}/{*}",
        ];
        assert!(good.into_iter().all(is_template));
        let bad = [
            "{*}",
            "/*/b/{*}",
            "/**/b/{*}",
            "/{**}/a/{*}",
            "/{**}/{**}",
            "/a/{*}.txt",
            "/a{**}",
            "/{*",
            "/a/{b}/{*}",
        ];
        for text in bad {
            assert!(!is_template(text), "{text}");
        }
    }
}

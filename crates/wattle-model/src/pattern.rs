//! Regular expressions: a whole match, and a substitution. RE2 semantics: linear time, bounded size.

use std::borrow::Cow;
use std::sync::Arc;

use regex::Regex;

/// A regular expression that must match the whole text.
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
        compile(source)?;
        let regex = compile(&format!("^(?:{source})$"))?;
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

/// Every match of an expression within a text becomes something else (Envoy `RegexMatchAndSubstitute`).
#[derive(Clone, Debug)]
pub struct Substitution {
    source: Arc<str>,
    regex: Regex,
    written: Arc<str>,
    replacement: Box<str>,
}

impl PartialEq for Substitution {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source && self.written == other.written
    }
}

impl Eq for Substitution {}

impl Substitution {
    /// Compiles `source`; `replacement` refers to groups as `\0` to `\9` (RE2). Fails as [`Pattern::new`] does.
    pub fn new(source: &str, replacement: &str) -> Result<Self, regex::Error> {
        Ok(Self {
            source: source.into(),
            regex: compile(source)?,
            written: replacement.into(),
            replacement: dollars(replacement).into(),
        })
    }

    /// The expression as written.
    pub fn pattern(&self) -> &str {
        &self.source
    }

    /// The replacement as written.
    pub fn replacement(&self) -> &str {
        &self.written
    }

    /// The text with every match replaced.
    pub fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.regex.replace_all(text, &*self.replacement)
    }
}

fn compile(source: &str) -> Result<Regex, regex::Error> {
    regex::RegexBuilder::new(source)
        .size_limit(Pattern::MAX_SIZE)
        .build()
}

/// RE2's `\1` and `\\` in the regex crate's spelling, `${1}` and `\`; a `$` stands for itself.
fn dollars(replacement: &str) -> String {
    let mut rewritten = String::with_capacity(replacement.len() + 8);
    let mut chars = replacement.chars();
    while let Some(c) = chars.next() {
        match c {
            '$' => rewritten.push_str("$$"),
            '\\' => match chars.next() {
                Some(digit) if digit.is_ascii_digit() => {
                    rewritten.push_str("${");
                    rewritten.push(digit);
                    rewritten.push('}');
                }
                Some(other) => rewritten.push(other),
                None => rewritten.push('\\'),
            },
            other => rewritten.push(other),
        }
    }
    rewritten
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Pattern, Substitution};

    #[test]
    fn an_expression_matches_whole_texts_only_and_cannot_escape_its_anchors() {
        let pattern = Pattern::new("a|b").unwrap();
        assert!(pattern.is_match("a") && pattern.is_match("b") && !pattern.is_match("ab"));
        assert!(Pattern::new("a)|(b").is_err());
        assert!(Pattern::new("a)|(?:.*").is_err());
    }

    #[test]
    fn an_expression_whose_program_is_too_large_is_refused() {
        assert!(Pattern::new("[a-z]{1000}").is_ok());
        for bomb in ["[a-z]{100000}", "((a{100}){100}){100}", r"\w{1000}"] {
            assert!(Pattern::new(bomb).is_err(), "{bomb}");
        }
        assert!(Substitution::new("((a{100}){100}){100}", "b").is_err());
    }

    #[test]
    fn a_substitution_replaces_every_match_and_knows_groups_as_re2_writes_them() {
        let table = [
            (
                "^/service/([^/]+)(/.*)$",
                "\\2/instance/\\1",
                "/service/foo/v1/api",
                "/v1/api/instance/foo",
            ),
            ("one", "two", "/xxx/one/yyy/one/zzz", "/xxx/two/yyy/two/zzz"),
            ("(?i)/aaa/", "/bbb/", "/aaa/AaA/x", "/bbb/AaA/x"),
            ("x", "$1\\\\", "/x", "/$1\\"),
        ];
        for (pattern, replacement, text, expected) in table {
            let substitution = Substitution::new(pattern, replacement).unwrap();
            assert_eq!(substitution.apply(text), expected, "{pattern}");
        }
    }
}

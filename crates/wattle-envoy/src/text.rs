//! Texts and expressions as Envoy compares them.

use envoy_types::pb::envoy::r#type::matcher::v3 as matcher;
use matcher::string_matcher::MatchPattern;
use wattle_model::{Pattern, TextMatch};

/// Spellings that the model's expressions know and RE2 does not; one of them in a resource would make Envoy refuse it.
const FOREIGN: [&str; 7] = ["&&", "--", "~~", "(?x", "(?R", "(?u", "[["];
/// The same, of those that begin with a backslash.
const FOREIGN_ESCAPES: [&str; 5] = ["\\u", "\\U", "\\<", "\\>", "\\b{"];
/// Further flags within a group that are as foreign.
const FOREIGN_FLAGS: [char; 3] = ['x', 'R', 'u'];

/// Can Envoy be given this expression?
pub(crate) fn portable(expression: &str) -> bool {
    let bare = without_escapes(expression);
    let escapes = FOREIGN_ESCAPES.iter().any(|foreign| expression.contains(foreign));
    !escapes && !FOREIGN.iter().any(|foreign| bare.contains(foreign)) && !foreign_flag(expression)
}

/// The expression with a space for each escaped character, which stands for itself and for no operator.
fn without_escapes(expression: &str) -> String {
    let mut out = String::with_capacity(expression.len());
    let mut rest = expression.chars();
    while let Some(c) = rest.next() {
        let escaped = c == '\\' && rest.next().is_some();
        out.push(if escaped { ' ' } else { c });
    }
    out
}

/// A group `(?flags` or `(?flags:` with a flag that RE2 has not.
fn foreign_flag(expression: &str) -> bool {
    expression.split("(?").skip(1).any(|rest| {
        let end = rest.find([':', ')']).unwrap_or(0);
        let flags = &rest[..end];
        flags.chars().all(|c| c.is_ascii_alphabetic() || c == '-') && flags.contains(FOREIGN_FLAGS)
    })
}

/// The texts that an expression matches as a whole.
pub(crate) fn regex(expression: impl Into<String>) -> matcher::RegexMatcher {
    matcher::RegexMatcher {
        regex: expression.into(),
        ..Default::default()
    }
}

/// An expression that matches this text alone.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if c.is_ascii_punctuation() && !matches!(c, '/' | '-' | '_' | ':' | '%' | ',' | '@' | '=' | '&' | '~')
        {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

pub(crate) fn string(pattern: MatchPattern) -> matcher::StringMatcher {
    matcher::StringMatcher {
        match_pattern: Some(pattern),
        ..Default::default()
    }
}

pub(crate) fn exact(text: &str) -> matcher::StringMatcher {
    string(MatchPattern::Exact(text.to_owned()))
}

pub(crate) fn matching(expression: impl Into<String>) -> matcher::StringMatcher {
    string(MatchPattern::SafeRegex(regex(expression)))
}

/// A comparison of a text that is there; `None` when it cannot be said.
pub(crate) fn compared(text: &TextMatch) -> Option<matcher::StringMatcher> {
    Some(match text {
        TextMatch::Exact(text) => exact(text),
        TextMatch::Prefix(text) if !text.is_empty() => string(MatchPattern::Prefix(text.to_string())),
        TextMatch::Suffix(text) if !text.is_empty() => string(MatchPattern::Suffix(text.to_string())),
        TextMatch::Prefix(_) | TextMatch::Suffix(_) | TextMatch::Present => matching("(?s).*"),
        TextMatch::Regex(pattern) => matching(source(pattern)?),
    })
}

/// The source of an expression, where Envoy can be given it.
pub(crate) fn source(pattern: &Pattern) -> Option<&str> {
    Some(pattern.as_str()).filter(|text| portable(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_escaped_text_matches_itself_alone() {
        assert_eq!(escaped("/a.b+(c)/d-e"), r"/a\.b\+\(c\)/d-e");
    }

    #[test]
    fn expressions_of_another_dialect_are_told_apart() {
        for there in ["a.*", "(?i)a", "(?P<name>a)", "(?:a|b)", r"\d{3}", "[^/]+"] {
            assert!(portable(there), "{there}");
        }
        for foreign in ["[a-z&&[^b]]", "(?x) a", "(?ix)a", r"\u{61}", "(?u:a)"] {
            assert!(!portable(foreign), "{foreign}");
        }
    }
}

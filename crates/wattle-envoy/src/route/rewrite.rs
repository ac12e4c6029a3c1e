//! A new path, said so that Envoy comes to the same one.

use envoy_types::pb::envoy::r#type::matcher::v3::RegexMatchAndSubstitute;
use wattle_model::{PathMatch, PathRewrite};

use super::matches::is_separated;
use crate::notes::Notes;
use crate::text::{escaped, portable, regex};

/// How Envoy makes the new path.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    /// The whole path becomes this.
    Full(String),
    /// The matched prefix, or the whole of a path that was matched exactly, becomes this.
    Prefix(String),
    /// Every match becomes something else.
    Regex(RegexMatchAndSubstitute),
}

impl Change {
    /// The same as a substitution, where there is no other way to say it.
    pub(super) fn whole_as_regex(self) -> Self {
        match self {
            Self::Full(new) => Self::Regex(substitution("^.*$", &literal(&new))),
            other => other,
        }
    }
}

/// The change; `None` when the path stays as it is.
pub(super) fn change(
    rewrite: &PathRewrite,
    matched: Option<&PathMatch>,
    notes: &mut Notes,
) -> Option<Change> {
    match rewrite {
        PathRewrite::Full(new) => Some(Change::Full(new.to_string())),
        PathRewrite::Prefix(new) => below(new, matched),
        PathRewrite::Matched(new) => Some(matched_becomes(new, matched)),
        PathRewrite::Regex(change) => {
            if !portable(change.pattern()) {
                notes.gap("a rewrite by an expression that RE2 does not know: the path stays as it is");
                return None;
            }
            Some(Change::Regex(substitution(
                change.pattern(),
                change.replacement(),
            )))
        }
    }
}

/// Gateway API: the slashes around the prefix are kept to one.
fn below(new: &str, matched: Option<&PathMatch>) -> Option<Change> {
    let prefix = match matched {
        None => "",
        Some(PathMatch::Prefix(prefix)) => prefix.strip_suffix('/').unwrap_or(prefix),
        Some(_) => return None,
    };
    let new = new.strip_suffix('/').unwrap_or(new);
    Some(match prefix {
        // Envoy replaces the slash that it matched.
        "" => Change::Prefix(format!("{new}/")),
        prefix if !new.is_empty() && is_separated(prefix) => Change::Prefix(new.to_owned()),
        prefix if new.is_empty() => Change::Regex(substitution(&format!("^{}/?", escaped(prefix)), "/")),
        prefix => Change::Regex(substitution(&format!("^{}", escaped(prefix)), &literal(new))),
    })
}

/// Istio's `rewrite.uri`.
fn matched_becomes(new: &str, matched: Option<&PathMatch>) -> Change {
    let (prefix, flags) = match matched {
        None => ("/", ""),
        Some(PathMatch::StartsWith(prefix)) => (&**prefix, ""),
        Some(PathMatch::StartsWithAnyCase(prefix)) => (&**prefix, "(?i)"),
        Some(PathMatch::Prefix(prefix)) => (prefix.strip_suffix('/').unwrap_or(prefix), ""),
        Some(PathMatch::Exact(_) | PathMatch::ExactAnyCase(_) | PathMatch::Regex(_)) => {
            return Change::Full(new.to_owned());
        }
    };
    if new == "/" {
        return Change::Regex(substitution(&format!("^{flags}{}/?", escaped(prefix)), "/"));
    }
    Change::Regex(substitution(
        &format!("^{flags}{}", escaped(prefix)),
        &literal(new),
    ))
}

fn substitution(pattern: &str, with: &str) -> RegexMatchAndSubstitute {
    RegexMatchAndSubstitute {
        pattern: Some(regex(pattern)),
        substitution: with.to_owned(),
    }
}

/// A replacement that refers to no group.
fn literal(text: &str) -> String {
    text.replace('\\', "\\\\")
}

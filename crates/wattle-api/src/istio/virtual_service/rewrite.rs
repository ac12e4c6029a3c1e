//! Changes of a request's path and host.

use serde::Serialize;

use crate::decode::{Cursor, Decoded};
use crate::istio::value::{at_most_one, words};
use crate::scalar::{self, Pattern};
use crate::tree::quote;

/// A rewrite; what is none stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rewrite {
    /// What stands for the prefix that matched, or for the whole path when the match was exact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// New host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority: Option<String>,
    /// A replacement within the path; never together with `uri`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri_regex_rewrite: Option<RegexRewrite>,
}

/// A replacement of every part of the path that a pattern matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RegexRewrite {
    /// What is replaced; unlike in a match it need not be the whole path.
    #[serde(rename = "match")]
    pub pattern: Pattern,
    /// What stands for it; `\0` to `\9` are the pattern's groups, which exist, and `\\` is a backslash.
    pub rewrite: String,
}

pub(super) fn rewrite(cursor: &Cursor<'_>) -> Decoded<Rewrite> {
    let fields = cursor.fields(&["uri", "authority", "uriRegexRewrite"])?;
    at_most_one(&fields, &["uri", "uriRegexRewrite"])?;
    let uri = words(&fields, "uri");
    let authority = words(&fields, "authority");
    let uri_regex_rewrite = fields.optional("uriRegexRewrite", regex_rewrite);
    let rewrite = Rewrite {
        uri: uri?,
        authority: authority?,
        uri_regex_rewrite: uri_regex_rewrite?,
    };
    if rewrite.uri.is_none() && rewrite.authority.is_none() && rewrite.uri_regex_rewrite.is_none() {
        let reason = "expected one of uri, authority, uriRegexRewrite";
        return Err(cursor.refuse("missing-field", reason));
    }
    Ok(rewrite)
}

fn regex_rewrite(cursor: &Cursor<'_>) -> Decoded<RegexRewrite> {
    let fields = cursor.fields(&["match", "rewrite"])?;
    let pattern = fields.required("match", scalar::pattern);
    let rewrite = words(&fields, "rewrite");
    let (pattern, rewrite) = (pattern?, rewrite?.unwrap_or_default());
    let groups = pattern.groups();
    if let Some(found) = bad_escape(&rewrite, groups) {
        let reason = format!(
            "found {found} in {}, expected \\0 to \\{} or \\\\",
            quote(&rewrite),
            groups.min(9)
        );
        return Err(cursor.refuse("invalid-rewrite", reason));
    }
    Ok(RegexRewrite { pattern, rewrite })
}

/// The first escape that is neither a group nor a backslash.
fn bad_escape(rewrite: &str, groups: usize) -> Option<String> {
    let mut rest = rewrite.chars();
    while let Some(next) = rest.next() {
        if next != '\\' {
            continue;
        }
        match rest.next() {
            Some('\\') => {}
            Some(digit) if digit.to_digit(10).is_some_and(|group| group as usize <= groups) => {}
            Some(other) => return Some(format!("\\{other}")),
            None => return Some("\\ at the end".to_owned()),
        }
    }
    None
}

//! Gateway API matches of an HTTPRoute rule: path, headers, query parameters and method.

use serde::Serialize;

use crate::decode::{Cursor, Decoded};
use crate::scalar::{self, Pattern};
use crate::tree::quote;

/// Most header or query matches of one match (Gateway API).
const MAX_ITEMS: usize = 16;
/// Longest path (Gateway API).
pub(crate) const MAX_PATH: usize = 1024;

/// How a path matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", content = "value")]
pub enum PathMatch {
    /// The whole path, case-sensitive; starts with `/`.
    Exact(String),
    /// Whole path elements from the start; starts with `/`, a `/` at the end means nothing.
    PathPrefix(String),
    /// The whole path.
    RegularExpression(Pattern),
}

impl Default for PathMatch {
    fn default() -> Self {
        Self::PathPrefix("/".to_owned())
    }
}

/// How the value of a header or query parameter matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", content = "value")]
pub enum ValueMatch {
    /// The whole value, case-sensitive.
    Exact(String),
    /// The whole value.
    RegularExpression(Pattern),
}

/// A condition on a header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeaderMatch {
    /// Header name, compared without regard to case.
    pub name: String,
    /// What its value must be.
    #[serde(flatten)]
    pub value: ValueMatch,
}

/// A condition on a query parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct QueryMatch {
    /// Parameter name, case-sensitive.
    pub name: String,
    /// What its first value must be.
    #[serde(flatten)]
    pub value: ValueMatch,
}

pub(crate) fn method(cursor: &Cursor<'_>) -> Decoded<&'static str> {
    let known = [
        "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
    ];
    scalar::word(cursor, &known.map(|name| (name, name)))
}

#[derive(Clone, Copy)]
enum PathKind {
    Exact,
    Prefix,
    Pattern,
}

pub(crate) fn path_match(cursor: &Cursor<'_>) -> Decoded<PathMatch> {
    let fields = cursor.fields(&["type", "value"])?;
    let kinds = [
        ("Exact", PathKind::Exact),
        ("PathPrefix", PathKind::Prefix),
        ("RegularExpression", PathKind::Pattern),
    ];
    let kind = fields.optional("type", |at| scalar::word(at, &kinds))?;
    Ok(match kind.unwrap_or(PathKind::Prefix) {
        PathKind::Exact => PathMatch::Exact(fields.optional("value", path)?.unwrap_or_else(root)),
        PathKind::Prefix => PathMatch::PathPrefix(fields.optional("value", path)?.unwrap_or_else(root)),
        PathKind::Pattern => PathMatch::RegularExpression(fields.required("value", scalar::pattern)?),
    })
}

fn root() -> String {
    "/".to_owned()
}

/// A path to compare with: normal already, since a request is made normal before it is compared.
fn path(cursor: &Cursor<'_>) -> Decoded<String> {
    let text = scalar::text(cursor)?;
    if let Some(reason) = path_flaw(&text) {
        return Err(cursor.refuse(
            "invalid-path",
            format!("found {}, expected {reason}", quote(&text)),
        ));
    }
    Ok(text)
}

fn path_flaw(path: &str) -> Option<&'static str> {
    if !path.starts_with('/') {
        return Some("a path that starts with /");
    }
    if path.len() > MAX_PATH {
        return Some("a path of at most 1024 bytes");
    }
    let dots = path.split('/').any(|element| element == "." || element == "..");
    if dots || path.contains("//") || path.to_ascii_lowercase().contains("%2f") {
        return Some("a path without //, /./, /../ or %2f, which no request has when it is compared");
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-/._~!$&'()*+,;=:@%".contains(&byte);
    if !path.bytes().all(allowed) || !escapes_are_whole(path) {
        return Some("only characters that a URL path may have; write others as %XX");
    }
    None
}

fn escapes_are_whole(path: &str) -> bool {
    path.split('%')
        .skip(1)
        .all(|tail| tail.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2)
}

pub(crate) fn header_matches(cursor: &Cursor<'_>) -> Decoded<Vec<HeaderMatch>> {
    let decoded = cursor.list(MAX_ITEMS, |at| {
        let (name, value) = named_match(at, 4096)?;
        Ok(HeaderMatch { name, value })
    })?;
    let mut kept: Vec<HeaderMatch> = Vec::new();
    for header in decoded {
        match kept
            .iter()
            .find(|other| other.name.eq_ignore_ascii_case(&header.name))
        {
            None => kept.push(header),
            Some(other) if other.name == header.name => {
                return Err(cursor.refuse(
                    "duplicate-header",
                    format!("header {} is given twice", header.name),
                ));
            }
            // The Gateway API demands that the later one of such a pair is ignored.
            Some(other) => {
                let reason = format!(
                    "{} is the same header as {} and is ignored",
                    header.name, other.name
                );
                cursor.warn("duplicate-header", reason, "remove one of the two");
            }
        }
    }
    Ok(kept)
}

pub(crate) fn query_matches(cursor: &Cursor<'_>) -> Decoded<Vec<QueryMatch>> {
    let decoded = cursor.list(MAX_ITEMS, |at| {
        let (name, value) = named_match(at, 1024)?;
        Ok(QueryMatch { name, value })
    })?;
    for (index, query) in decoded.iter().enumerate() {
        if decoded[..index].iter().any(|other| other.name == query.name) {
            return Err(cursor.refuse(
                "duplicate-query",
                format!("parameter {} is given twice", query.name),
            ));
        }
    }
    Ok(decoded)
}

fn named_match(cursor: &Cursor<'_>, longest: usize) -> Decoded<(String, ValueMatch)> {
    let fields = cursor.fields(&["type", "name", "value"])?;
    let name = fields.required("name", scalar::header_name);
    let exact = fields.optional("type", |at| {
        scalar::word(at, &[("Exact", true), ("RegularExpression", false)])
    });
    let value = match exact? {
        Some(false) => fields
            .required("value", scalar::pattern)
            .map(ValueMatch::RegularExpression),
        _ => fields
            .required("value", |at| bounded(at, longest))
            .map(ValueMatch::Exact),
    };
    Ok((name?, value?))
}

/// Text of 1 to `longest` bytes.
pub(crate) fn bounded(cursor: &Cursor<'_>, longest: usize) -> Decoded<String> {
    let text = scalar::filled(cursor)?;
    if text.len() > longest {
        return Err(cursor.refuse(
            "too-long",
            format!("found {} bytes, expected at most {longest}", text.len()),
        ));
    }
    Ok(text)
}

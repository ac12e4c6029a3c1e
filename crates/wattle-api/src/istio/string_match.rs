//! How a VirtualService matches text.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::decode::{Cursor, Decoded};
use crate::matching;
use crate::scalar::{self, Pattern};

use super::value::at_most_one;

/// Longest text to compare with, in bytes.
const MAX_TEXT: usize = 4096;

/// A text to compare with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StringMatch {
    /// `{}`: the header or parameter is there, whatever its value.
    Present,
    /// The whole text.
    Exact(String),
    /// The start of the text; not by path elements.
    Prefix(String),
    /// The whole text, by a pattern.
    Regex(Pattern),
}

impl Serialize for StringMatch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Present => {}
            Self::Exact(text) => map.serialize_entry("exact", text)?,
            Self::Prefix(text) => map.serialize_entry("prefix", text)?,
            Self::Regex(pattern) => map.serialize_entry("regex", pattern)?,
        }
        map.end()
    }
}

/// A match that may ask for presence only.
pub(crate) fn string_match_or_present(cursor: &Cursor<'_>) -> Decoded<StringMatch> {
    let fields = cursor.fields(&["exact", "prefix", "regex"])?;
    let bounded = |at: &Cursor<'_>| matching::bounded(at, MAX_TEXT);
    Ok(match at_most_one(&fields, &["exact", "prefix", "regex"])? {
        Some("exact") => StringMatch::Exact(fields.required("exact", bounded)?),
        Some("prefix") => StringMatch::Prefix(fields.required("prefix", bounded)?),
        Some(regex) => StringMatch::Regex(fields.required(regex, scalar::pattern)?),
        None => StringMatch::Present,
    })
}

/// A match of something that is always there.
pub(crate) fn string_match(cursor: &Cursor<'_>) -> Decoded<StringMatch> {
    match string_match_or_present(cursor)? {
        StringMatch::Present => {
            let reason = "expected exactly one of exact, prefix, regex";
            Err(cursor.refuse_with("missing-field", reason, "remove the field if anything may match"))
        }
        other => Ok(other),
    }
}

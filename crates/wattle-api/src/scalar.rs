//! Decoders of single values, and the value types that cannot be wrong afterwards.

use std::fmt;
use std::num::NonZeroU16;

use ipnet::IpNet;
use jiff::Timestamp;
use serde::Serialize;

use crate::decode::{Cursor, Decoded, one_of};
use crate::meta::Labels;
use crate::tree::{Value, quote};

/// Most bytes a compiled pattern may take; RE2 in Envoy has a bound of the same purpose.
const PATTERN_SIZE_LIMIT: usize = 256 << 10;
/// Most bytes of a pattern's text (Gateway API: 1024 for a path, 4096 for a header).
const PATTERN_TEXT_LIMIT: usize = 4096;
/// Most labels or annotations of an object; Kubernetes bounds their bytes instead.
const MAX_LABELS: usize = 512;

/// A port, 1 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Port(pub NonZeroU16);

impl Port {
    /// The port with this number; none for 0.
    #[must_use]
    pub fn new(number: u16) -> Option<Self> {
        NonZeroU16::new(number).map(Self)
    }

    /// The number.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0.get()
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A regular expression that compiles within a bound of 256 KiB; it must match the whole subject.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Pattern(String);

impl Pattern {
    /// The pattern, if it compiles.
    ///
    /// # Errors
    /// The reason as the regex library gives it.
    pub fn new(text: &str) -> Result<Self, regex::Error> {
        regex::RegexBuilder::new(&format!("^(?:{text})$"))
            .size_limit(PATTERN_SIZE_LIMIT)
            .build()?;
        // Alone too, so that unbalanced groups cannot lean on the anchors put around them.
        regex::RegexBuilder::new(text)
            .size_limit(PATTERN_SIZE_LIMIT)
            .build()?;
        Ok(Self(text.to_owned()))
    }

    /// The pattern as written, without anchors.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How many groups of it capture.
    pub(crate) fn groups(&self) -> usize {
        regex::Regex::new(&self.0).map_or(0, |regex| regex.captures_len().saturating_sub(1))
    }
}

pub(crate) use crate::duration::{duration, length, write_duration, write_length};
pub(crate) use crate::name::{hostname, is_label, is_subdomain, label, labels, subdomain};

/// Text of any length.
pub(crate) fn text(cursor: &Cursor<'_>) -> Decoded<String> {
    match &cursor.node.value {
        Value::Text(text) => Ok(text.clone()),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => {
            let reason = format!("found {}, expected text", cursor.node.value.describe());
            Err(cursor.refuse_with("wrong-type", reason, "put it in quotes"))
        }
        _ => Err(cursor.mistyped("text")),
    }
}

/// Text that is not empty.
pub(crate) fn filled(cursor: &Cursor<'_>) -> Decoded<String> {
    let text = text(cursor)?;
    if text.is_empty() {
        return Err(cursor.refuse("empty", "found empty text, expected at least one character"));
    }
    Ok(text)
}

/// A boolean.
pub(crate) fn flag(cursor: &Cursor<'_>) -> Decoded<bool> {
    match cursor.node.value {
        Value::Bool(flag) => Ok(flag),
        _ => Err(cursor.mistyped("true or false")),
    }
}

/// An integer between `least` and `most`.
pub(crate) fn integer(cursor: &Cursor<'_>, least: i64, most: i64) -> Decoded<i64> {
    let Value::Int(number) = cursor.node.value else {
        return Err(cursor.mistyped(&format!("a number from {least} to {most}")));
    };
    if !(least..=most).contains(&number) {
        return Err(cursor.refuse(
            "out-of-range",
            format!("found {number}, expected {least} to {most}"),
        ));
    }
    Ok(number)
}

/// An integer between `least` and `most` as `u32`; both bounds lie in its range.
pub(crate) fn count(cursor: &Cursor<'_>, least: u32, most: u32) -> Decoded<u32> {
    let number = integer(cursor, i64::from(least), i64::from(most))?;
    Ok(u32::try_from(number).unwrap_or(most))
}

/// Refuses a list in which an item is given twice.
pub(crate) fn distinct<T: PartialEq + fmt::Display>(cursor: &Cursor<'_>, items: &[T]) -> Decoded<()> {
    let twice = items
        .iter()
        .enumerate()
        .find(|(index, item)| items[..*index].contains(item));
    match twice {
        Some((_, item)) => Err(cursor.refuse("duplicate-item", format!("{item} is given twice"))),
        None => Ok(()),
    }
}

/// A port number.
pub(crate) fn port(cursor: &Cursor<'_>) -> Decoded<Port> {
    let number = integer(cursor, 1, 65535)?;
    let port = u16::try_from(number).ok().and_then(Port::new);
    port.ok_or_else(|| cursor.refuse("out-of-range", format!("found {number}, expected 1 to 65535")))
}

/// One of the words of `table`.
pub(crate) fn word<T: Copy>(cursor: &Cursor<'_>, table: &[(&str, T)]) -> Decoded<T> {
    let Some(found) = cursor.node.text() else {
        return Err(cursor.mistyped("text"));
    };
    match table.iter().find(|(name, _)| *name == found) {
        Some((_, value)) => Ok(*value),
        None => Err(one_of(
            cursor,
            found,
            &table.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        )),
    }
}

/// A pattern that compiles.
pub(crate) fn pattern(cursor: &Cursor<'_>) -> Decoded<Pattern> {
    let text = filled(cursor)?;
    if text.len() > PATTERN_TEXT_LIMIT {
        return Err(cursor.refuse(
            "too-long",
            format!("found a pattern of {} bytes, expected at most 4096", text.len()),
        ));
    }
    Pattern::new(&text).map_err(|error| {
        let reason = error.to_string();
        let last = reason.lines().last().unwrap_or("").trim_start_matches("error: ");
        let hint = "write it in RE2 syntax: no look-around, no back-references";
        cursor.refuse_with(
            "invalid-pattern",
            format!("the pattern {} does not compile: {last}", quote(&text)),
            hint,
        )
    })
}

/// An HTTP header name, in the case it was written in.
pub(crate) fn header_name(cursor: &Cursor<'_>) -> Decoded<String> {
    let text = text(cursor)?;
    if text.len() > 256 || http::HeaderName::from_bytes(text.as_bytes()).is_err() {
        return Err(cursor.refuse(
            "invalid-header",
            format!("found {}, expected a header name", quote(&text)),
        ));
    }
    Ok(text)
}

/// A block of addresses; a bare address is a block of one.
pub(crate) fn ip_block(cursor: &Cursor<'_>) -> Decoded<IpNet> {
    let text = text(cursor)?;
    let block = text
        .parse::<IpNet>()
        .or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from));
    block.map_err(|_| {
        let reason = format!(
            "found {}, expected an address or a block such as 10.0.0.0/8",
            quote(&text)
        );
        cursor.refuse("invalid-ip-block", reason)
    })
}

/// An RFC 3339 instant.
pub(crate) fn timestamp(cursor: &Cursor<'_>) -> Decoded<Timestamp> {
    let text = text(cursor)?;
    text.parse().map_err(|_| {
        let reason = format!(
            "found {}, expected an instant such as 2026-01-31T12:00:00Z",
            quote(&text)
        );
        cursor.refuse("invalid-timestamp", reason)
    })
}

/// A mapping of text to text, such as annotations.
pub(crate) fn texts(cursor: &Cursor<'_>) -> Decoded<Labels> {
    let entries = cursor.entries()?;
    if entries.len() > MAX_LABELS {
        return Err(cursor.refuse(
            "too-many",
            format!("found {} entries, expected at most {MAX_LABELS}", entries.len()),
        ));
    }
    let decoded: Vec<_> = entries
        .iter()
        .map(|entry| {
            let value = cursor.entry(entry);
            let quoted = match &entry.node.value {
                Value::Null => Ok(String::new()),
                _ => text(&value),
            };
            quoted.map(|text| (entry.key.clone(), text))
        })
        .collect();
    decoded.into_iter().collect()
}

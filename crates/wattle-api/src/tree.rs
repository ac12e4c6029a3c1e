//! A YAML document as a tree whose every node knows its line and column.
//!
//! Decoding goes through this tree instead of serde's derive, because an error must name
//! the field path and the place of *every* wrong field, also when the shape is valid YAML.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Error, Spanned};

use crate::diagnostic::Place;

/// Deepest nesting of a document; Kubernetes objects stay below 20.
const MAX_DEPTH: usize = 48;
/// Most nodes in one document, aliases expanded.
const MAX_EVENTS: usize = 400_000;
/// Most aliases (`*name`) in one document.
const MAX_ALIASES: usize = 256;

/// Most bytes of text in one document, aliases expanded.
const MAX_SCALAR_BYTES: usize = 8 << 20;
/// Longest block of comment lines in a document; licence headers are about 20.
const MAX_COMMENT_LINES: usize = 4096;

/// One node of a document.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// What the node holds.
    pub(crate) value: Value,
    /// Where it starts in the file.
    pub(crate) at: Place,
}

/// The value of a node: JSON's data model, with mapping entries kept in order and duplicates kept.
#[derive(Debug, Clone)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key and value of a mapping.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// The key's text.
    pub(crate) key: String,
    /// Where the key starts.
    pub(crate) at: Place,
    /// The value under the key.
    pub(crate) node: Node,
}

impl Value {
    /// The value's type in the words of a JSON schema, for "found …" in messages.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Null => "nothing".into(),
            Self::Bool(flag) => format!("boolean {flag}"),
            Self::Int(number) => format!("number {number}"),
            Self::Float(number) => format!("number {number}"),
            Self::Text(text) => format!("text {}", quote(text)),
            Self::List(_) => "a list".into(),
            Self::Map(_) => "a mapping".into(),
        }
    }
}

impl Node {
    /// The value under `key`, when this is a mapping that has it.
    pub(crate) fn child(&self, key: &str) -> Option<&Node> {
        let Value::Map(entries) = &self.value else {
            return None;
        };
        entries
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| &entry.node)
    }

    /// The text of this node, when it is text.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Quotes a value for a message, cut at 60 characters so that a message stays one line.
pub(crate) fn quote(text: &str) -> String {
    let mut shown: String = text.chars().take(60).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

/// Parses one YAML document; `first_line` is the line of the file its text starts at.
///
/// # Errors
/// The place and the parser's reason, when the text is not YAML or exceeds a budget.
pub(crate) fn parse(text: &str, first_line: u32) -> Result<Node, (Place, String)> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            flow_nesting_limit: MAX_DEPTH,
            max_events: MAX_EVENTS,
            max_nodes: MAX_EVENTS,
            max_aliases: MAX_ALIASES,
            max_anchors: MAX_ALIASES,
            max_total_scalar_bytes: MAX_SCALAR_BYTES,
            max_buffered_comment_events: MAX_COMMENT_LINES,
        },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: MAX_EVENTS },
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        // Kubernetes users write `n` and `on` as names; what wants a boolean asks for true or false.
        strict_booleans: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options::<Spanned<Raw>>(text, options)
        .map(|root| settle(root, first_line))
        .map_err(|error| explain(&error, first_line))
}

fn explain(error: &Error, first_line: u32) -> (Place, String) {
    let at = error.location().map_or(
        Place {
            line: first_line,
            column: 1,
        },
        |location| place(location.line(), location.column(), first_line),
    );
    let text = error.without_snippet().to_string();
    let line = text.lines().next().unwrap_or("unreadable");
    // The parser appends its own document-relative place, which would contradict ours.
    let reason = line.rsplit_once(" at line ").map_or(line, |(reason, _)| reason);
    (at, reason.trim_end_matches([',', ':', '.']).to_owned())
}

fn place(line: u64, column: u64, first_line: u32) -> Place {
    let line = u32::try_from(line.max(1)).unwrap_or(u32::MAX);
    let column = u32::try_from(column.max(1)).unwrap_or(u32::MAX);
    Place {
        line: first_line.saturating_add(line - 1),
        column,
    }
}

/// What serde hands over, before places are made file-relative.
enum Raw {
    Scalar(Value),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<Key>, Spanned<Raw>)>),
}

/// A mapping key: text, or a scalar that Kubernetes too would turn into text.
struct Key(String);

/// The recursion is bounded by `MAX_DEPTH`, which the parser enforced before.
fn settle(raw: Spanned<Raw>, first_line: u32) -> Node {
    let at = place(raw.referenced.line(), raw.referenced.column(), first_line);
    let value = match raw.value {
        Raw::Scalar(value) => value,
        Raw::List(items) => Value::List(items.into_iter().map(|item| settle(item, first_line)).collect()),
        Raw::Map(entries) => Value::Map(
            entries
                .into_iter()
                .map(|(key, node)| entry(key, node, first_line))
                .collect(),
        ),
    };
    Node { value, at }
}

fn entry(key: Spanned<Key>, node: Spanned<Raw>, first_line: u32) -> Entry {
    let at = place(key.referenced.line(), key.referenced.column(), first_line);
    Entry {
        key: key.value.0,
        at,
        node: settle(node, first_line),
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Null))
    }

    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Bool(flag)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Int(number)))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Raw, E> {
        i64::try_from(number)
            .map(|number| Raw::Scalar(Value::Int(number)))
            .map_err(|_| E::custom(format!("number {number} is larger than any field takes")))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Float(number)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Text(text.to_owned())))
    }

    fn visit_string<E>(self, text: String) -> Result<Raw, E> {
        Ok(Raw::Scalar(Value::Text(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text key")
    }

    fn visit_str<E>(self, text: &str) -> Result<Key, E> {
        Ok(Key(text.to_owned()))
    }
}

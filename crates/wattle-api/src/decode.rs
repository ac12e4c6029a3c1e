//! From tree nodes to typed values, noting every problem with its field path and place.
//!
//! A [`Cursor`] is one node with its path. [`Cursor::fields`] opens a mapping with the keys it may
//! have; the decoders of single values are in [`crate::scalar`].

use std::fmt;

use crate::diagnostic::{Finding, Place};
use crate::nearest::nearest;
use crate::report::Report;
use crate::tree::{Entry, Node, Value, quote};

mod path;

use path::{Path, Step};

/// Longest field path whose place is kept; what lies deeper is found at its nearest parent.
const MAX_PLACE_BYTES: usize = 160;
/// Fields below which nobody looks for a place.
const NOT_OURS: &[&str] = &["status", "metadata.managedFields"];

/// A value could not be decoded; the reason is in the report already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Invalid;

/// The outcome of decoding one value.
pub(crate) type Decoded<T> = Result<T, Invalid>;

/// One node, the path that leads to it, and the report its problems go to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    /// The node.
    pub(crate) node: &'a Node,
    path: Path<'a>,
    report: &'a Report,
}

impl<'a> Cursor<'a> {
    /// The cursor of a whole object.
    pub(crate) fn root(node: &'a Node, report: &'a Report) -> Self {
        Self {
            node,
            path: Path {
                parent: None,
                step: Step::Root,
            },
            report,
        }
    }

    /// Notes an error at this node.
    pub(crate) fn refuse(&self, code: &'static str, reason: impl Into<String>) -> Invalid {
        self.refuse_with(code, reason, "")
    }

    /// Notes an error at this node with advice.
    pub(crate) fn refuse_with(&self, code: &'static str, reason: impl Into<String>, hint: &str) -> Invalid {
        self.error(Finding::new(code, self.node.at, self.path.to_string(), reason).hint(hint))
    }

    /// Notes a wrong type: what was found and what was expected.
    pub(crate) fn mistyped(&self, expected: &str) -> Invalid {
        self.refuse(
            "wrong-type",
            format!("found {}, expected {expected}", self.node.value.describe()),
        )
    }

    /// Notes something that the reader should know, without refusing the object.
    pub(crate) fn warn(&self, code: &'static str, reason: impl Into<String>, hint: &str) {
        let finding = Finding::new(code, self.node.at, self.path.to_string(), reason).hint(hint);
        self.report.warning(finding);
    }

    /// Whether the key was written without a value.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self.node.value, Value::Null)
    }

    fn error(&self, finding: Finding) -> Invalid {
        self.report.error(finding);
        Invalid
    }

    /// Opens a mapping that may have the keys `known`, and notes unknown and repeated keys.
    pub(crate) fn fields(&'a self, known: &[&str]) -> Decoded<Fields<'a>> {
        let entries = self.entries()?;
        for entry in entries
            .iter()
            .filter(|entry| !known.contains(&entry.key.as_str()))
        {
            self.unknown(entry, known);
        }
        if let Some(record) = self.report.record() {
            let written = |key: &str| entries.iter().any(|entry| entry.key == key);
            record.add(&self.path.pattern(), known, written);
        }
        Ok(Fields {
            cursor: self,
            entries,
        })
    }

    /// The entries of a mapping, repeated keys noted.
    pub(crate) fn entries(&self) -> Decoded<&'a [Entry]> {
        let Value::Map(entries) = &self.node.value else {
            return Err(self.mistyped("a mapping"));
        };
        let mut seen = std::collections::HashMap::with_capacity(entries.len());
        for entry in entries {
            if let Some(first) = seen.insert(entry.key.as_str(), entry.at) {
                let reason = format!("the key is given twice, first in line {}", first.line);
                self.at_key(entry, "duplicate-key", reason, "remove one of the two");
            }
        }
        Ok(entries)
    }

    fn unknown(&self, entry: &Entry, known: &[&str]) {
        // Comparing words is the costly part, and a full report takes no more of them.
        if self.report.full() {
            return;
        }
        let hint = match nearest(&entry.key, known) {
            Some(near) => format!("write {near}"),
            None => format!("remove it; known here: {}", known.join(", ")),
        };
        self.at_key(entry, "unknown-field", "unknown field".to_owned(), &hint);
    }

    fn at_key(&self, entry: &Entry, code: &'static str, reason: String, hint: &str) {
        let path = Path {
            parent: Some(&self.path),
            step: Step::Key(&entry.key),
        };
        self.error(Finding::new(code, entry.at, path.to_string(), reason).hint(hint));
    }

    /// The cursor of the value of an entry whose key is free.
    pub(crate) fn entry(&'a self, entry: &'a Entry) -> Cursor<'a> {
        self.below(&entry.node, Step::Free(&entry.key))
    }

    fn below(&'a self, node: &'a Node, step: Step<'a>) -> Cursor<'a> {
        Cursor {
            node,
            path: Path {
                parent: Some(&self.path),
                step,
            },
            report: self.report,
        }
    }

    /// Decodes a list of at most `most` items; null is an empty list.
    pub(crate) fn list<T>(&self, most: usize, decode: impl Fn(&Cursor<'_>) -> Decoded<T>) -> Decoded<Vec<T>> {
        let items = match &self.node.value {
            Value::List(items) => items,
            Value::Null => return Ok(Vec::new()),
            _ => return Err(self.mistyped("a list")),
        };
        if items.len() > most {
            return Err(self.refuse(
                "too-many",
                format!("found {} items, expected at most {most}", items.len()),
            ));
        }
        let decoded: Vec<_> = items
            .iter()
            .enumerate()
            .map(|(index, node)| decode(&self.below(node, Step::Item(index))))
            .collect();
        decoded.into_iter().collect()
    }

    /// The path of every field below this node with its place, keys preferred to values.
    pub(crate) fn places(&self) -> Vec<(Box<str>, Place)> {
        let mut places = Vec::new();
        collect(self.node, &mut String::new(), &mut places);
        places
    }
}

fn collect(node: &Node, path: &mut String, places: &mut Vec<(Box<str>, Place)>) {
    use fmt::Write as _;
    let start = path.len();
    let mut visit = |path: &mut String, node: &Node, at: Place| {
        if path.len() <= MAX_PLACE_BYTES && !NOT_OURS.contains(&path.as_str()) {
            places.push((path.as_str().into(), at));
            collect(node, path, places);
        }
        path.truncate(start);
    };
    match &node.value {
        Value::Map(entries) => {
            for entry in entries {
                let dot = if start == 0 { "" } else { "." };
                path.push_str(dot);
                path.push_str(&entry.key);
                visit(path, &entry.node, entry.at);
            }
        }
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                // Writing to a String cannot fail.
                let _ = write!(path, "[{index}]");
                visit(path, item, item.at);
            }
        }
        _ => {}
    }
}

/// A mapping whose keys have been checked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a> {
    cursor: &'a Cursor<'a>,
    entries: &'a [Entry],
}

impl<'a> Fields<'a> {
    /// The cursor at `key`, when the key is there with a value; `key: null` counts as absent, as in Kubernetes.
    pub(crate) fn at(&self, key: &str) -> Option<Cursor<'a>> {
        self.written(key).filter(|cursor| !cursor.is_null())
    }

    /// The cursor at `key`, also when its value is null.
    pub(crate) fn written(&self, key: &str) -> Option<Cursor<'a>> {
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        Some(self.cursor.below(&entry.node, Step::Key(&entry.key)))
    }

    /// Decodes `key` when it is there.
    pub(crate) fn optional<T>(
        &self,
        key: &str,
        decode: impl Fn(&Cursor<'_>) -> Decoded<T>,
    ) -> Decoded<Option<T>> {
        self.at(key).map(|cursor| decode(&cursor)).transpose()
    }

    /// Decodes `key`, which must be there.
    pub(crate) fn required<T>(&self, key: &str, decode: impl Fn(&Cursor<'_>) -> Decoded<T>) -> Decoded<T> {
        match self.at(key) {
            Some(cursor) => decode(&cursor),
            None => {
                let field = Path {
                    parent: Some(&self.cursor.path),
                    step: Step::Key(key),
                }
                .to_string();
                let at = self.cursor.node.at;
                let finding = Finding::new("missing-field", at, field, "the field is required and not there");
                Err(self.cursor.error(finding.hint(format!("add {key}"))))
            }
        }
    }

    /// Decodes the list under `key`; an absent key is an empty list.
    pub(crate) fn list<T>(
        &self,
        key: &str,
        most: usize,
        decode: impl Fn(&Cursor<'_>) -> Decoded<T>,
    ) -> Decoded<Vec<T>> {
        self.at(key)
            .map_or(Ok(Vec::new()), |cursor| cursor.list(most, decode))
    }

    /// Notes an error at the mapping itself.
    pub(crate) fn refuse(&self, code: &'static str, reason: impl Into<String>) -> Invalid {
        self.cursor.refuse(code, reason)
    }

    /// Notes an error at the value of `key`, else at the mapping itself.
    pub(crate) fn refuse_at(&self, key: &str, code: &'static str, reason: &str) -> Invalid {
        match self.at(key) {
            Some(cursor) => cursor.refuse(code, reason),
            None => self.refuse(code, reason),
        }
    }

    /// Warns at the mapping itself.
    pub(crate) fn warn(&self, code: &'static str, reason: &str, hint: &str) {
        self.cursor.warn(code, reason, hint);
    }

    /// Warns, once for each, that the `keys` that are there have no effect yet.
    pub(crate) fn without_effect(&self, keys: &[&str]) {
        for cursor in keys.iter().filter_map(|key| self.at(key)) {
            cursor.warn(
                "no-effect",
                "the field is not supported yet and has no effect",
                "",
            );
        }
    }
}

/// "one of A, B" for a message, and the nearest of them as advice.
pub(crate) fn one_of(cursor: &Cursor<'_>, found: &str, known: &[&str]) -> Invalid {
    let reason = format!("found {}, expected one of {}", quote(found), known.join(", "));
    let hint = nearest(found, known)
        .map(|near| format!("write {near}"))
        .unwrap_or_default();
    cursor.refuse_with("unknown-value", reason, &hint)
}

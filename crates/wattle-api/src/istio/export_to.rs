//! `exportTo`: which namespaces an object is for.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::decode::{Cursor, Decoded};
use crate::scalar;
use crate::tree::quote;

use super::value::MAX_ITEMS;

/// The namespaces an object is for; empty means what the mesh config says, which is all by default.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(transparent)]
pub struct ExportTo(Vec<Visibility>);

/// One entry of `exportTo`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Visibility {
    /// `*`: every namespace.
    Everywhere,
    /// `.`: the object's own namespace.
    Own,
    /// `~`: none at all; only on a ServiceEntry, and alone.
    Nowhere,
    /// This namespace.
    Namespace(String),
}

impl ExportTo {
    /// The entries, in the order they were written.
    #[must_use]
    pub fn entries(&self) -> &[Visibility] {
        &self.0
    }

    /// Whether nothing was written, so that the mesh config decides.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an object of namespace `own` is for workloads of `namespace`; none when the mesh config decides.
    #[must_use]
    pub fn reaches(&self, own: &str, namespace: &str) -> Option<bool> {
        if self.is_empty() {
            return None;
        }
        Some(self.0.iter().any(|entry| match entry {
            Visibility::Everywhere => true,
            Visibility::Own => own == namespace,
            Visibility::Nowhere => false,
            Visibility::Namespace(name) => name == namespace,
        }))
    }
}

impl fmt::Display for Visibility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Everywhere => "*",
            Self::Own => ".",
            Self::Nowhere => "~",
            Self::Namespace(name) => name,
        })
    }
}

impl Serialize for Visibility {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// `exportTo` of a kind that must be for some namespace.
pub(crate) fn export_to(cursor: &Cursor<'_>) -> Decoded<ExportTo> {
    let entries = cursor.list(MAX_ITEMS, |at| match visibility(at)? {
        Visibility::Nowhere => {
            let reason = "~ is for a ServiceEntry only";
            Err(at.refuse_with("invalid-namespace", reason, "write . for the own namespace"))
        }
        other => Ok(other),
    })?;
    distinct(cursor, entries)
}

/// `exportTo` of a ServiceEntry, which may be for nobody.
pub(crate) fn export_to_nowhere_too(cursor: &Cursor<'_>) -> Decoded<ExportTo> {
    let entries = cursor.list(MAX_ITEMS, visibility)?;
    if entries.len() > 1 && entries.contains(&Visibility::Nowhere) {
        return Err(cursor.refuse("incompatible-fields", "~ excludes every other entry"));
    }
    distinct(cursor, entries)
}

fn distinct(cursor: &Cursor<'_>, entries: Vec<Visibility>) -> Decoded<ExportTo> {
    let mut seen = std::collections::BTreeSet::new();
    match entries.iter().find(|entry| !seen.insert(*entry)) {
        Some(twice) => Err(cursor.refuse("duplicate-item", format!("{twice} is given twice"))),
        None => Ok(ExportTo(entries)),
    }
}

fn visibility(cursor: &Cursor<'_>) -> Decoded<Visibility> {
    let text = scalar::text(cursor)?;
    Ok(match text.as_str() {
        "*" => Visibility::Everywhere,
        "." => Visibility::Own,
        "~" => Visibility::Nowhere,
        name if scalar::is_label(name) => Visibility::Namespace(text),
        _ => {
            let reason = format!("found {}, expected a namespace, . or *", quote(&text));
            return Err(cursor.refuse("invalid-namespace", reason));
        }
    })
}

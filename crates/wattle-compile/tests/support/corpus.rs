//! The corpus of complete objects, and the fields in it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use wattle_api::{Kind, KnownField, fields_of};

/// A field of a kind, whichever object has it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Field {
    pub(crate) kind: Kind,
    pub(crate) path: String,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.path)
    }
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../wattle-api/tests")
        .join(name)
}

fn files(name: &str) -> Vec<String> {
    let mut paths: Vec<_> = fs::read_dir(folder(name))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "yaml"));
    paths.sort();
    paths
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect()
}

/// One object a text.
pub(crate) fn objects() -> Vec<String> {
    let files = files("full");
    files
        .iter()
        .flat_map(|text| text.split("\n---\n"))
        .map(str::to_owned)
        .collect()
}

/// Objects that are refused for a field each that is known and not supported.
pub(crate) fn refused() -> Vec<String> {
    files("full/refused")
}

/// Conditions of a ServiceProfile hold conditions in turn; one level stands for all.
pub(crate) fn folded(path: &str) -> String {
    ["all[].", "any[].", "not."]
        .iter()
        .fold(path.to_owned(), |path, nested| path.replace(nested, ""))
}

/// The fields that `text` has.
pub(crate) fn written(text: &str) -> Vec<Field> {
    let fields = fields_of(text).into_iter().filter(|field| field.written);
    fields
        .map(|KnownField { kind, path, .. }| Field { kind, path })
        .collect()
}

/// The fields of another API's schema with what is said about each, by kind: `tests/support/upstream/KIND.txt`.
pub(crate) fn upstream(kind: Kind) -> Option<(String, BTreeMap<String, bool>)> {
    let name = match kind {
        Kind::LinkerdHttpRoute => "LinkerdHTTPRoute",
        Kind::ServerPolicy => "LinkerdAuthorizationPolicy",
        other => other.as_str(),
    };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/support/upstream/{name}.txt"));
    let text = fs::read_to_string(file).ok()?;
    let mut lines = text.lines();
    let source = lines.next()?.split_once(", ")?.1.to_owned();
    let fields = lines.map(|line| {
        let (path, mark) = line.split_once(' ').unwrap_or((line, ""));
        (path.to_owned(), mark == "experimental")
    });
    Some((source, fields.collect()))
}

/// Whether all kinds have the field alike.
pub(crate) fn is_alike(path: &str) -> bool {
    path.starts_with("metadata") || ["apiVersion", "kind", "status"].contains(&path)
}

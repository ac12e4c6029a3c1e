//! The two fields every object starts with, and lists of objects.

use crate::diagnostic::Finding;
use crate::tree::{Node, Value};

/// What says which kind an object is of.
pub(crate) struct Header<'n> {
    /// API group; empty for the core group.
    pub(crate) group: &'n str,
    /// API version.
    pub(crate) version: &'n str,
    /// Kind.
    pub(crate) kind: &'n str,
}

/// Reads `apiVersion` and `kind`.
pub(crate) fn header(root: &Node) -> Result<Header<'_>, Finding> {
    if !matches!(root.value, Value::Map(_)) {
        let reason = format!(
            "found {}, expected an object with apiVersion, kind and metadata",
            root.value.describe()
        );
        return Err(Finding::new("wrong-type", root.at, "", reason));
    }
    let text = |key: &str| {
        let reason = match root.child(key) {
            Some(node) => match node.text() {
                Some(text) => return Ok(text),
                None => format!("found {}, expected text", node.value.describe()),
            },
            None => "the field is required and not there".to_owned(),
        };
        Err(Finding::new("missing-field", root.at, key, reason).hint(format!("add {key}")))
    };
    let api_version = text("apiVersion")?;
    let kind = text("kind")?;
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    Ok(Header { group, version, kind })
}

/// The items of a List, which `kubectl get -o yaml` writes.
pub(crate) fn list_items(root: &Node) -> Option<&[Node]> {
    let kind = root.child("kind")?.text()?;
    match &root.child("items")?.value {
        Value::List(items) if kind.ends_with("List") => Some(items),
        _ => None,
    }
}

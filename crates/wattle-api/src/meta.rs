//! What every object has: metadata and the place it was written at.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::diagnostic::Place;
use crate::key::{Kind, ObjectKey, shared_text};

/// Labels or annotations.
pub type Labels = BTreeMap<String, String>;

/// The part of `metadata` that means something to the mesh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Meta {
    /// RFC 1123 name, at most 253 characters.
    #[serde(serialize_with = "shared_text")]
    pub name: Arc<str>,
    /// RFC 1123 label; default `default`, empty for a Namespace.
    #[serde(skip_serializing_if = "str::is_empty", serialize_with = "shared_text")]
    pub namespace: Arc<str>,
    /// Labels; of a Process and a WorkloadEntry they are the workload's labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: Labels,
    /// Annotations.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: Labels,
    /// When the object was created, where the source knows; older wins where two objects compete.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "rfc3339")]
    pub creation_timestamp: Option<Timestamp>,
}

impl Meta {
    /// Metadata with a name and a namespace, for objects made by a program.
    #[must_use]
    pub fn new(namespace: impl Into<Arc<str>>, name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            namespace: namespace.into(),
            labels: Labels::new(),
            annotations: Labels::new(),
            creation_timestamp: None,
        }
    }

    /// Whether both mean the same to the mesh.
    pub(crate) fn means_the_same(&self, other: &Self) -> bool {
        let read = |meta: &Self| -> Vec<(String, String)> {
            let read = meta.annotations.iter().filter(|(key, _)| is_read(key));
            read.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        (&self.name, &self.namespace, &self.labels) == (&other.name, &other.namespace, &other.labels)
            && self.creation_timestamp == other.creation_timestamp
            && read(self) == read(other)
    }

    /// The key of an object of `kind` with this metadata.
    #[must_use]
    pub fn key(&self, kind: Kind) -> ObjectKey {
        ObjectKey::new(kind, Arc::clone(&self.namespace), Arc::clone(&self.name))
    }
}

/// Whether an annotation belongs to an API that the mesh reads.
fn is_read(key: &str) -> bool {
    let prefix = key.split_once('/').map_or("", |(prefix, _)| prefix);
    ["wattle.io", "istio.io", "linkerd.io", "gateway.networking.k8s.io"]
        .iter()
        .any(|group| {
            prefix
                .strip_suffix(group)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
}

fn rfc3339<S: serde::Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => serializer.collect_str(at),
        None => serializer.serialize_none(),
    }
}

/// Where an object was written, and where each of its fields was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The file, as the source names it.
    pub file: Arc<str>,
    /// Which document of the file, from 0.
    pub document: usize,
    /// Where the object starts.
    pub at: Place,
    /// Field path and place, sorted by path.
    fields: Arc<[(Box<str>, Place)]>,
}

impl Origin {
    /// The origin of an object that no file holds, such as one the supervisor publishes.
    #[must_use]
    pub fn program(name: &str) -> Self {
        Self::new(name.into(), 0, Place { line: 1, column: 1 }, Vec::new())
    }

    pub(crate) fn new(
        file: Arc<str>,
        document: usize,
        at: Place,
        mut fields: Vec<(Box<str>, Place)>,
    ) -> Self {
        fields.sort_unstable();
        Self {
            file,
            document,
            at,
            fields: fields.into(),
        }
    }

    /// The place of a field path such as `spec.rules[0].matches[1]`, or of the nearest parent that was written.
    #[must_use]
    pub fn locate(&self, field: &str) -> Place {
        let mut path = field;
        while !path.is_empty() {
            if let Ok(found) = self.fields.binary_search_by(|(known, _)| (**known).cmp(path)) {
                return self.fields[found].1;
            }
            path = path.rfind(['.', '[']).map_or("", |end| &path[..end]);
        }
        self.at
    }
}

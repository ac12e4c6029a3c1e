//! Files' contents in, events out: which objects a directory holds, without touching a disk.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wattle_api::{Diagnostic, Finding, Object, ObjectKey, Parsed, Place, Severity, parse_bytes_in};

use super::confined::confine;
use crate::event::{Batch, Event, Snapshot, Unreadable};
use crate::layers::{Layers, Version};

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contents {
    /// It holds these bytes.
    Bytes(Vec<u8>),
    /// It is there but cannot be read, for this reason; its objects stay as they were.
    Failed(String),
    /// It is gone.
    Gone,
}

/// The objects of a directory's files, with the last good version of those that have become bad.
#[derive(Debug)]
pub struct State {
    namespace: String,
    /// Nothing of another namespace counts.
    confined: bool,
    files: BTreeMap<Arc<str>, File>,
    layers: Layers<Arc<str>>,
}

#[derive(Debug, Default)]
struct File {
    /// The keys it holds in the layers.
    keys: BTreeSet<ObjectKey>,
    /// What its text alone gives reason to say.
    own: Vec<Diagnostic>,
    /// What has been said about it.
    said: Vec<Diagnostic>,
}

impl State {
    /// An empty state; `namespace` is that of objects that name none.
    #[must_use]
    pub fn new(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            confined: false,
            files: BTreeMap::new(),
            layers: Layers::new(),
        }
    }

    /// An empty state of objects of one namespace; others do not count.
    #[must_use]
    pub fn only(namespace: &str) -> Self {
        Self {
            confined: true,
            ..Self::new(namespace)
        }
    }

    /// Takes in what became of some files, all at once: a file that moved changes nothing.
    pub fn update(&mut self, changes: Vec<(String, Contents)>) -> Batch {
        let mut concerned: BTreeSet<Arc<str>> = BTreeSet::new();
        // What goes away last is still there to be the last good version of what moved.
        let (gone, kept): (Vec<_>, Vec<_>) = changes
            .into_iter()
            .partition(|(_, contents)| *contents == Contents::Gone);
        let leaving: BTreeSet<Arc<str>> = gone.into_iter().map(|(path, _)| path.into()).collect();
        for (path, contents) in kept {
            let path: Arc<str> = path.into();
            self.take(&path, contents, &leaving);
            concerned.insert(path);
        }
        for path in leaving {
            self.forget(&path);
            concerned.insert(path);
        }
        for key in self.layers.touched() {
            concerned.extend(self.layers.holders(key).map(|(path, _)| Arc::clone(path)));
        }
        let mut events = self.layers.changes();
        for path in concerned {
            events.extend(self.diagnose(&path));
        }
        events
    }

    /// Everything that is in force and everything that has been said.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for version in self.layers.in_force() {
            match version {
                Version::Good(object) => snapshot.objects.push(Arc::clone(object)),
                Version::Bad(unreadable) => snapshot.unreadable.push(unreadable.clone()),
            }
        }
        snapshot.diagnostics = self
            .files
            .values()
            .flat_map(|file| file.said.iter().cloned())
            .collect();
        snapshot
    }

    fn take(&mut self, path: &Arc<str>, contents: Contents, leaving: &BTreeSet<Arc<str>>) {
        match contents {
            Contents::Gone => self.forget(path),
            Contents::Failed(reason) => {
                let finding = Finding::new("unreadable-file", Place { line: 1, column: 1 }, "", reason);
                let finding = finding.hint("make the file readable; what it held stays in force until then");
                let file = self.files.entry(Arc::clone(path)).or_default();
                file.own = vec![finding.about(Severity::Error, None, Arc::clone(path))];
            }
            Contents::Bytes(bytes) => self.read(path, &bytes, leaving),
        }
    }

    fn read(&mut self, path: &Arc<str>, bytes: &[u8], leaving: &BTreeSet<Arc<str>>) {
        let mut parsed = parse_bytes_in(bytes, path, &self.namespace);
        let strayed = match self.confined {
            true => confine(&mut parsed, &self.namespace, path),
            false => Vec::new(),
        };
        let (mut versions, own) = self.versions(path, parsed, leaving);
        for key in strayed {
            if let Some(version) = self.last_good(path, &key, leaving) {
                versions.entry(key).or_insert(version);
            }
        }
        let file = self.files.entry(Arc::clone(path)).or_default();
        file.own = own;
        let keys = versions.keys().cloned().collect();
        let before = std::mem::replace(&mut file.keys, keys);
        for key in before.iter().filter(|key| !versions.contains_key(key)) {
            self.layers.release(path, key);
        }
        for (key, version) in versions {
            self.layers.hold(Arc::clone(path), key, version);
        }
    }

    /// What a file holds now: its good objects, and for the bad ones the last good version there was.
    fn versions(
        &self,
        path: &Arc<str>,
        parsed: Parsed,
        leaving: &BTreeSet<Arc<str>>,
    ) -> (BTreeMap<ObjectKey, Version>, Vec<Diagnostic>) {
        let mut versions: BTreeMap<ObjectKey, Version> = BTreeMap::new();
        let mut own = parsed.diagnostics;
        for object in parsed.objects {
            let key = object.key();
            match versions.get(&key) {
                Some(Version::Good(first)) => own.push(twice(&object, first)),
                _ => drop(versions.insert(key, Version::Good(Arc::new(object)))),
            }
        }
        let mut nameless = false;
        for refused in parsed.refused {
            let Some(key) = refused.key else {
                nameless = true;
                continue;
            };
            let bad = Unreadable {
                key: key.clone(),
                file: Arc::clone(path),
                at: refused.at,
            };
            let version = self.last_good(path, &key, leaving).unwrap_or(Version::Bad(bad));
            versions.entry(key).or_insert(version);
        }
        // Any object that is missing may be the one whose name cannot be read.
        if nameless && let Some(file) = self.files.get(path) {
            for key in &file.keys {
                if let Some(version) = self.held_by(path, key) {
                    versions.entry(key.clone()).or_insert(version);
                }
            }
        }
        (versions, own)
    }

    fn held_by(&self, path: &Arc<str>, key: &ObjectKey) -> Option<Version> {
        self.layers
            .holders(key)
            .find(|(holder, _)| *holder == path)
            .map(|(_, version)| version.clone())
    }

    /// The version the file held before, or one from a file that goes away with this change.
    fn last_good(&self, path: &Arc<str>, key: &ObjectKey, leaving: &BTreeSet<Arc<str>>) -> Option<Version> {
        let good = |version: &Version| matches!(version, Version::Good(_));
        let own = self.held_by(path, key).filter(good);
        own.or_else(|| {
            let mut others = self
                .layers
                .holders(key)
                .filter(|(holder, _)| leaving.contains(*holder));
            others
                .find(|(_, version)| good(version))
                .map(|(_, version)| version.clone())
        })
    }

    fn forget(&mut self, path: &Arc<str>) {
        let Some(file) = self.files.get_mut(path) else {
            return;
        };
        file.own.clear();
        for key in std::mem::take(&mut file.keys) {
            self.layers.release(path, &key);
        }
    }

    /// Says what is new about a file: what its text gives reason for, and which of its objects another file has.
    fn diagnose(&mut self, path: &Arc<str>) -> Option<Event> {
        let file = self.files.get(path)?;
        let mut diagnostics = file.own.clone();
        for key in &file.keys {
            diagnostics.extend(self.beaten(path, key));
        }
        diagnostics.sort_by(|a, b| (a.at, &a.field).cmp(&(b.at, &b.field)));
        let empty = diagnostics.is_empty() && file.keys.is_empty();
        let changed = file.said != diagnostics;
        if empty {
            self.files.remove(path);
        } else if let Some(file) = self.files.get_mut(path) {
            file.said.clone_from(&diagnostics);
        }
        changed.then(|| Event::Diagnosed {
            file: Arc::clone(path),
            diagnostics,
        })
    }

    fn beaten(&self, path: &Arc<str>, key: &ObjectKey) -> Option<Diagnostic> {
        let (winner, version) = self
            .layers
            .holders(key)
            .next()
            .filter(|(winner, _)| *winner != path)?;
        let Version::Good(object) = self.held_by(path, key)? else {
            return None;
        };
        let line = match version {
            Version::Good(first) => first.origin().at.line,
            Version::Bad(first) => first.at.line,
        };
        Some(defined_already(&object, &format!("{winner}:{line}")))
    }
}

fn twice(object: &Object, first: &Object) -> Diagnostic {
    let place = first.origin();
    defined_already(object, &format!("{}:{}", place.file, place.at.line))
}

fn defined_already(object: &Object, place: &str) -> Diagnostic {
    let origin = object.origin();
    let reason = format!("the object is defined already at {place}, which stays in force");
    Finding::new("defined-twice", origin.at, "", reason)
        .hint("remove one of the two")
        .about(Severity::Error, Some(object.key()), Arc::clone(&origin.file))
}

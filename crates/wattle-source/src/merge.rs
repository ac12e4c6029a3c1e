//! Several sources as one; where two hold the same object, the first source wins.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use wattle_api::{Diagnostic, ObjectKey};

use crate::event::{Batch, Event, Snapshot};
use crate::layers::{Layers, Version};

/// Most batches of all sources together that wait to be merged.
const WAITING: usize = 64;

/// What several sources hold; pure, [`merge`] runs it.
#[derive(Debug)]
pub struct Merged {
    layers: Layers<usize>,
    keys: BTreeMap<usize, BTreeSet<ObjectKey>>,
    said: BTreeMap<(usize, Arc<str>), Vec<Diagnostic>>,
}

impl Default for Merged {
    fn default() -> Self {
        Self::new()
    }
}

impl Merged {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            layers: Layers::new(),
            keys: BTreeMap::new(),
            said: BTreeMap::new(),
        }
    }

    /// Takes in what source number `source` says, and says what that changes in the whole.
    pub fn update(&mut self, source: usize, batch: Batch) -> Batch {
        let mut said = Vec::new();
        for event in batch {
            match event {
                Event::Reset(snapshot) => said.extend(self.reset(source, snapshot)),
                Event::Apply(object) | Event::Rewritten(object) => {
                    self.hold(source, object.key(), Version::Good(object));
                }
                Event::Unreadable(bad) => self.hold(source, bad.key.clone(), Version::Bad(bad)),
                Event::Delete(key) => {
                    self.keys.entry(source).or_default().remove(&key);
                    self.layers.release(&source, &key);
                }
                Event::Diagnosed { file, diagnostics } => said.push(self.say(source, file, diagnostics)),
            }
        }
        let mut events = self.layers.changes();
        events.append(&mut said);
        events
    }

    fn hold(&mut self, source: usize, key: ObjectKey, version: Version) {
        self.keys.entry(source).or_default().insert(key.clone());
        self.layers.hold(source, key, version);
    }

    fn say(&mut self, source: usize, file: Arc<str>, diagnostics: Vec<Diagnostic>) -> Event {
        let place = (source, Arc::clone(&file));
        if diagnostics.is_empty() {
            self.said.remove(&place);
        } else {
            self.said.insert(place, diagnostics.clone());
        }
        Event::Diagnosed { file, diagnostics }
    }

    fn reset(&mut self, source: usize, snapshot: Snapshot) -> Vec<Event> {
        for key in self.keys.remove(&source).unwrap_or_default() {
            self.layers.release(&source, &key);
        }
        for object in snapshot.objects {
            self.hold(source, object.key(), Version::Good(object));
        }
        for bad in snapshot.unreadable {
            self.hold(source, bad.key.clone(), Version::Bad(bad));
        }
        let mut files: BTreeMap<Arc<str>, Vec<Diagnostic>> = BTreeMap::new();
        let before = self.said.keys().filter(|(from, _)| *from == source);
        for (_, file) in before {
            files.insert(Arc::clone(file), Vec::new());
        }
        for diagnostic in snapshot.diagnostics {
            files
                .entry(Arc::clone(&diagnostic.file))
                .or_default()
                .push(diagnostic);
        }
        files
            .into_iter()
            .map(|(file, diagnostics)| self.say(source, file, diagnostics))
            .collect()
    }
}

/// Merges `sources` into `out` until all have ended or nobody reads `out` any more.
///
/// What is said first is a `Reset`, once every source has said something, so that a reader never takes
/// half of the config for all of it.
pub async fn merge(sources: Vec<mpsc::Receiver<Batch>>, out: mpsc::Sender<Batch>) {
    let (heard, mut batches) = mpsc::channel(WAITING);
    let mut silent: BTreeSet<usize> = (0..sources.len()).collect();
    // Dropped with this future, and its tasks with it.
    let mut forwarders = JoinSet::new();
    for (number, mut source) in sources.into_iter().enumerate() {
        let heard = heard.clone();
        forwarders.spawn(async move {
            while let Some(batch) = source.recv().await {
                if heard.send((number, Some(batch))).await.is_err() {
                    return;
                }
            }
            let _ = heard.send((number, None)).await;
        });
    }
    drop(heard);
    let mut merged = Merged::new();
    let mut started = false;
    while let Some((number, batch)) = batches.recv().await {
        silent.remove(&number);
        let mut events = batch.map_or_else(Vec::new, |batch| merged.update(number, batch));
        if !silent.is_empty() {
            continue;
        }
        if !started {
            started = true;
            events = vec![Event::Reset(merged.snapshot())];
        }
        if !events.is_empty() && out.send(events).await.is_err() {
            return;
        }
    }
}

impl Merged {
    /// Everything that is in force and everything that has been said.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for version in self.layers.in_force() {
            match version {
                Version::Good(object) => snapshot.objects.push(Arc::clone(object)),
                Version::Bad(bad) => snapshot.unreadable.push(bad.clone()),
            }
        }
        snapshot.diagnostics = self.said.values().flatten().cloned().collect();
        snapshot
    }
}

//! Batches of the sources, taken in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use wattle_api::{Diagnostic, Kind, Object, ObjectKey, Severity};
use wattle_source::{Batch, Event, Snapshot};

use super::{Denied, Hub, StreamId};
use crate::offline;

/// What a batch asks for beyond being taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Taken {
    /// An endpoint went away or is not healthy any more: proxies are told at once.
    pub(crate) urgent: bool,
    /// Services or their virtual addresses changed.
    pub(crate) services: bool,
}

impl Hub {
    /// Takes in a batch; [`Hub::flush`] tells the proxies.
    pub(crate) fn apply(&mut self, batch: Batch, now: Instant) -> Taken {
        let (mut complete, mut entries, mut tokens) = (false, false, false);
        self.diagnosed = None;
        let mut taken = Taken::default();
        for event in batch {
            match event {
                Event::Reset(snapshot) => {
                    self.reset(snapshot);
                    complete = true;
                    taken = Taken {
                        urgent: true,
                        services: true,
                    };
                }
                Event::Apply(object) | Event::Rewritten(object) => {
                    entries |= matches!(*object, Object::ServiceEntry(_));
                    tokens |= matches!(*object, Object::RequestAuthentication(_) | Object::Namespace(_));
                    self.put(object, &mut taken);
                }
                Event::Unreadable(unreadable) => self.mesh.refuse(unreadable.key),
                Event::Delete(key) => {
                    taken.urgent |= key.kind == Kind::WorkloadEntry;
                    tokens |= matches!(key.kind, Kind::RequestAuthentication | Kind::Namespace);
                    self.mesh.delete(&key);
                    if key.kind == Kind::Service {
                        taken.services = true;
                        self.virtual_ips
                            .release(&(key.namespace, key.name), &mut self.mesh);
                    } else if key.kind == Kind::ServiceEntry {
                        (taken.services, entries) = (true, true);
                    }
                }
                Event::Diagnosed { file, diagnostics } => {
                    if diagnostics.is_empty() {
                        self.remarks.remove(&file);
                    } else {
                        self.remarks.insert(file, diagnostics);
                    }
                }
            }
        }
        // A ServiceEntry may have given up some of its hosts.
        if complete || entries {
            self.virtual_ips.sweep(&mut self.mesh);
        }
        if complete || tokens {
            self.want_keys();
        }
        if taken.services {
            self.virtual_ips.serve(&mut self.mesh);
        }
        if complete && !self.ready {
            self.begin(now);
        }
        taken
    }

    fn put(&mut self, object: Arc<Object>, taken: &mut Taken) {
        match &*object {
            Object::Service(_) | Object::ServiceEntry(_) => taken.services = true,
            Object::WorkloadEntry(entry) => taken.urgent |= entry.spec.healthy == Some(false),
            _ => {}
        }
        self.mesh.apply(Arc::unwrap_or_clone(object));
    }

    fn reset(&mut self, snapshot: Snapshot) {
        let known: Vec<ObjectKey> = snapshot
            .unreadable
            .into_iter()
            .map(|unreadable| unreadable.key)
            .collect();
        self.mesh
            .reset(snapshot.objects.into_iter().map(Arc::unwrap_or_clone).collect());
        for key in known {
            self.mesh.refuse(key);
        }
        let mut remarks: BTreeMap<Arc<str>, Vec<Diagnostic>> = BTreeMap::new();
        for diagnostic in snapshot.diagnostics {
            remarks
                .entry(diagnostic.file.clone())
                .or_default()
                .push(diagnostic);
        }
        self.remarks = remarks;
    }

    /// The sources have said what they hold: those who waited are answered.
    fn begin(&mut self, now: Instant) {
        self.ready = true;
        let ids: Vec<_> = self.streams.keys().copied().collect();
        for id in ids {
            if let Err(denied) = self.catch_up(id) {
                self.closed(id);
                self.outbox.push((id, Err(denied)));
            }
            self.pump(id, now);
        }
        self.begin_standard(now);
    }

    fn catch_up(&mut self, id: StreamId) -> Result<(), Denied> {
        let Some(stream) = self.streams.get(&id) else {
            return Ok(());
        };
        let names: Vec<_> = stream.publisher.wanted().collect();
        names.iter().try_for_each(|name| self.subscribe(id, name))
    }

    /// Have the sources said what they hold?
    pub(crate) fn is_ready(&self) -> bool {
        self.ready
    }

    /// Everything to be said about the config, by file and place; worked out once after each change.
    pub(crate) fn diagnostics(&mut self) -> Arc<[Diagnostic]> {
        if let Some(all) = &self.diagnosed {
            return all.clone();
        }
        let mut all: Vec<_> = self.remarks.values().flatten().cloned().collect();
        all.extend(self.mesh.diagnostics());
        all.extend(self.key_diagnostics());
        offline::sort(&mut all);
        let all: Arc<[_]> = all.into();
        self.diagnosed = Some(all.clone());
        all
    }

    /// Brings the gauges about the config up to date.
    pub(crate) fn measure(&mut self) {
        let diagnostics = self.diagnostics();
        let of = |severity| {
            diagnostics
                .iter()
                .filter(|found| found.severity == severity)
                .count() as u64
        };
        self.metrics
            .config_errors
            .store(of(Severity::Error), Ordering::Relaxed);
        self.metrics
            .config_warnings
            .store(of(Severity::Warning), Ordering::Relaxed);
        self.metrics
            .objects
            .store(self.mesh.objects().count() as u64, Ordering::Relaxed);
    }
}

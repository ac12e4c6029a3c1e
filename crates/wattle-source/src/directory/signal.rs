//! The kernel's notices of changes, gathered until a save is over.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::disk::is_manifest;

/// How long nothing may happen until a save counts as over.
const QUIET: Duration = Duration::from_millis(10);
/// How long a save may take: after this, what is there is read, even with a writer at work.
const PATIENCE: Duration = Duration::from_secs(1);
/// Most paths that are remembered; beyond that everything is read again.
const MAX_PATHS: usize = 1024;

/// Which files are read even if they look unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Force {
    /// None.
    Changed,
    /// These.
    Paths(BTreeSet<PathBuf>),
    /// Every one.
    All,
}

impl Force {
    pub(super) fn names(&self, path: &Path) -> bool {
        match self {
            Self::Changed => false,
            Self::Paths(paths) => paths.contains(path),
            Self::All => true,
        }
    }
}

/// The watched directories and the notices about them.
pub(super) struct Watch {
    notices: Arc<Notices>,
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
}

#[derive(Debug, Default)]
struct Notices {
    pending: Mutex<Pending>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Pending {
    paths: BTreeSet<PathBuf>,
    /// Files that somebody is writing and has not closed.
    writing: BTreeSet<PathBuf>,
    /// The kernel or the bound above lost something.
    lost: bool,
}

impl Watch {
    pub(super) fn new() -> Self {
        let notices = Arc::new(Notices::default());
        let sink = Arc::clone(&notices);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| match event {
            Ok(event) => sink.take_in(&event),
            Err(_) => sink.lose(),
        });
        let watcher = watcher
            .inspect_err(|error| tracing::warn!(%error, "the kernel gives no notices of changes; reading by the clock"))
            .ok();
        Self {
            notices,
            watcher,
            watched: BTreeSet::new(),
        }
    }

    /// Whether there will be no notices at all.
    pub(super) fn is_blind(&self) -> bool {
        self.watcher.is_none()
    }

    /// Watches exactly these directories; tells whether one was new.
    pub(super) fn follow(&mut self, directories: &BTreeSet<PathBuf>) -> bool {
        let Some(watcher) = &mut self.watcher else {
            return false;
        };
        for gone in self.watched.difference(directories) {
            // The kernel drops the watch of a deleted directory by itself.
            let _ = watcher.unwatch(gone);
        }
        self.watched.retain(|path| directories.contains(path));
        let mut grown = false;
        for path in directories {
            if self.watched.contains(path) {
                continue;
            }
            match watcher.watch(path, RecursiveMode::NonRecursive) {
                Ok(()) => grown |= self.watched.insert(path.clone()),
                // Tried again at the next look; until then the periodic read sees its changes.
                Err(error) => tracing::warn!(%error, directory = %path.display(), "cannot watch a directory"),
            }
        }
        grown
    }

    /// Waits for a save and for its end.
    pub(super) async fn settled(&mut self) -> Force {
        self.notices.arrived.notified().await;
        let patience = Instant::now() + PATIENCE;
        loop {
            let quiet = if self.notices.lock().writing.is_empty() {
                Instant::now() + QUIET
            } else {
                patience
            };
            let next = timeout_at(quiet.min(patience), self.notices.arrived.notified()).await;
            if next.is_err() || Instant::now() >= patience {
                let force = self.notices.take();
                self.unfollow(&force);
                return force;
            }
        }
    }
}

impl Watch {
    /// Forgets the watches of directories that something happened to, so that one that was replaced by another
    /// of the same name is watched again.
    fn unfollow(&mut self, force: &Force) {
        let Some(watcher) = &mut self.watcher else { return };
        self.watched.retain(|path| {
            let replaced = force.names(path);
            if replaced {
                let _ = watcher.unwatch(path);
            }
            !replaced
        });
    }
}

impl Notices {
    fn lock(&self) -> MutexGuard<'_, Pending> {
        // Nothing panics while it is held, and even then the sets would be sound.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Force {
        let pending = std::mem::take(&mut *self.lock());
        if pending.lost {
            Force::All
        } else {
            Force::Paths(pending.paths)
        }
    }

    fn lose(&self) {
        self.lock().lost = true;
        self.arrived.notify_one();
    }

    fn take_in(&self, event: &notify::Event) {
        if event.need_rescan() {
            return self.lose();
        }
        let Some(step) = step(event.kind) else { return };
        // Renames, births and deaths may concern directories and links; contents only manifests.
        let structural = matches!(step, Step::Moved);
        let paths: Vec<_> = event
            .paths
            .iter()
            .filter(|path| structural || is_manifest(path))
            .collect();
        if paths.is_empty() {
            return;
        }
        let mut pending = self.lock();
        for path in paths {
            pending.note(path, step);
        }
        drop(pending);
        self.arrived.notify_one();
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Somebody writes.
    Written,
    /// A writer has closed the file.
    Closed,
    /// A name came or went.
    Moved,
}

fn step(kind: EventKind) -> Option<Step> {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(Step::Closed),
        // Reading is not a change; reacting to it would be reacting to ourselves.
        EventKind::Access(_) => None,
        // A new file has a writer too, who has most likely written nothing yet.
        EventKind::Modify(ModifyKind::Data(_)) | EventKind::Create(CreateKind::File) => Some(Step::Written),
        EventKind::Create(_)
        | EventKind::Remove(_)
        | EventKind::Modify(_)
        | EventKind::Any
        | EventKind::Other => Some(Step::Moved),
    }
}

impl Pending {
    fn note(&mut self, path: &Path, step: Step) {
        if self.paths.len() >= MAX_PATHS {
            self.lost = true;
            self.paths.clear();
            self.writing.clear();
        }
        if !self.lost {
            self.paths.insert(path.to_owned());
        }
        match step {
            Step::Written if !self.lost => drop(self.writing.insert(path.to_owned())),
            _ => drop(self.writing.remove(path)),
        }
    }
}

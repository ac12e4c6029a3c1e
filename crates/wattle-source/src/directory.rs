//! The directory source: every YAML and JSON file below a directory, watched.

mod confined;
mod disk;
mod signal;
mod state;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{self, JoinError};

pub use state::{Contents, State};

use crate::event::{Batch, Event};
use disk::Disk;
use signal::{Force, Watch};

/// Of objects that name no namespace.
const DEFAULT: &str = "default";
/// How often everything is read again, in case the kernel lost a notice.
const REREAD: Duration = Duration::from_secs(30);
/// How often everything is read again where the kernel gives no notices.
const REREAD_BLIND: Duration = Duration::from_secs(2);
/// How often one look may find new directories and be repeated; as deep as directories are read.
const MAX_LOOKS: usize = disk::MAX_DEPTH + 1;

/// A directory of manifests.
#[derive(Debug, Clone)]
pub struct Directory {
    root: PathBuf,
    only: Option<String>,
    reread: Duration,
}

/// Why a directory cannot be watched any longer.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// Reading the directory was cut short, as when the runtime shuts down.
    #[error("reading the directory was cut short")]
    Interrupted(#[source] JoinError),
}

impl From<PathBuf> for Directory {
    fn from(root: PathBuf) -> Self {
        Self::new(root)
    }
}

impl Directory {
    /// The manifests below `root`; those that name no namespace are in `default`.
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            only: None,
            reread: REREAD,
        }
    }

    /// The same for an author of one namespace, in which are objects that name none; others do not count.
    #[must_use]
    pub fn only(mut self, namespace: &str) -> Self {
        self.only = Some(namespace.to_owned());
        self
    }

    /// Where it is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The same with another period between complete reads; default 30 s.
    #[must_use]
    pub fn reread(mut self, period: Duration) -> Self {
        self.reread = period;
        self
    }

    /// Reads everything now, as the watching source would say it first.
    #[must_use]
    pub fn read(&self) -> crate::Snapshot {
        let mut reader = self.reader();
        reader.look(&Force::All);
        reader.state.snapshot()
    }

    fn reader(&self) -> Reader {
        Reader {
            disk: Disk::new(self.root.clone()),
            state: self
                .only
                .as_deref()
                .map_or_else(|| State::new(DEFAULT), State::only),
        }
    }

    /// Says what is there, then what changes, until nobody reads `out` any more.
    ///
    /// # Errors
    /// When the runtime shuts down while the disk is read.
    pub async fn run(self, out: mpsc::Sender<Batch>) -> Result<(), DirectoryError> {
        let mut watch = Watch::new();
        let period = if watch.is_blind() {
            self.reread.min(REREAD_BLIND)
        } else {
            self.reread
        };
        let (mut reader, _) = look(self.reader(), Force::All, &mut watch).await?;
        let mut batch = vec![Event::Reset(reader.state.snapshot())];
        loop {
            if !batch.is_empty() && out.send(batch).await.is_err() {
                return Ok(());
            }
            let force = tokio::select! {
                force = watch.settled() => force,
                () = tokio::time::sleep(period) => Force::All,
                () = out.closed() => return Ok(()),
            };
            (reader, batch) = look(reader, force, &mut watch).await?;
        }
    }
}

/// The disk as last seen, and what it amounts to.
#[derive(Debug)]
struct Reader {
    disk: Disk,
    state: State,
}

impl Reader {
    fn look(&mut self, force: &Force) -> Batch {
        let changes = self.disk.look(force);
        self.state.update(changes)
    }
}

/// Reads what changed. A directory that is new is read again once it is watched, since files may have been
/// put into it in between.
async fn look(
    mut reader: Reader,
    mut force: Force,
    watch: &mut Watch,
) -> Result<(Reader, Batch), DirectoryError> {
    let mut batch = Batch::new();
    for _ in 0..MAX_LOOKS {
        let (read, mut events) = task::spawn_blocking(move || {
            let events = reader.look(&force);
            (reader, events)
        })
        .await
        .map_err(DirectoryError::Interrupted)?;
        reader = read;
        batch.append(&mut events);
        if !watch.follow(reader.disk.directories()) {
            break;
        }
        force = Force::Changed;
    }
    Ok((reader, batch))
}

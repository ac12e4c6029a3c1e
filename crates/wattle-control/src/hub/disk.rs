//! What the hub leaves on disk: virtual addresses for the next start, services for hosts files.
//!
//! Written off the hub's thread, a moment after the change and one write at a time, so that no push waits for a disk.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;
use wattle_compile::Name;

use super::Hub;
use crate::issuer::replace;
use crate::store::Store;
use crate::view::ServiceView;

/// Changes within this time are written together.
const DELAY: Duration = Duration::from_millis(20);

/// Where things go.
pub(crate) struct Disk {
    pub(crate) store: Arc<Store>,
    /// Services with names and addresses, as JSON.
    pub(crate) services: PathBuf,
}

/// Writes when it is due.
pub(super) struct Keeper {
    disk: Arc<Disk>,
    due: Option<Instant>,
    writing: Option<JoinHandle<()>>,
}

/// What is written.
struct Picture {
    assigned: BTreeMap<Name, Ipv4Addr>,
    services: Vec<ServiceView>,
}

impl Keeper {
    pub(super) fn new(disk: Disk) -> Self {
        Self {
            disk: Arc::new(disk),
            due: None,
            writing: None,
        }
    }

    /// Services changed.
    pub(super) fn changed(&mut self) {
        self.due.get_or_insert(Instant::now() + DELAY);
    }

    /// Ready when [`Self::write`] is to be called: something changed, and the write before is done.
    pub(super) async fn is_due(&mut self) {
        let Some(due) = self.due else {
            return std::future::pending().await;
        };
        if let Some(writing) = &mut self.writing {
            let _ = writing.await;
            self.writing = None;
        }
        tokio::time::sleep_until(due).await;
    }

    /// Begins to write the hub's present state.
    pub(super) fn write(&mut self, hub: &Hub) {
        self.due = None;
        let (disk, picture) = (self.disk.clone(), Picture::of(hub));
        self.writing = Some(tokio::task::spawn_blocking(move || disk.keep(&picture)));
    }

    /// Writes what is left to write.
    pub(super) async fn finish(mut self, hub: &Hub) {
        if let Some(writing) = self.writing.take() {
            let _ = writing.await;
        }
        if self.due.is_some() {
            self.disk.keep(&Picture::of(hub));
        }
    }
}

impl Picture {
    fn of(hub: &Hub) -> Self {
        Self {
            assigned: hub.virtual_ips().assigned().clone(),
            services: hub.services(),
        }
    }
}

impl Disk {
    /// Addresses follow from the names, so a failure costs little: it is said, and traffic goes on.
    fn keep(&self, picture: &Picture) {
        if let Err(error) = self.store.keep_virtual_ips(&picture.assigned) {
            tracing::error!(%error, "virtual addresses could not be kept");
        }
        let written = serde_json::to_vec_pretty(&picture.services).map_err(std::io::Error::other);
        if let Err(error) = written.and_then(|json| replace(&self.services, &json)) {
            tracing::error!(%error, file = %self.services.display(), "services could not be written");
        }
    }
}

//! A source in memory: for tests, and for what the mesh itself publishes, such as running processes.

use std::sync::Arc;

use tokio::sync::mpsc;
use wattle_api::{Object, ObjectKey};

use crate::event::{Batch, Event, Snapshot};

/// The writing end of a source in memory; dropping it ends the source.
#[derive(Debug, Clone)]
pub struct Memory {
    batches: mpsc::Sender<Batch>,
}

/// The reading end of the source is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody reads the source any more")]
pub struct Unread;

impl Memory {
    /// A source that holds at most `capacity` batches nobody has read yet; writers wait beyond that.
    #[must_use]
    pub fn channel(capacity: usize) -> (Self, mpsc::Receiver<Batch>) {
        let (batches, reader) = mpsc::channel(capacity);
        (Self { batches }, reader)
    }

    /// Sets an object.
    ///
    /// # Errors
    /// When nobody reads the source any more.
    pub async fn apply(&self, object: Object) -> Result<(), Unread> {
        self.send(vec![Event::Apply(Arc::new(object))]).await
    }

    /// Removes an object.
    ///
    /// # Errors
    /// When nobody reads the source any more.
    pub async fn delete(&self, key: ObjectKey) -> Result<(), Unread> {
        self.send(vec![Event::Delete(key)]).await
    }

    /// Replaces everything.
    ///
    /// # Errors
    /// When nobody reads the source any more.
    pub async fn reset(&self, objects: Vec<Object>) -> Result<(), Unread> {
        let objects = objects.into_iter().map(Arc::new).collect();
        self.send(vec![Event::Reset(Snapshot {
            objects,
            ..Snapshot::default()
        })])
        .await
    }

    /// Says several things at once.
    ///
    /// # Errors
    /// When nobody reads the source any more.
    pub async fn send(&self, batch: Batch) -> Result<(), Unread> {
        self.batches.send(batch).await.map_err(|_| Unread)
    }
}

//! A set of names that is kept resolved.

mod schedule;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::select;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::resolver::{ResolveError, Resolved, Resolver};
use schedule::Schedule;

/// Most names of one watch.
pub const MAX_WATCHED: usize = 1024;

/// Most names that are resolved at once.
const MAX_LOOKUPS: usize = 32;

/// Changes that wait to be read; names are not resolved meanwhile.
const MAX_CHANGES: usize = 64;

/// Why a set of names is not watched; the earlier set still is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WatchError {
    /// There are too many.
    #[error("resolve {count} names: the limit is {MAX_WATCHED}")]
    TooMany {
        /// How many there were.
        count: usize,
    },
}

/// What became of a name. Sent when its addresses change, when it fails and when it no longer fails.
#[derive(Debug, Clone)]
pub struct Change {
    /// The name as it was given.
    pub host: String,
    /// Its addresses, sorted: the last ones if it fails now, none if it never resolved.
    pub addresses: Vec<IpAddr>,
    /// Why it fails now.
    pub failure: Option<Arc<ResolveError>>,
}

/// Keeps names resolved: again when their time is over, and after a failure with growing pauses up to a minute
/// (Istio: `dnsRefreshRate`, 60 s). Ends when it is dropped or nobody reads its changes.
#[derive(Debug)]
pub struct Watch {
    names: watch::Sender<Arc<BTreeSet<String>>>,
}

impl Watch {
    /// Watches nothing yet; must be called within a tokio runtime.
    #[must_use]
    pub fn start(resolver: Resolver) -> (Self, mpsc::Receiver<Change>) {
        let (names, wanted) = watch::channel(Arc::default());
        let (changes, changed) = mpsc::channel(MAX_CHANGES);
        let task = Task {
            resolver,
            wanted,
            changes,
            schedule: Schedule::default(),
            lookups: JoinSet::new(),
        };
        tokio::spawn(task.run());
        (Self { names }, changed)
    }

    /// Watches these names from now on. Those that stay keep their addresses and times; of one that goes, no change
    /// is told that was not already under way.
    ///
    /// # Errors
    /// When there are more than [`MAX_WATCHED`].
    pub fn set(&self, names: BTreeSet<String>) -> Result<(), WatchError> {
        if names.len() > MAX_WATCHED {
            return Err(WatchError::TooMany { count: names.len() });
        }
        self.names.send_replace(Arc::new(names));
        Ok(())
    }
}

type Outcome = (String, Result<Resolved, ResolveError>);

struct Task {
    resolver: Resolver,
    wanted: watch::Receiver<Arc<BTreeSet<String>>>,
    changes: mpsc::Sender<Change>,
    schedule: Schedule,
    lookups: JoinSet<Outcome>,
}

impl Task {
    async fn run(mut self) {
        loop {
            self.start_due();
            let next = self.schedule.next(Instant::now());
            let has_room = self.lookups.len() < MAX_LOOKUPS;
            select! {
                changed = self.wanted.changed() => match changed {
                    Ok(()) => self.schedule.want(&self.wanted.borrow_and_update().clone(), Instant::now()),
                    Err(_) => return,
                },
                Some(done) = self.lookups.join_next(), if !self.lookups.is_empty() => {
                    // Lookups are never aborted; one that panicked stays in flight and is not asked again.
                    if let Ok(outcome) = done && self.tell(outcome).await.is_err() {
                        return;
                    }
                }
                () = until(next), if has_room => {}
                () = self.changes.closed() => return,
            }
        }
    }

    fn start_due(&mut self) {
        let room = MAX_LOOKUPS.saturating_sub(self.lookups.len());
        for host in self.schedule.due(Instant::now(), room) {
            let resolver = self.resolver.clone();
            self.lookups.spawn(async move {
                let result = resolver.resolve(&host).await;
                (host, result)
            });
        }
    }

    async fn tell(&mut self, (host, result): Outcome) -> Result<(), mpsc::error::SendError<Change>> {
        match self.schedule.done(&host, result, Instant::now()) {
            Some(change) => self.changes.send(change).await,
            None => Ok(()),
        }
    }
}

async fn until(next: Option<Instant>) {
    match next {
        Some(next) => sleep_until(next).await,
        None => std::future::pending().await,
    }
}

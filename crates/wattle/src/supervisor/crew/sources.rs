//! Everything the supervisor's loop listens to.

use std::rc::Rc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use wattle_source::{Batch, Directory};

use crate::supervisor::status::Name;
use crate::supervisor::world::World;

use super::{Event, MAX_WAITING, Order};

/// "For ever", in terms of a clock that has to be able to represent it.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// Where events come from.
pub(super) struct Sources {
    manifests: mpsc::Receiver<Batch>,
    pub(super) ended: mpsc::Receiver<Name>,
    orders: mpsc::Receiver<Order>,
    board: watch::Receiver<u64>,
    interrupt: Signal,
    terminate: Signal,
    deadline: Instant,
}

impl Sources {
    pub(super) fn open(
        world: &Rc<World>,
        ended: mpsc::Receiver<Name>,
        orders: mpsc::Receiver<Order>,
    ) -> anyhow::Result<Self> {
        let (batches, manifests) = mpsc::channel(MAX_WAITING);
        let directory = Directory::new(&world.assignment.directory);
        tokio::task::spawn_local(async move {
            if let Err(error) = directory.run(batches).await {
                tracing::error!(%error, "the manifests are not watched any more");
            }
        });
        Ok(Self {
            manifests,
            ended,
            orders,
            board: world.board.watch(),
            interrupt: signal(SignalKind::interrupt()).context("cannot wait for signals")?,
            terminate: signal(SignalKind::terminate()).context("cannot wait for signals")?,
            deadline: Instant::now() + world.assignment.run_for.unwrap_or(FOREVER),
        })
    }

    /// The next thing that happens.
    pub(super) async fn next(&mut self) -> Event {
        tokio::select! {
            Some(batch) = self.manifests.recv() => Event::Manifests(batch),
            Some(name) = self.ended.recv() => Event::Ended(name),
            Some(order) = self.orders.recv() => Event::Ordered(order),
            Ok(()) = self.board.changed() => Event::Changed,
            _ = self.interrupt.recv() => Event::End,
            _ = self.terminate.recv() => Event::End,
            () = tokio::time::sleep_until(self.deadline) => Event::End,
        }
    }
}

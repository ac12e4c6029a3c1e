//! The thread that runs the hub: batches and commands in, responses out.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use wattle_identity::Peer;
use wattle_source::Batch;
use wattle_wire::proto::discovery::{DeltaDiscoveryResponse, DiscoveryResponse};

use super::disk::{Disk, Keeper};
use super::{Answer, Denied, Hub, Method, Request, StreamId};

/// Longest wait for further changes before proxies are told.
const COALESCE: Duration = Duration::from_millis(5);
/// Commands that may wait; whoever sends more waits.
const MAX_COMMANDS: usize = 1024;
/// Gauges about the config are brought up to date so long after a change.
const MEASURE_AFTER: Duration = Duration::from_millis(500);

/// What goes out on a stream. The hub has at most one response per kind in flight, so a queue of
/// [`HubHandle::MAX_OUTGOING`] is never full.
#[derive(Clone)]
pub(crate) enum Outgoing {
    /// A delta stream's.
    Delta(mpsc::Sender<Result<DeltaDiscoveryResponse, Status>>),
    /// A stream's of the state of the world.
    World(mpsc::Sender<Result<DiscoveryResponse, Status>>),
}

impl Outgoing {
    fn method(&self) -> Method {
        match self {
            Self::Delta(_) => Method::Delta,
            Self::World(_) => Method::World,
        }
    }

    /// Sends, or fails when nobody reads; the hub answers a stream in its own protocol.
    pub(crate) fn try_send(&self, answer: Result<Answer, Status>) -> Result<(), Gone> {
        match (self, answer) {
            (Self::Delta(sender), Ok(Answer::Delta(response))) => {
                sender.try_send(Ok(response)).map_err(|_| Gone)
            }
            (Self::World(sender), Ok(Answer::World(response))) => {
                sender.try_send(Ok(response)).map_err(|_| Gone)
            }
            (Self::Delta(sender), Err(status)) => sender.try_send(Err(status)).map_err(|_| Gone),
            (Self::World(sender), Err(status)) => sender.try_send(Err(status)).map_err(|_| Gone),
            (_, Ok(_)) => Err(Gone),
        }
    }

    /// Ready when nobody reads any more.
    pub(crate) async fn closed(&self) {
        match self {
            Self::Delta(sender) => sender.closed().await,
            Self::World(sender) => sender.closed().await,
        }
    }
}

/// A word to the hub.
pub(crate) enum Command {
    /// A stream opened.
    Opened(StreamId, Arc<Peer>, SocketAddr, Outgoing),
    /// A proxy said something on it.
    Requested(StreamId, Box<Request>),
    /// It ended.
    Closed(StreamId),
    /// Somebody wants to know something.
    Asked(Box<dyn FnOnce(&mut Hub) + Send>),
}

/// The hub's thread is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the control plane is stopping")]
pub(crate) struct Gone;

/// Speaks to the hub from anywhere.
#[derive(Clone)]
pub(crate) struct HubHandle {
    commands: mpsc::Sender<Command>,
}

impl HubHandle {
    /// Responses that can be on their way to one stream: one of each kind, and the stream's end.
    pub(crate) const MAX_OUTGOING: usize = 8;

    /// Says something; waits while too much is unheard.
    pub(crate) async fn tell(&self, command: Command) -> Result<(), Gone> {
        self.commands.send(command).await.map_err(|_| Gone)
    }

    /// Asks the hub.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Hub) -> T + Send + 'static,
    ) -> Result<T, Gone> {
        let (answer, answered) = oneshot::channel();
        let asking = move |hub: &mut Hub| {
            // Whoever asked may have gone; then nobody wants the answer.
            let _ = answer.send(question(hub));
        };
        self.tell(Command::Asked(Box::new(asking))).await?;
        answered.await.map_err(|_| Gone)
    }
}

/// Starts the thread; it ends when stopped or when every handle is gone, and cancels `ended` however it ends.
pub(crate) fn spawn(
    hub: Hub,
    batches: mpsc::Receiver<Batch>,
    disk: Disk,
    stop: CancellationToken,
    ended: CancellationToken,
) -> std::io::Result<(HubHandle, JoinHandle<()>)> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let (commands, heard) = mpsc::channel(MAX_COMMANDS);
    let task = Task {
        hub,
        outgoing: HashMap::new(),
        keeper: Keeper::new(disk),
        flush_at: None,
        measure_at: None,
    };
    let thread = std::thread::Builder::new()
        .name("wattle-hub".to_owned())
        .spawn(move || {
            // Without the hub there is nothing to serve: whoever runs this process is told to start it anew.
            let _ended = ended.drop_guard();
            runtime.block_on(task.run(batches, heard, stop));
        })?;
    Ok((HubHandle { commands }, thread))
}

struct Task {
    hub: Hub,
    outgoing: HashMap<StreamId, Outgoing>,
    keeper: Keeper,
    flush_at: Option<Instant>,
    measure_at: Option<Instant>,
}

impl Task {
    async fn run(
        mut self,
        mut batches: mpsc::Receiver<Batch>,
        mut commands: mpsc::Receiver<Command>,
        stop: CancellationToken,
    ) {
        loop {
            let (flush_at, measure_at) = (self.flush_at, self.measure_at);
            tokio::select! {
                Some(batch) = batches.recv() => self.take(batch),
                command = commands.recv() => match command {
                    Some(command) => self.obey(command),
                    None => break,
                },
                () = at(flush_at) => self.flush(),
                () = at(measure_at) => {
                    self.measure_at = None;
                    self.hub.measure();
                }
                () = self.keeper.is_due() => self.keeper.write(&self.hub),
                () = stop.cancelled() => break,
            }
            self.deliver();
        }
        for (_, outgoing) in self.outgoing.drain() {
            let _ = outgoing.try_send(Err(Denied::Stopping.into()));
        }
        self.keeper.finish(&self.hub).await;
    }

    fn take(&mut self, batch: Batch) {
        let now = Instant::now();
        let taken = self.hub.apply(batch, now.into_std());
        if taken.services {
            self.keeper.changed();
        }
        self.measure_at.get_or_insert(now + MEASURE_AFTER);
        self.flush_at.get_or_insert(now + COALESCE);
        if taken.urgent {
            self.flush();
        }
    }

    fn flush(&mut self) {
        self.flush_at = None;
        self.hub.flush(Instant::now().into_std());
    }

    fn obey(&mut self, command: Command) {
        let now = Instant::now().into_std();
        match command {
            Command::Opened(id, peer, address, outgoing) => {
                let method = outgoing.method();
                self.hub.opened(id, (peer.id().clone(), address), method, now);
                self.hub.shown(id, peer);
                self.outgoing.insert(id, outgoing);
            }
            Command::Requested(id, request) => self.hub.requested(id, *request, now),
            Command::Closed(id) => {
                self.outgoing.remove(&id);
                self.hub.closed(id);
            }
            Command::Asked(question) => {
                // Until proxies are told of a change, an answer would call their old versions the newest.
                if self.flush_at.is_some() {
                    self.flush();
                }
                question(&mut self.hub);
            }
        }
    }

    fn deliver(&mut self) {
        for (id, push) in self.hub.take_outbox() {
            let Some(outgoing) = self.outgoing.get(&id) else {
                continue;
            };
            let ended = push.is_err();
            if let Err(denied) = &push {
                tracing::warn!(stream = id, cause = %denied, "discovery stream refused");
            }
            let sent = outgoing.try_send(push.map_err(Status::from));
            if ended || sent.is_err() {
                self.outgoing.remove(&id);
                self.hub.closed(id);
            }
        }
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

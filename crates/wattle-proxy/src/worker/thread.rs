//! The thread of a worker, from start to drain.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::LocalSet;
use wattle_net::Drain;
use wattle_telemetry::Registry;
use wattle_telemetry::access::AccessWriter;

use super::Worker;
use super::listeners::{self, Listeners};
use crate::config::{News, Post};
use crate::settings::Settings;
use crate::{inbound, outbound};

/// How often a worker tidies up.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// What a worker is made of.
pub(crate) struct WorkerParts {
    pub(crate) settings: Arc<Settings>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) access: Option<AccessWriter>,
    pub(crate) post: Post,
    pub(crate) news: mpsc::UnboundedReceiver<News>,
}

/// Starts the thread; the receiver tells whether its listeners are open.
pub(crate) fn start(
    index: usize,
    parts: WorkerParts,
) -> io::Result<(JoinHandle<()>, oneshot::Receiver<io::Result<()>>)> {
    let (opened, listening) = oneshot::channel();
    let thread = std::thread::Builder::new()
        .name(format!("worker-{index}"))
        .spawn(move || run(parts, opened))?;
    Ok((thread, listening))
}

fn run(parts: WorkerParts, opened: oneshot::Sender<io::Result<()>>) {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = opened.send(Err(error));
            return;
        }
    };
    LocalSet::new().block_on(&runtime, serve(parts, opened));
}

async fn serve(parts: WorkerParts, opened: oneshot::Sender<io::Result<()>>) {
    let (drain, draining) = Drain::new();
    let shard = parts.registry.shard();
    let worker = Worker::new(parts.settings, parts.post, draining, shard, parts.access);
    let listeners = match Listeners::open(&worker) {
        Ok(listeners) => listeners,
        Err(error) => {
            let _ = opened.send(Err(error));
            return;
        }
    };
    let _ = opened.send(Ok(()));
    tokio::task::spawn_local(listeners::accept(
        worker.clone(),
        listeners.outbound,
        outbound::serve,
    ));
    tokio::task::spawn_local(listeners::accept(
        worker.clone(),
        listeners.inbound,
        inbound::serve,
    ));
    let grace = until_drain(&worker, parts.news).await;
    let drained = drain.run(grace).await;
    tracing::info!(cut = drained.cut, "worker drained");
    worker.sweep();
}

/// Takes in news until the order to drain, or until the main thread is gone; gives the time for it.
async fn until_drain(worker: &Rc<Worker>, mut news: mpsc::UnboundedReceiver<News>) -> Duration {
    let mut sweep = tokio::time::interval(SWEEP_EVERY);
    loop {
        tokio::select! {
            heard = news.recv() => match heard {
                Some(News::Drain(grace)) => {
                    worker.hear(News::Drain(grace));
                    keep_hearing(worker.clone(), news);
                    return grace;
                }
                Some(heard) => worker.hear(heard),
                None => return Duration::ZERO,
            },
            _ = sweep.tick() => worker.sweep(),
        }
    }
}

/// Config and certificates still change while work is finished.
fn keep_hearing(worker: Rc<Worker>, mut news: mpsc::UnboundedReceiver<News>) {
    tokio::task::spawn_local(async move {
        while let Some(heard) = news.recv().await {
            worker.hear(heard);
        }
    });
}

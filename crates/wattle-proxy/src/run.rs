//! A proxy process from start to end: main thread with config, certificate and admin; workers with the traffic.

use std::cell::Cell;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::LocalSet;
use wattle_model::Trust;
use wattle_telemetry::access::{AccessLog, AccessLogConfig, Sink};
use wattle_telemetry::{Limits, Registry};

use crate::admin::{self, Facts};
use crate::config::{
    ConfigDump, ConfigTask, Feed, Following, Held, MAX_ASKS, News, Post, Saved, StreamHealth,
};
use crate::identity::{Credentials, IdentityHealth, Keeper};
use crate::names::NameServer;
use crate::settings::{AccessLogTarget, Settings};
use crate::worker::{self, WorkerParts};

/// Why a proxy could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state directory cannot be used.
    #[error("state directory {path}")]
    State {
        /// The directory.
        path: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// Queries for names cannot be answered.
    #[error("name server")]
    Names(#[from] wattle_dns::ServerError),
    /// A listener, thread or log could not be had.
    #[error("{what}")]
    Io {
        /// What was attempted.
        what: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Between two looks at whether the proxy is ready for the first time.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// From then on until its start counts as over: the first connections were made and its first requests served.
const SETTLED: Duration = Duration::from_secs(5);

/// What the process around the proxy lends it.
#[derive(Clone, Default)]
pub struct Hooks {
    /// Changes the log level; `None` when it is fixed.
    pub set_log_level: Option<SetLogLevel>,
    /// Called once, some seconds after the proxy became ready for the first time.
    pub once_settled: Option<fn()>,
}

/// Changes the log level, or says what is wrong with the one asked for.
pub type SetLogLevel = Arc<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// Runs a proxy until SIGTERM, SIGINT or `/drain`, then drains it.
pub fn run(settings: Settings, hooks: Hooks) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(io_error("runtime"))?;
    LocalSet::new().block_on(&runtime, main(Arc::new(settings), hooks))
}

pub(crate) fn io_error(what: &'static str) -> impl FnOnce(io::Error) -> StartError {
    move |source| StartError::Io { what, source }
}

async fn main(settings: Arc<Settings>, hooks: Hooks) -> Result<(), StartError> {
    prepare_state(&settings)?;
    let registry = Registry::new(Limits::default());
    let access = access_log(&settings)?;
    let (ask_sender, asks) = mpsc::channel(MAX_ASKS);
    let (feed, threads) = start_workers(&settings, &registry, access.as_ref(), &ask_sender).await?;
    drop(ask_sender);

    let drain = Arc::new(Notify::new());
    let renew = Arc::new(Notify::new());
    let stream = Arc::new(StreamHealth::default());
    let identity = Arc::new(IdentityHealth::default());
    let dump = Arc::new(ArcSwap::from_pointee(ConfigDump::default()));
    let (credentials_sender, credentials) = watch::channel(None);
    let names = NameServer::start(&settings)?;
    let facts = Rc::new(Facts {
        settings: settings.clone(),
        registry,
        stream: stream.clone(),
        identity: identity.clone(),
        names: names.as_ref().map(NameServer::counters),
        dump: dump.clone(),
        drain: drain.clone(),
        renew: renew.clone(),
        draining: Cell::new(false),
        hooks,
        feed: feed.clone(),
    });
    tokio::task::spawn_local(once_settled(facts.clone()));
    admin::serve(&facts, settings.admin, settings.status).map_err(io_error("admin"))?;
    admin::serve_socket(&facts, &settings.state.join(Settings::ADMIN_SOCKET));
    tokio::task::spawn_local(tell_credentials(feed.clone(), credentials.clone()));
    let (trust, told) = watch::channel(None);
    let keeper = Keeper::new(settings.clone(), credentials_sender, identity, renew).hearing(told);
    tokio::task::spawn_local(keeper.run());
    tokio::task::spawn_local(crate::programs::serve(settings.clone(), credentials.clone()));
    let config = config_task(
        &settings,
        &feed,
        asks,
        Shared {
            credentials,
            stream,
            dump,
            names,
            trust,
        },
    );
    tokio::task::spawn_local(config.run());

    until_asked_to_end(&drain).await;
    facts.draining.set(true);
    tracing::info!(grace = ?settings.drain_grace, "draining");
    feed.tell_all(&News::Drain(settings.drain_grace));
    join(threads).await;
    if let Some(access) = access {
        access.finish(Duration::from_secs(1));
    }
    Ok(())
}

/// Tells the process around the proxy that its start is over.
async fn once_settled(facts: Rc<Facts>) {
    let Some(tell) = facts.hooks.once_settled else {
        return;
    };
    while !facts.is_ready() {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    tokio::time::sleep(SETTLED).await;
    tell();
}

pub(crate) fn prepare_state(settings: &Settings) -> Result<(), StartError> {
    let made = std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&settings.state);
    // One that was there already may be open to others.
    made.and_then(|()| std::fs::set_permissions(&settings.state, Permissions::from_mode(0o700)))
        .map_err(|source| StartError::State {
            path: settings.state.display().to_string(),
            source,
        })
}

fn access_log(settings: &Settings) -> Result<Option<AccessLog>, StartError> {
    let sink = match &settings.access_log {
        None => return Ok(None),
        Some(AccessLogTarget::Stdout) => Sink::Stdout,
        Some(AccessLogTarget::File(path)) => Sink::File(path.clone()),
    };
    let config = AccessLogConfig {
        sink,
        ..AccessLogConfig::default()
    };
    AccessLog::start(config).map(Some).map_err(io_error("access log"))
}

async fn start_workers(
    settings: &Arc<Settings>,
    registry: &Arc<Registry>,
    access: Option<&AccessLog>,
    asks: &mpsc::Sender<(usize, crate::config::Ask)>,
) -> Result<(Feed, Vec<JoinHandle<()>>), StartError> {
    let mut senders = Vec::new();
    let mut threads = Vec::new();
    for index in 0..settings.workers.clamp(1, 64) {
        let (sender, news) = mpsc::unbounded_channel();
        let parts = WorkerParts {
            settings: settings.clone(),
            registry: registry.clone(),
            access: access.map(AccessLog::writer),
            post: Post::new(index, asks.clone()),
            news,
        };
        let (thread, listening) = worker::start(index, parts).map_err(io_error("worker thread"))?;
        let opened = listening
            .await
            .unwrap_or_else(|_| Err(io::Error::other("worker ended")));
        opened.map_err(io_error("listeners"))?;
        senders.push(sender);
        threads.push(thread);
    }
    Ok((Feed::new(senders), threads))
}

/// What the main thread's tasks share.
struct Shared {
    credentials: watch::Receiver<Option<Arc<Credentials>>>,
    stream: Arc<StreamHealth>,
    dump: Arc<ArcSwap<ConfigDump>>,
    names: Option<NameServer>,
    trust: watch::Sender<Option<Arc<Trust>>>,
}

fn config_task(
    settings: &Arc<Settings>,
    feed: &Feed,
    asks: mpsc::Receiver<(usize, crate::config::Ask)>,
    shared: Shared,
) -> ConfigTask {
    let Shared {
        credentials,
        stream: health,
        dump,
        names,
        trust,
    } = shared;
    let mut held = Held::new(feed.clone(), &settings.inbound_name());
    held.want_trust();
    if names.is_some() {
        held.want_names(settings.id.namespace());
    }
    let saved = Saved::in_directory(&settings.state);
    saved.restore(&mut held, |_| true);
    let mut task = ConfigTask {
        settings: settings.clone(),
        held,
        saved,
        asks,
        credentials,
        health,
        dump,
        save_at: None,
        names,
        following: Following::start(settings, feed),
        trust,
        in_force: None,
    };
    task.note();
    task
}

async fn tell_credentials(feed: Feed, mut credentials: watch::Receiver<Option<Arc<Credentials>>>) {
    loop {
        let current = credentials.borrow_and_update().clone();
        if let Some(current) = current {
            feed.tell_all(&News::Credentials(current));
        }
        if credentials.changed().await.is_err() {
            return;
        }
    }
}

pub(crate) async fn until_asked_to_end(drain: &Notify) {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate()).ok();
    let mut interrupt = signal(SignalKind::interrupt()).ok();
    tokio::select! {
        () = drain.notified() => {}
        () = heard(terminate.as_mut()) => {}
        () = heard(interrupt.as_mut()) => {}
    }
}

async fn heard(signal: Option<&mut tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Waits for the workers without keeping config and admin from going on.
async fn join(threads: Vec<JoinHandle<()>>) {
    let joined = tokio::task::spawn_blocking(move || {
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a worker ended by a panic");
            }
        }
    });
    let _ = joined.await;
}

//! A running control plane: what is started, in which order, and how it ends.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wattle_identity::{SpiffeError, TrustDomain};
use wattle_source::{Batch, Directory, Event, Snapshot, merge};

use crate::admin;
use crate::config::ControlConfig;
use crate::hub::{self, Disk, Hub, HubHandle};
use crate::issuer::{Issuer, IssuerError};
use crate::keys;
use crate::metrics::Metrics;
use crate::serve::{self, Services};
use crate::store::{Store, StoreError};
use crate::virtual_ips::VirtualIps;

/// Batches that may wait between a source and the hub.
const MAX_BATCHES: usize = 16;

/// Why a control plane did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The trust domain's name is not one.
    #[error("trust domain \"{0}\" is not valid")]
    TrustDomain(String, #[source] SpiffeError),
    /// The state cannot be opened.
    #[error("state cannot be opened")]
    Store(#[from] StoreError),
    /// There is no authority or no certificate of our own.
    #[error("certificate authority cannot be started")]
    Issuer(#[from] IssuerError),
    /// An address is taken or not ours.
    #[error("cannot listen on {0}")]
    Listen(String, #[source] io::Error),
    /// No thread could be started.
    #[error("thread {0} cannot be started")]
    Thread(&'static str, #[source] io::Error),
}

/// A running control plane; dropping it stops it without waiting.
pub struct Control {
    discovery: SocketAddr,
    metrics: SocketAddr,
    admin: PathBuf,
    roots: PathBuf,
    drain: Duration,
    issuer: Arc<Issuer>,
    stop: CancellationToken,
    asked_to_stop: CancellationToken,
    tasks: TaskTracker,
    threads: Vec<JoinHandle<()>>,
}

impl Control {
    /// Starts everything and returns once proxies can connect; they are answered when the directories have been read.
    ///
    /// Needs a tokio runtime with I/O and time.
    ///
    /// # Errors
    /// When the state cannot be opened, an address is not free or a thread cannot be started.
    pub async fn start(config: ControlConfig) -> Result<Self, StartError> {
        let trust_domain = TrustDomain::new(&config.settings.trust_domain)
            .map_err(|error| StartError::TrustDomain(config.settings.trust_domain.to_string(), error))?;
        let store = Arc::new(Store::open(&config.state)?);
        let issuer = Issuer::open(
            store.clone(),
            &trust_domain,
            &config.trust,
            config.roots_path(),
            config.clock.clone(),
        )?;
        let discovery = bind(config.discovery).await?;
        let listeners = admin::Listeners {
            admin: bind_unix(&config.admin)?,
            metrics: bind_std(config.metrics)?,
        };
        let mut control = Self {
            discovery: local(&discovery)?,
            metrics: local_std(&listeners.metrics)?,
            roots: config.roots_path(),
            admin: config.admin.clone(),
            drain: config.drain,
            issuer: Arc::new(issuer),
            stop: CancellationToken::new(),
            asked_to_stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            threads: Vec::new(),
        };
        let metrics = Arc::new(Metrics::default());
        let hub = control.start_hub(&config, &store, &metrics)?;
        let state = admin::State {
            hub: hub.clone(),
            issuer: control.issuer.clone(),
            store,
            metrics: metrics.clone(),
            trust_domain,
            started: Instant::now(),
            clock: config.clock.clone(),
            pondering: Arc::new(tokio::sync::Semaphore::new(1)),
            asked_to_stop: control.asked_to_stop.clone(),
        };
        let admin_thread = admin::spawn(listeners, state, control.stop.clone())
            .map_err(|error| StartError::Thread("wattle-admin", error))?;
        control.threads.push(admin_thread);
        let issuer = control.issuer.clone();
        control
            .tasks
            .spawn(issuer.clone().keep(hub.clone(), control.stop.clone()));
        control.start_serving(
            discovery,
            Services {
                hub,
                issuer,
                metrics,
                clock: config.clock,
                stop: control.stop.clone(),
            },
        );
        tracing::info!(discovery = %control.discovery, metrics = %control.metrics, "control plane started");
        Ok(control)
    }

    /// Watches the directories and starts the hub that reads them.
    fn start_hub(
        &mut self,
        config: &ControlConfig,
        store: &Arc<Store>,
        metrics: &Arc<Metrics>,
    ) -> Result<HubHandle, StartError> {
        let mut hub = Hub::new(
            config.settings.clone(),
            VirtualIps::restored(store.virtual_ips()?),
            metrics.clone(),
        );
        let kept = keys::restored(store, &config.clock);
        for (address, (set, _)) in &kept {
            hub.restore_keys(address, set);
        }
        let wanted = hub.key_addresses();
        let disk = Disk {
            store: store.clone(),
            services: config.state.join("services.json"),
        };
        let batches = watch(&config.directories, &self.tasks, &self.stop);
        let (hub, thread) = hub::spawn(hub, batches, disk, self.stop.clone(), self.asked_to_stop.clone())
            .map_err(|error| StartError::Thread("wattle-hub", error))?;
        self.threads.push(thread);
        let parts = keys::Parts {
            settings: config.keys.clone(),
            clock: config.clock.clone(),
            hub: hub.clone(),
            store: store.clone(),
            wanted,
            kept,
        };
        let thread = keys::spawn(parts, self.stop.clone())
            .map_err(|error| StartError::Thread("wattle-keys", error))?;
        self.threads.push(thread);
        Ok(hub)
    }

    fn start_serving(&self, discovery: TcpListener, services: Services) {
        let ended = self.asked_to_stop.clone();
        self.tasks.spawn(async move {
            if let Err(error) = serve::serve(discovery, services).await {
                tracing::error!(%error, "discovery port failed");
            }
            ended.cancel();
        });
    }

    /// Where proxies connect.
    pub fn discovery(&self) -> SocketAddr {
        self.discovery
    }

    /// Where metrics and probes are.
    pub fn metrics(&self) -> SocketAddr {
        self.metrics
    }

    /// The admin socket.
    pub fn admin(&self) -> &Path {
        &self.admin
    }

    /// The file with the trust bundle.
    pub fn roots(&self) -> &Path {
        &self.roots
    }

    /// Renews the control plane's own certificate now; open connections stay.
    ///
    /// # Errors
    /// When the authority cannot sign it; the old one stays in use.
    pub async fn renew(&self) -> Result<(), IssuerError> {
        let issuer = self.issuer.clone();
        match tokio::task::spawn_blocking(move || issuer.renew()).await {
            Ok(renewed) => renewed,
            Err(error) => Err(IssuerError::Interrupted(error)),
        }
    }

    /// Ready when somebody asked for the end over the admin socket, or when a part failed without which nothing is served.
    pub async fn ended(&self) {
        self.asked_to_stop.cancelled().await;
    }

    /// Stops: streams are told to go elsewhere, requests in work finish within [`ControlConfig::drain`].
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        self.tasks.close();
        if tokio::time::timeout(self.drain, self.tasks.wait()).await.is_err() {
            tracing::warn!("stopped with connections still open");
        }
        let threads = std::mem::take(&mut self.threads);
        let joined =
            tokio::task::spawn_blocking(move || threads.into_iter().for_each(|thread| drop(thread.join())));
        let _ = joined.await;
        let _ = std::fs::remove_file(&self.admin);
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Watches the directories until stopped; several are merged, the first winning.
fn watch(directories: &[Directory], tasks: &TaskTracker, stop: &CancellationToken) -> mpsc::Receiver<Batch> {
    let mut sources = Vec::new();
    if directories.is_empty() {
        // A mesh of nothing is a mesh too: it says so at once.
        let (sender, receiver) = mpsc::channel(1);
        let _ = sender.try_send(vec![Event::Reset(Snapshot::default())]);
        sources.push(receiver);
    }
    for directory in directories {
        let (sender, receiver) = mpsc::channel(MAX_BATCHES);
        sources.push(receiver);
        let (watching, stop, shown) = (directory.clone(), stop.clone(), directory.root().to_owned());
        tasks.spawn(async move {
            let ended = tokio::select! {
                ended = watching.run(sender) => ended,
                () = stop.cancelled() => return,
            };
            if let Err(error) = ended {
                tracing::error!(directory = %shown.display(), %error, "directory is not watched any more");
            }
        });
    }
    let (sender, batches) = mpsc::channel(MAX_BATCHES);
    let stop = stop.clone();
    tasks.spawn(async move {
        tokio::select! {
            () = merge(sources, sender) => {}
            () = stop.cancelled() => {}
        }
    });
    batches
}

async fn bind(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| StartError::Listen(address.to_string(), error))
}

fn bind_std(address: SocketAddr) -> Result<std::net::TcpListener, StartError> {
    std::net::TcpListener::bind(address).map_err(|error| StartError::Listen(address.to_string(), error))
}

/// A socket only for its owner; what a dead control plane left in its place is removed, for the store's lock proves it dead.
fn bind_unix(path: &Path) -> Result<UnixListener, StartError> {
    let failed = |error| StartError::Listen(path.display().to_string(), error);
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

fn local(listener: &TcpListener) -> Result<SocketAddr, StartError> {
    listener
        .local_addr()
        .map_err(|error| StartError::Listen("discovery".to_owned(), error))
}

fn local_std(listener: &std::net::TcpListener) -> Result<SocketAddr, StartError> {
    listener
        .local_addr()
        .map_err(|error| StartError::Listen("metrics".to_owned(), error))
}

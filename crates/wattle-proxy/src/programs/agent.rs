//! The agent of a workload without a proxy: gRPC programs find discovery beside it, and a certificate and key in files.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::LocalSet;
use wattle_envoy::bootstrap;
use wattle_identity::TrustBundle;
use wattle_model::Trust;
use wattle_wire::Kind;

use super::certificates::{Files, Set};
use super::pages::HolderPages;
use super::relay::{Asker, Relay, RelayHealth};
use crate::admin::serve;
use crate::config::{
    Ask, ConfigDump, ConfigTask, Feed, Following, Held, InForce, Saved, StreamHealth, write_private,
};
use crate::identity::{Credentials, IdentityHealth, Keeper};
use crate::run::{StartError, io_error, prepare_state, until_asked_to_end};
use crate::settings::Settings;

/// Wait after the files could not be written.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// In this time programs have looked at files that are there.
const LOOKED: Duration = bootstrap::REFRESH.saturating_mul(2);

/// Runs the agent until SIGTERM or SIGINT, with discovery for programs at this address.
///
/// Of the settings, those about listeners, workers and connections have no effect.
pub fn run(settings: Settings, discovery: SocketAddr) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(io_error("runtime"))?;
    LocalSet::new().block_on(&runtime, main(Arc::new(settings), discovery))
}

async fn main(settings: Arc<Settings>, discovery: SocketAddr) -> Result<(), StartError> {
    prepare_state(&settings)?;
    let files = Files::prepare(super::directory(&settings)).map_err(io_error("files of programs"))?;
    let listener = TcpListener::bind(discovery)
        .await
        .map_err(io_error("discovery"))?;
    let discovery = listener.local_addr().map_err(io_error("discovery"))?;
    let renew = Arc::new(Notify::new());
    let pages = Rc::new(HolderPages {
        settings: settings.clone(),
        identity: Arc::new(IdentityHealth::default()),
        stream: Arc::new(StreamHealth::default()),
        relay: Arc::new(RelayHealth::default()),
        shown_until_secs: Arc::new(AtomicU64::new(0)),
        renew: renew.clone(),
    });
    serve(&pages, settings.admin, settings.status).map_err(io_error("admin"))?;
    let (sender, credentials) = watch::channel(None);
    let (trust, told) = watch::channel(None);
    let keeper = Keeper::new(settings.clone(), sender, pages.identity.clone(), renew).hearing(told);
    tokio::task::spawn_local(keeper.early().run());
    let (_no_worker_asks, asks) = mpsc::channel(1);
    let (shows, shown_roots) = watch::channel(None);
    let hearing = hearing(
        &settings,
        (credentials.clone(), shown_roots),
        pages.stream.clone(),
        trust,
        asks,
    );
    tokio::task::spawn_local(hearing.run());
    let relay = Relay::new(
        settings.clone(),
        credentials.clone(),
        Asker::Holder,
        pages.relay.clone(),
    );
    let shown = Shown {
        files,
        node: settings.inbound_name(),
        discovery,
        until_secs: pages.shown_until_secs.clone(),
        roots: shows,
    };
    // It has no page for it: nothing is to be finished.
    let drain = Notify::new();
    tokio::select! {
        ended = super::discovery(listener, relay) => ended.map_err(io_error("discovery")),
        never = shown.keep(credentials) => match never {},
        () = until_asked_to_end(&drain) => Ok(()),
    }
}

/// Hears whom to believe, and acknowledges it when programs have read it as well: others may rely on that.
fn hearing(
    settings: &Arc<Settings>,
    (credentials, shown): (
        watch::Receiver<Option<Arc<Credentials>>>,
        watch::Receiver<Option<TrustBundle>>,
    ),
    health: Arc<StreamHealth>,
    trust: watch::Sender<Option<Arc<Trust>>>,
    asks: mpsc::Receiver<(usize, Ask)>,
) -> ConfigTask {
    let mut held = Held::hearing_trust();
    let saved = Saved::in_directory(&settings.state);
    saved.restore(&mut held, |kind| kind == Kind::Trust);
    let mut task = ConfigTask {
        settings: settings.clone(),
        held,
        saved,
        asks,
        credentials,
        health,
        dump: Arc::new(ArcSwap::from_pointee(ConfigDump::default())),
        save_at: None,
        names: None,
        following: Following::start(settings, &Feed::new(Vec::new())),
        trust,
        in_force: Some(InForce { shown, after: LOOKED }),
    };
    task.note();
    task
}

/// What programs see.
struct Shown {
    files: Files,
    node: String,
    discovery: SocketAddr,
    /// End of the certificate that they see, seconds since 1970.
    until_secs: Arc<AtomicU64>,
    /// The roots that they see.
    roots: watch::Sender<Option<TrustBundle>>,
}

impl Shown {
    /// Shows every new certificate, and the bootstrap once there is one.
    async fn keep(&self, mut credentials: watch::Receiver<Option<Arc<Credentials>>>) -> Infallible {
        let mut shown = None;
        loop {
            let current = credentials.borrow_and_update().clone();
            let wanted = current.as_ref().map(|current| Set::of(current));
            if let Some(current) = current.filter(|_| wanted != shown) {
                match self.show(current).await {
                    Ok(()) => shown = wanted,
                    Err(error) => {
                        let directory = self.files.directory().display();
                        tracing::error!(%error, %directory, "files of programs cannot be written");
                        tokio::time::sleep(TRY_AGAIN).await;
                        continue;
                    }
                }
            }
            if credentials.changed().await.is_err() {
                // The keeper ends with the process.
                std::future::pending::<()>().await;
            }
        }
    }

    async fn show(&self, credentials: Arc<Credentials>) -> io::Result<()> {
        let end = credentials.svid().not_after();
        let roots = credentials.own_roots().cloned();
        let (files, bootstrap) = (self.files.clone(), self.bootstrap());
        let written = tokio::task::spawn_blocking(move || {
            files.replace(&Set::of(&credentials), &credentials.svid().key_pem())?;
            write_private(
                &files.directory().join(Settings::GRPC_BOOTSTRAP),
                bootstrap.as_bytes(),
            )
        });
        written.await.map_err(io::Error::other)??;
        let end = end.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.until_secs.store(end, Ordering::Relaxed);
        self.roots.send_replace(roots);
        tracing::info!(directory = %self.files.shown().display(), "programs see a new certificate or roots");
        Ok(())
    }

    fn bootstrap(&self) -> String {
        let program = bootstrap::Grpc {
            node: &self.node,
            server: self.discovery,
            certificates: Some(&self.files.shown()),
        };
        program.bootstrap().to_string()
    }
}

//! The agent beside an Envoy: it holds the workload's identity, lends it to its Envoy, and keeps that running.
//!
//! Envoy knows one peer, a Unix socket of this process ([`socket`]): discovery is passed on to the control plane over
//! mutual TLS ([`relay`](crate::programs::relay)), secrets come from memory ([`secrets`]). So Envoy holds no address, name or root of the control
//! plane, no key is written down, and a renewed certificate reaches it without a restart. gRPC programs of the workload
//! find theirs beside it ([`programs`](crate::programs)). Names, which no Envoy answers for here, the agent resolves
//! ([`resolving`]).

mod admin;
mod open_work;
mod pages;
mod process;
mod resolving;
mod secrets;
mod socket;

use std::cell::Cell;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::LocalSet;
use tokio::time::Instant;

use crate::admin::serve;
use crate::config::StreamHealth;
use crate::identity::{IdentityHealth, Keeper};
use crate::names::NameServer;
use crate::programs::relay::RelayHealth;
use crate::run::{StartError, io_error, prepare_state, until_asked_to_end};
use crate::settings::Settings;
use admin::Admin;
use pages::{AgentPages, Resolving};
use process::{Envoy, EnvoyHealth};

/// How often open work is looked at while draining.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// Longest wait for Envoy to end after it was asked to.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Runs the agent with this Envoy until SIGTERM, SIGINT or `/drain`, then drains Envoy and ends it.
///
/// Of the settings, those about listeners, workers and connections are the control plane's to give.
pub fn run(settings: Settings, program: PathBuf) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(io_error("runtime"))?;
    LocalSet::new().block_on(&runtime, main(Arc::new(settings), program))
}

async fn main(settings: Arc<Settings>, program: PathBuf) -> Result<(), StartError> {
    prepare_state(&settings)?;
    let (drain, renew) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (identity, relay) = (
        Arc::new(IdentityHealth::default()),
        Arc::new(RelayHealth::default()),
    );
    let (sender, mut credentials) = watch::channel(None);
    let envoy = Rc::new(EnvoyHealth::default());
    let admin = Admin::of(&settings);
    let names = NameServer::start(&settings)?;
    let resolving = names.as_ref().map(|server| Resolving {
        counters: server.counters(),
        stream: Arc::new(StreamHealth::default()),
    });
    let pages = Rc::new(AgentPages {
        settings: settings.clone(),
        identity: identity.clone(),
        relay: relay.clone(),
        envoy: envoy.clone(),
        admin: admin.clone(),
        names: resolving.clone(),
        drain: drain.clone(),
        renew: renew.clone(),
        draining: Cell::new(false),
    });
    serve(&pages, settings.admin, settings.status).map_err(io_error("admin"))?;
    let keeper = Keeper::new(settings.clone(), sender, identity, renew).in_memory();
    tokio::task::spawn_local(keeper.run());
    tokio::task::spawn_local(crate::programs::serve(settings.clone(), credentials.clone()));
    if let (Some(server), Some(resolving)) = (names, resolving) {
        let keeping = resolving::keep(settings.clone(), server, credentials.clone(), resolving.stream);
        tokio::task::spawn_local(keeping);
    }
    let served = socket::serve(&settings, credentials.clone(), relay).map_err(io_error("agent socket"))?;
    let process = Envoy {
        settings: settings.clone(),
        program,
        health: envoy,
    };
    let running = async {
        // Without a certificate there is nothing to tell it, and it would only complain.
        let _ = credentials.wait_for(Option::is_some).await;
        process.keep().await
    };
    tokio::select! {
        never = running => match never {},
        ended = served => ended.map_err(io_error("agent socket")),
        () = drained(&settings, &pages, &admin, &drain) => Ok(()),
    }
}

/// Waits until asked to end, then until Envoy has nothing under way or the grace is over, then ends it.
async fn drained(settings: &Settings, pages: &AgentPages, admin: &Admin, drain: &Notify) {
    until_asked_to_end(drain).await;
    pages.draining.set(true);
    tracing::info!(grace = ?settings.drain_grace, "draining");
    let end = Instant::now() + settings.drain_grace;
    admin.tell("/healthcheck/fail").await;
    admin.tell("/drain_listeners?graceful&skip_exit").await;
    while Instant::now() < end && admin.open_work().await.is_some_and(|open| open > 0) {
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    admin.tell("/quitquitquit").await;
    // Dropped with everything else, it is killed.
    let _ = tokio::time::timeout(LAST_WORDS, pages.envoy.until_gone()).await;
}

//! The proxy beside an instance: joins it with a token, starts it, starts it again when it dies, drains it at the end.

mod program;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::mesh::view::{TokenAnswer, TokenRequest};
use crate::mesh::{ask, port};
use crate::supervisor::backoff::Backoff;
use crate::supervisor::child::Child;
use crate::supervisor::control;
use crate::supervisor::entry::replace;
use crate::supervisor::pump::{self, Log};
use crate::supervisor::scrape;
use crate::supervisor::status::ProxyStatus;
use crate::supervisor::world::{NameFiles, World};

use super::network::{Network, spawn};
use super::spec::Spec;

/// How often a proxy that is not ready yet is asked.
const EAGER: Duration = Duration::from_millis(50);
/// How often a ready one is.
const CALM: Duration = Duration::from_secs(2);
/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two attempts to get a join token.
const TOKEN_RETRY: Duration = Duration::from_millis(250);
/// Between two join tokens for a proxy that runs without a certificate.
const REJOIN: Duration = Duration::from_secs(3);
/// Name of the join token's file among a proxy's own.
const TOKEN: &str = "token";
/// Longest time for open work when an instance is stopped.
const DRAIN: Duration = Duration::from_secs(10);

/// Keeps a proxy running until it is told to drain it.
#[derive(Debug)]
pub(super) struct Keeper {
    stop: watch::Sender<bool>,
    ready: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Keeper {
    /// Starts keeping.
    pub(super) fn start(
        world: &Rc<World>,
        spec: &Rc<Spec>,
        network: &Network,
        envoy: Option<PathBuf>,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (ready_now, ready) = watch::channel(false);
        let address = SocketAddr::new(network.address, port::STATUS);
        let kept = Kept {
            world: Rc::clone(world),
            spec: Rc::clone(spec),
            netns: Arc::clone(&network.netns),
            names: network.names.clone(),
            address,
            envoy,
            ready: ready_now,
        };
        Self {
            stop,
            ready,
            task: tokio::task::spawn_local(kept.run(stopped)),
        }
    }

    /// Waits until the proxy says it is ready.
    pub(super) async fn until_ready(&mut self) {
        // The sender lives as long as the task, which ends only when it is told to.
        let _ = self.ready.wait_for(|ready| *ready).await;
    }

    /// Drains the proxy and ends it.
    pub(super) async fn drain(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.task.await {
            tracing::warn!(%error, "a proxy's keeper failed");
        }
    }
}

struct Kept {
    world: Rc<World>,
    spec: Rc<Spec>,
    netns: Arc<wattle_capture::Netns>,
    names: NameFiles,
    address: SocketAddr,
    /// The Envoy that is its proxy, in place of ours.
    envoy: Option<PathBuf>,
    ready: watch::Sender<bool>,
}

impl Kept {
    async fn run(self, mut stopped: watch::Receiver<bool>) {
        let mut backoff = Backoff::new();
        loop {
            let begun = Instant::now();
            let mut child = tokio::select! {
                child = self.launch() => child,
                () = told(&mut stopped) => return,
            };
            let cause = match &mut child {
                Ok(child) => {
                    self.status(|status| status.pid = Some(child.id()));
                    self.world
                        .proxies
                        .borrow_mut()
                        .insert(self.spec.name.clone(), child.handle());
                    tokio::select! {
                        exit = child.wait() => exit.map_or_else(|error| error.to_string(), |exit| format!("ended with {}", exit.code)),
                        never = self.watch_ready() => match never {},
                        () = told(&mut stopped) => return self.drain(child).await,
                    }
                }
                Err(error) => format!("could not be started: {error:#}"),
            };
            self.gone(&cause);
            tokio::select! {
                () = tokio::time::sleep(backoff.after(begun.elapsed())) => {}
                () = told(&mut stopped) => return,
            }
            self.status(|status| status.restarts += 1);
        }
    }

    fn status(&self, change: impl FnOnce(&mut ProxyStatus)) {
        self.world.board.change(&self.spec.name, |status| {
            change(status.proxy.get_or_insert_default())
        });
    }

    fn gone(&self, cause: &str) {
        self.ready.send_replace(false);
        self.world.proxies.borrow_mut().remove(&self.spec.name);
        self.status(|status| (status.pid, status.ready) = (None, false));
        self.world.screen.event(
            &self.spec.name.name,
            format!("its proxy {cause}; starting it again"),
        );
    }

    async fn drain(&self, child: &mut Child) {
        if let Ok(snapshot) = scrape::snapshot(self.address).await {
            self.world.retired.borrow_mut().merge(&snapshot);
        }
        self.world.proxies.borrow_mut().remove(&self.spec.name);
        if let Err(error) = child.stop(DRAIN).await {
            tracing::warn!(%error, instance = %self.spec.name, "a proxy could not be ended");
        }
        self.status(|status| (status.pid, status.ready) = (None, false));
    }

    /// Never ends; dropped with the proxy it watches.
    async fn watch_ready(&self) -> Infallible {
        let mut token_at = Instant::now() + REJOIN;
        loop {
            let answer = ask::tcp(self.address, "/ready", PATIENCE).await;
            let says_none = |body: &[u8]| body.starts_with(b"waiting for a certificate");
            if self.joins_with_token()
                && token_at <= Instant::now()
                && answer.as_ref().is_ok_and(|(_, body)| says_none(body))
            {
                token_at = Instant::now() + REJOIN;
                self.rejoin().await;
            }
            let ready = answer.is_ok_and(|(status, _)| status.is_success());
            self.ready.send_replace(ready);
            self.status(|status| status.ready = ready);
            tokio::time::sleep(if ready { CALM } else { EAGER }).await;
        }
    }

    async fn launch(&self) -> anyhow::Result<Child> {
        let state = self.world.place.proxies().join(self.spec.name.stem());
        let user = self.world.proxy_user();
        self.world.private_directory(&state, user)?;
        if self.joins_with_token() {
            self.leave_token(&state, user).await?;
        }
        control::publish_roots(&self.world)?;
        let mut command = self.program(&state)?.command()?;
        command
            .env_clear()
            .envs(std::env::vars_os().filter(|(name, _)| name == "WATTLE_LOG" || name == "PATH"))
            .env(
                "_RJEM_MALLOC_CONF",
                "narenas:2,dirty_decay_ms:1000,muzzy_decay_ms:0",
            )
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = spawn(&self.netns, command).await?;
        self.keep_output(&mut child)?;
        Ok(child)
    }

    /// Others get their certificate from somebody who knows them already.
    fn joins_with_token(&self) -> bool {
        self.spec.process.spec.proxy.certificate.is_none()
    }

    async fn leave_token(&self, state: &Path, user: Option<u32>) -> anyhow::Result<()> {
        let Some(secret) = self.token(state).await else {
            tracing::warn!(instance = %self.spec.name, "no join token; its proxy uses its saved certificate");
            return Ok(());
        };
        let token = state.join(TOKEN);
        replace(&token, secret.as_bytes(), 0o600).context("cannot write the join token")?;
        self.world.give(&token, user)
    }

    /// A new join token for a proxy that runs and has no certificate any more: its control plane was away for too long, or
    /// the authority was made anew.
    async fn rejoin(&self) {
        let token = match self.ask_token().await {
            Ok(token) => token,
            Err(error) => return tracing::debug!(%error, "the control plane gave no join token yet"),
        };
        let path = self.world.place.proxies().join(self.spec.name.stem()).join(TOKEN);
        let written = control::publish_roots(&self.world).and_then(|()| {
            replace(&path, token.as_bytes(), 0o600).context("cannot write the join token")?;
            self.world.give(&path, self.world.proxy_user())
        });
        match written {
            Ok(()) => tracing::info!(instance = %self.spec.name, "its proxy may join anew"),
            Err(error) => tracing::warn!(%error, instance = %self.spec.name, "its proxy cannot join anew"),
        }
    }

    fn keep_output(&self, child: &mut Child) -> anyhow::Result<()> {
        let (stdout, stderr) = child.pipes();
        let log = Log::open(&self.spec.proxy_log(&self.world)).context("cannot open the proxy's log")?;
        stderr.map(|pipe| pump::pump(pipe, &log, None)).transpose()?;
        let access = Log::open(&self.spec.access_log(&self.world)).context("cannot open the access log")?;
        stdout.map(|pipe| pump::pump(pipe, &access, None)).transpose()?;
        Ok(())
    }

    /// A join token; none if the control plane is away and the proxy has a certificate it may go on with.
    async fn token(&self, state: &Path) -> Option<String> {
        loop {
            match self.ask_token().await {
                Ok(token) => return Some(token),
                Err(error) if state.join("svid.pem").exists() => {
                    tracing::debug!(%error, "the control plane gave no join token");
                    return None;
                }
                Err(error) => tracing::debug!(%error, "the control plane gave no join token yet"),
            }
            tokio::time::sleep(TOKEN_RETRY).await;
        }
    }

    async fn ask_token(&self) -> anyhow::Result<String> {
        let request = TokenRequest {
            namespace: self.spec.name.namespace.clone(),
            service_account: self.spec.process.spec.service_account_name.clone(),
            ttl_secs: None,
        };
        let body = serde_json::to_vec(&request)?.into();
        let answer: TokenAnswer = ask::post(&self.world.place.admin_socket(), "/tokens", body).await?;
        Ok(answer.token)
    }
}

/// Waits until the keeper is told to stop, or nobody is left to tell it.
async fn told(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

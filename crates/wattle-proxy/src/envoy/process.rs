//! The Envoy itself: started with a bootstrap, started again when it dies.

use std::cell::Cell;
use std::convert::Infallible;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::Instant;
use wattle_envoy::bootstrap;

use super::admin::Admin;
use super::socket;
use crate::config::write_private;
use crate::settings::Settings;

/// First wait before Envoy is started again; doubles to [`MAX_BACKOFF`].
const MIN_BACKOFF: Duration = Duration::from_millis(100);
/// Longest wait before Envoy is started again.
const MAX_BACKOFF: Duration = Duration::from_secs(5);
/// Who ran so long is started again at once.
const LONG_RUN: Duration = Duration::from_secs(30);

/// Facts about the process, for admin pages.
#[derive(Debug, Default)]
pub(super) struct EnvoyHealth {
    /// Its process id while it runs.
    pid: watch::Sender<Option<u32>>,
    /// How often it was started again.
    pub(super) restarts: Cell<u64>,
}

impl EnvoyHealth {
    pub(super) fn pid(&self) -> Option<u32> {
        *self.pid.borrow()
    }

    /// Waits until no Envoy runs.
    pub(super) async fn until_gone(&self) {
        // The sender lives as long as `self`.
        let _ = self.pid.subscribe().wait_for(Option::is_none).await;
    }
}

/// How Envoy is run.
pub(super) struct Envoy {
    pub(super) settings: Arc<Settings>,
    pub(super) program: PathBuf,
    pub(super) health: std::rc::Rc<EnvoyHealth>,
}

impl Envoy {
    /// Keeps Envoy running; dropped, it is killed.
    pub(super) async fn keep(self) -> Infallible {
        let mut backoff = MIN_BACKOFF;
        loop {
            let begun = Instant::now();
            let cause = match self.start() {
                Ok(mut child) => {
                    self.health.pid.send_replace(child.id());
                    child
                        .wait()
                        .await
                        .map_or_else(|error| error.to_string(), |status| format!("ended with {status}"))
                }
                Err(error) => format!("{} could not be started: {error}", self.program.display()),
            };
            self.health.pid.send_replace(None);
            if begun.elapsed() > LONG_RUN {
                backoff = MIN_BACKOFF;
            }
            tracing::error!(cause, again_after = ?backoff, "Envoy is gone");
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(MAX_BACKOFF);
            self.health.restarts.set(self.health.restarts.get() + 1);
        }
    }

    fn start(&self) -> std::io::Result<Child> {
        let file = self.settings.state.join("envoy.json");
        write_private(&file, self.bootstrap().to_string().as_bytes())?;
        let mut command = Command::new(&self.program);
        command.arg("--config-path").arg(&file);
        command.args(["--concurrency", "1", "--disable-hot-restart"]);
        command.args([
            "--log-level",
            "warning",
            "--log-format",
            "%Y-%m-%dT%T.%e envoy %l %n %v",
        ]);
        let drain = self.settings.drain_grace.as_secs().max(1).to_string();
        command.args(["--drain-time-s", &drain, "--drain-strategy", "immediate"]);
        command.stdin(Stdio::null()).kill_on_drop(true).spawn()
    }

    fn bootstrap(&self) -> serde_json::Value {
        bootstrap::Envoy {
            node: &self.settings.inbound_name(),
            cluster: &self.settings.instance,
            agent: &socket::path(&self.settings),
            admin: &Admin::of(&self.settings).socket,
            mark: self.settings.mark,
        }
        .bootstrap()
    }
}

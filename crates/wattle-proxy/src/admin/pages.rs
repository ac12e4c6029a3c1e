//! The pages themselves.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{Method, StatusCode};
use serde_json::json;
use tokio::sync::{Notify, mpsc};
use wattle_dns::Counters;
use wattle_http::{Request, Response};
use wattle_telemetry::{Registry, text};
use wattle_wire::Resource;

use super::{Audience, Pages, gauges, json_page, plain, typed, typed_status};
use crate::config::{ConfigDump, Feed, News, StreamHealth};
use crate::identity::IdentityHealth;
use crate::names;
use crate::run::Hooks;
use crate::settings::Settings;

/// Longest wait for a worker.
const PATIENCE: Duration = Duration::from_secs(1);

/// What the pages tell.
pub(crate) struct Facts {
    pub(crate) settings: Arc<Settings>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) stream: Arc<StreamHealth>,
    pub(crate) identity: Arc<IdentityHealth>,
    /// Counts of DNS queries, where they come here.
    pub(crate) names: Option<Arc<Counters>>,
    pub(crate) dump: Arc<ArcSwap<ConfigDump>>,
    pub(crate) drain: Arc<Notify>,
    pub(crate) renew: Arc<Notify>,
    pub(crate) draining: Cell<bool>,
    pub(crate) hooks: Hooks,
    /// Reaches the workers.
    pub(crate) feed: Feed,
}

impl Pages for Facts {
    async fn page(&self, audience: Audience, request: Request) -> Response {
        let target = request.head.path_and_query.as_str();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let local = audience == Audience::Local;
        match (&request.head.method, path) {
            (&Method::GET, "/ready" | "/healthz/ready") => self.ready(),
            (&Method::GET, "/metrics" | "/stats/prometheus") => {
                typed("text/plain; version=0.0.4", self.metrics())
            }
            (&Method::GET, "/stats") => json_page(&json!(self.registry.snapshot())),
            (&Method::GET, "/status") => json_page(&self.status()),
            (&Method::GET, "/config") if local => self.config(),
            (&Method::GET, "/refusals") if local => self.refusals().await,
            (&Method::POST, "/drain") if local => {
                self.drain.notify_one();
                plain(StatusCode::OK, "draining\n")
            }
            (&Method::POST, "/renew") if local => {
                self.renew.notify_one();
                plain(StatusCode::OK, "renewing the certificate\n")
            }
            (&Method::POST, "/logging") if local => self.logging(query),
            (_, "/" | "/help") => plain(StatusCode::OK, HELP),
            _ => plain(StatusCode::NOT_FOUND, "no such page, see /help\n"),
        }
    }
}

impl Facts {
    /// Ready once there is a certificate and the workload's own config.
    pub(crate) fn is_ready(&self) -> bool {
        self.identity.is_valid(&self.settings.clock) && self.stream.complete.load(Relaxed)
    }

    fn ready(&self) -> Response {
        if self.draining.get() {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "draining\n");
        }
        if self.is_ready() {
            return plain(StatusCode::OK, "ready\n");
        }
        let missing = match self.identity.is_valid(&self.settings.clock) {
            true => "waiting for the workload's configuration\n",
            false => "waiting for a certificate\n",
        };
        plain(StatusCode::SERVICE_UNAVAILABLE, missing)
    }

    fn status(&self) -> serde_json::Value {
        json!({
            "id": self.settings.id.as_str(),
            "instance": self.settings.instance,
            "version": env!("CARGO_PKG_VERSION"),
            "ready": self.is_ready(),
            "control": {
                "address": self.settings.control.to_string(),
                "connected": self.stream.connected.load(Relaxed),
                "last_heard_secs": self.stream.last_heard_secs.load(Relaxed),
                "rejected": self.stream.rejected.load(Relaxed),
                "held": self.stream.held.load(Relaxed),
            },
            "certificate": self.identity.status(&self.settings.certificates),
        })
    }

    /// Resources held, decoded.
    fn config(&self) -> Response {
        let dump = self.dump.load();
        let resources: Vec<_> = dump
            .resources
            .iter()
            .map(|(name, encoded)| {
                let decoded = Resource::decode(name.kind, &encoded.bytes);
                json!({
                    "kind": name.kind.as_str(),
                    "name": &*name.name,
                    "version": &*encoded.version,
                    "bytes": encoded.bytes.len(),
                    "value": decoded.map_or_else(|error| error.to_string(), |value| format!("{value:#?}")),
                })
            })
            .collect();
        json_page(&json!(resources))
    }

    /// What was refused last, of every worker that answers in time.
    async fn refusals(&self) -> Response {
        let (sender, mut answers) = mpsc::unbounded_channel();
        self.feed.tell_all(&News::Refusals(sender));
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let mut all = Vec::new();
        // Ends with the last worker's answer, since each then drops its end.
        while let Ok(Some(some)) = tokio::time::timeout_at(deadline, answers.recv()).await {
            all.extend(some);
        }
        json_page(&json!(all))
    }

    fn metrics(&self) -> String {
        let mut out = text(&self.registry);
        gauges(
            &mut out,
            &[
                (
                    "wattle_proxy_control_connected",
                    "Whether a discovery stream is open.",
                    u64::from(self.stream.connected.load(Relaxed)),
                ),
                (
                    "wattle_proxy_control_last_heard_seconds",
                    "Time of the last word of the control plane.",
                    self.stream.last_heard_secs.load(Relaxed),
                ),
                (
                    "wattle_proxy_config_resources",
                    "Resources held.",
                    self.stream.held.load(Relaxed),
                ),
                (
                    "wattle_proxy_config_rejected",
                    "Resources refused since start.",
                    self.stream.rejected.load(Relaxed),
                ),
            ],
        );
        gauges(&mut out, &self.identity.gauges());
        if let Some(names) = &self.names {
            out.push_str(&names::metrics(names));
        }
        out
    }

    /// `POST /logging?level=debug`.
    fn logging(&self, query: &str) -> Response {
        let level = query.split('&').find_map(|pair| pair.strip_prefix("level="));
        match (level, &self.hooks.set_log_level) {
            (None, _) => plain(
                StatusCode::BAD_REQUEST,
                "query parameter \"level\" is missing: error, warn, info, debug or trace\n",
            ),
            (Some(_), None) => plain(
                StatusCode::NOT_IMPLEMENTED,
                "the log level of this process is fixed\n",
            ),
            (Some(level), Some(set)) => match set(level) {
                Ok(()) => plain(StatusCode::OK, "log level set\n"),
                Err(problem) => typed_status(StatusCode::BAD_REQUEST, "text/plain", format!("{problem}\n")),
            },
        }
    }
}

const HELP: &str = "\
GET  /ready          200 once certificate and configuration are in
GET  /metrics        Prometheus text format
GET  /stats          edges with counts and latency, JSON
GET  /status         identity, control plane, certificate, JSON
GET  /config         resources held, JSON (loopback only)
GET  /refusals       what was refused last, with the facts, JSON (loopback only)
POST /drain          finish open work, then end (loopback only)
POST /renew          ask for a new certificate now (loopback only)
POST /logging?level= change the log level (loopback only)
";

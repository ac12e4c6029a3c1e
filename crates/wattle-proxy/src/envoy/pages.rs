//! What the agent says of itself and of its Envoy, in the shape in which a proxy of ours says it.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use http::{Method, StatusCode};
use serde_json::json;
use tokio::sync::Notify;
use wattle_dns::Counters;
use wattle_http::{Request, Response};
use wattle_telemetry::{Limits, Registry};

use super::admin::Admin;
use super::process::EnvoyHealth;
use crate::admin::{Audience, Pages, gauges, json_page, plain, typed, typed_status};
use crate::config::StreamHealth;
use crate::identity::IdentityHealth;
use crate::names;
use crate::programs::relay::RelayHealth;
use crate::settings::Settings;

/// What is known of the answers for names.
#[derive(Clone)]
pub(super) struct Resolving {
    pub(super) counters: Arc<Counters>,
    /// On which the names are told.
    pub(super) stream: Arc<StreamHealth>,
}

/// What the pages tell.
pub(super) struct AgentPages {
    pub(super) settings: Arc<Settings>,
    pub(super) identity: Arc<IdentityHealth>,
    pub(super) relay: Arc<RelayHealth>,
    pub(super) envoy: Rc<EnvoyHealth>,
    pub(super) admin: Admin,
    /// Where the workload's queries come to this process.
    pub(super) names: Option<Resolving>,
    pub(super) drain: Arc<Notify>,
    pub(super) renew: Arc<Notify>,
    pub(super) draining: Cell<bool>,
}

impl Pages for AgentPages {
    async fn page(&self, audience: Audience, request: Request) -> Response {
        let target = request.head.path_and_query.as_str();
        let path = target.split_once('?').map_or(target, |(path, _)| path);
        let local = audience == Audience::Local;
        match (&request.head.method, path) {
            (&Method::GET, "/ready" | "/healthz/ready") => self.ready().await,
            (&Method::GET, "/metrics" | "/stats/prometheus") => self.metrics().await,
            // Edges are told by proxies of ours; an Envoy's own statistics are in /metrics.
            (&Method::GET, "/stats") => json_page(&json!(Registry::new(Limits::default()).snapshot())),
            (&Method::GET, "/status") => json_page(&self.status().await),
            (&Method::GET, "/config") if local => self.passed_on("/config_dump?include_eds").await,
            (&Method::GET, "/clusters" | "/listeners" | "/certs" | "/server_info") if local => {
                self.passed_on(target).await
            }
            (&Method::POST, "/drain") if local => {
                self.drain.notify_one();
                plain(StatusCode::OK, "draining\n")
            }
            (&Method::POST, "/renew") if local => {
                self.renew.notify_one();
                plain(StatusCode::OK, "renewing the certificate\n")
            }
            (_, "/" | "/help") => plain(StatusCode::OK, HELP),
            _ => plain(StatusCode::NOT_FOUND, "no such page, see /help\n"),
        }
    }
}

impl AgentPages {
    /// What is missing before traffic may come.
    async fn missing(&self) -> Option<&'static str> {
        if !self.identity.is_valid(&self.settings.clock) {
            return Some("waiting for a certificate\n");
        }
        // One that is not known yet would be denied.
        let unknown = |names: &Resolving| !names.stream.complete.load(Relaxed);
        if self.names.as_ref().is_some_and(unknown) {
            return Some("waiting for names\n");
        }
        let live = self.admin.page("/ready").await;
        if !live.is_ok_and(|(status, _)| status.is_success()) {
            return Some("waiting for Envoy\n");
        }
        // Envoy counts as live with any answer of the control plane; the workload's own side may come a moment later.
        let inbound = format!(":{}", self.settings.inbound.port());
        let listeners = self.admin.page("/listeners").await;
        let listens = listeners.is_ok_and(|(_, body)| {
            String::from_utf8_lossy(&body)
                .lines()
                .any(|line| line.ends_with(&inbound))
        });
        (!listens).then_some("waiting for the workload's configuration\n")
    }

    async fn ready(&self) -> Response {
        if self.draining.get() {
            return plain(StatusCode::SERVICE_UNAVAILABLE, "draining\n");
        }
        match self.missing().await {
            None => plain(StatusCode::OK, "ready\n"),
            Some(missing) => plain(StatusCode::SERVICE_UNAVAILABLE, missing),
        }
    }

    async fn status(&self) -> serde_json::Value {
        json!({
            "id": self.settings.id.as_str(),
            "instance": self.settings.instance,
            "version": env!("CARGO_PKG_VERSION"),
            "ready": self.missing().await.is_none(),
            "control": {
                "address": self.settings.control.to_string(),
                "connected": self.relay.open.load(Relaxed) > 0,
                "last_heard_secs": self.relay.last_heard_secs.load(Relaxed),
                "rejected": self.relay.rejected.load(Relaxed),
            },
            "certificate": self.identity.status(&self.settings.certificates),
            "envoy": { "pid": self.envoy.pid(), "restarts": self.envoy.restarts.get() },
        })
    }

    async fn metrics(&self) -> Response {
        let mut out = match self.admin.page("/stats/prometheus").await {
            Ok((_, body)) => String::from_utf8_lossy(&body).into_owned(),
            Err(_) => String::new(),
        };
        gauges(
            &mut out,
            &[
                (
                    "wattle_proxy_control_connected",
                    "Whether a discovery stream is open.",
                    u64::from(self.relay.open.load(Relaxed) > 0),
                ),
                (
                    "wattle_proxy_envoy_restarts",
                    "How often Envoy was started again.",
                    self.envoy.restarts.get(),
                ),
            ],
        );
        gauges(&mut out, &self.identity.gauges());
        if let Some(names) = &self.names {
            out.push_str(&names::metrics(&names.counters));
        }
        typed("text/plain; version=0.0.4", out)
    }

    /// A page of Envoy's; what it shows holds no key.
    async fn passed_on(&self, path: &str) -> Response {
        match self.admin.page(path).await {
            Ok((status, body)) => {
                typed_status(status, "text/plain", String::from_utf8_lossy(&body).into_owned())
            }
            Err(_) => plain(StatusCode::SERVICE_UNAVAILABLE, "Envoy does not answer\n"),
        }
    }
}

const HELP: &str = "\
GET  /ready          200 once certificate and configuration are in Envoy, and names are known
GET  /metrics        Envoy's statistics and the agent's, Prometheus text format
GET  /stats          edges, JSON; none are told by an Envoy
GET  /status         identity, control plane, certificate, Envoy, JSON
GET  /config         Envoy's configuration, JSON (loopback only)
GET  /clusters /listeners /certs /server_info   Envoy's own pages (loopback only)
POST /drain          finish open work, then end (loopback only)
POST /renew          ask for a new certificate now (loopback only)
";

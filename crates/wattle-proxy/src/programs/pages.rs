//! What the agent of a workload without a proxy says of itself, in the shape in which a proxy says it.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use http::{Method, StatusCode};
use serde_json::json;
use tokio::sync::Notify;
use wattle_http::{Request, Response};

use super::relay::RelayHealth;
use crate::admin::{Audience, Pages, gauges, json_page, plain, typed};
use crate::config::StreamHealth;
use crate::identity::IdentityHealth;
use crate::settings::Settings;

/// What the pages tell.
pub(super) struct HolderPages {
    pub(super) settings: Arc<Settings>,
    pub(super) identity: Arc<IdentityHealth>,
    /// Of the agent itself.
    pub(super) stream: Arc<StreamHealth>,
    /// Of programs.
    pub(super) relay: Arc<RelayHealth>,
    /// End of the certificate that programs see, seconds since 1970; 0 while there is none.
    pub(super) shown_until_secs: Arc<AtomicU64>,
    pub(super) renew: Arc<Notify>,
}

impl Pages for HolderPages {
    async fn page(&self, audience: Audience, request: Request) -> Response {
        let target = request.head.path_and_query.as_str();
        let path = target.split_once('?').map_or(target, |(path, _)| path);
        match (&request.head.method, path) {
            (&Method::GET, "/ready" | "/healthz/ready") => match self.missing() {
                None => plain(StatusCode::OK, "ready\n"),
                Some(missing) => plain(StatusCode::SERVICE_UNAVAILABLE, missing),
            },
            (&Method::GET, "/metrics" | "/stats/prometheus") => self.metrics(),
            (&Method::GET, "/status") => json_page(&self.status()),
            (&Method::POST, "/renew") if audience == Audience::Local => {
                self.renew.notify_one();
                plain(StatusCode::OK, "renewing the certificate\n")
            }
            (_, "/" | "/help") => plain(StatusCode::OK, HELP),
            _ => plain(StatusCode::NOT_FOUND, "no such page, see /help\n"),
        }
    }
}

impl HolderPages {
    /// What is missing before programs may start.
    fn missing(&self) -> Option<&'static str> {
        let now = self.settings.clock.unix_secs();
        if !self.identity.is_valid(&self.settings.clock) {
            return Some("waiting for a certificate\n");
        }
        (self.shown_until_secs.load(Relaxed) <= now).then_some("waiting for its files to be written\n")
    }

    fn status(&self) -> serde_json::Value {
        json!({
            "id": self.settings.id.as_str(),
            "instance": self.settings.instance,
            "version": env!("CARGO_PKG_VERSION"),
            "ready": self.missing().is_none(),
            "control": {
                "address": self.settings.control.to_string(),
                "connected": self.stream.connected.load(Relaxed),
                "last_heard_secs": self.stream.last_heard_secs.load(Relaxed),
                "rejected": self.stream.rejected.load(Relaxed),
            },
            "certificate": self.identity.status(&self.settings.certificates),
            "programs": {
                "streams": self.relay.open.load(Relaxed),
                "rejected": self.relay.rejected.load(Relaxed),
                "shown_until_secs": self.shown_until_secs.load(Relaxed),
            },
        })
    }

    fn metrics(&self) -> Response {
        let all = [
            (
                "wattle_proxy_control_connected",
                "Whether a discovery stream is open.",
                u64::from(self.stream.connected.load(Relaxed)),
            ),
            (
                "wattle_agent_shown_certificate_expiry_seconds",
                "End of the certificate that programs see in files.",
                self.shown_until_secs.load(Relaxed),
            ),
        ];
        let mut out = String::new();
        gauges(&mut out, &all);
        gauges(&mut out, &self.identity.gauges());
        typed("text/plain; version=0.0.4", out)
    }
}

const HELP: &str = "\
GET  /ready          200 once certificate, key, roots and bootstrap are in files
GET  /metrics        Prometheus text format
GET  /status         identity, control plane, certificate, programs, JSON
POST /renew          ask for a new certificate now (loopback only)
";

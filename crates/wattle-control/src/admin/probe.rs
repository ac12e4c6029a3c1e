//! Metrics and probes, for anyone.

use std::sync::Arc;
use std::time::Instant;

use http::{Method, StatusCode};
use wattle_http::{Handler, Request, Response};

use super::State;
use super::answer::text;

/// Answers scrapers and probes.
pub(super) struct Probe(pub(super) Arc<State>);

impl Handler for Probe {
    async fn handle(&self, request: Box<Request>) -> Response {
        if !matches!(request.head.method, Method::GET | Method::HEAD) {
            return text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
        }
        let target = request.head.path_and_query.to_string();
        match target.split('?').next() {
            Some("/metrics") => text(StatusCode::OK, self.0.metrics.render()),
            Some("/healthz") => text(StatusCode::OK, "ok\n"),
            Some("/ready") => match self.0.hub.ask(|hub| hub.is_ready()).await {
                Ok(true) => text(StatusCode::OK, "ready\n"),
                Ok(false) => text(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the sources have not said yet what they hold\n",
                ),
                Err(gone) => text(StatusCode::SERVICE_UNAVAILABLE, format!("{gone}\n")),
            },
            _ => text(
                StatusCode::NOT_FOUND,
                format!("up for {} s; see /metrics, /ready, /healthz\n", self.uptime()),
            ),
        }
    }
}

impl Probe {
    fn uptime(&self) -> u64 {
        Instant::now().saturating_duration_since(self.0.started).as_secs()
    }
}

//! Asking Envoy's own admin pages, on a Unix socket.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use tokio::net::UnixStream;
use wattle_http::{RequestHead, client_simple};

use super::open_work::open_work;
use crate::settings::Settings;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// Largest answer, bytes: a dump of the configuration of a large mesh.
const MAX_ANSWER: usize = 64 << 20;

/// Envoy's admin pages.
#[derive(Clone, Debug)]
pub(super) struct Admin {
    pub(super) socket: PathBuf,
}

impl Admin {
    pub(super) fn of(settings: &Settings) -> Self {
        Self {
            socket: settings.state.join("envoy.sock"),
        }
    }

    /// GETs a page; fails while Envoy is not there.
    pub(super) async fn page(&self, path: &str) -> io::Result<(StatusCode, Bytes)> {
        self.ask(Method::GET, path).await
    }

    /// POSTs an order; while Envoy is not there, there is nobody to obey.
    pub(super) async fn tell(&self, path: &str) {
        if let Err(error) = self.ask(Method::POST, path).await {
            tracing::debug!(%error, path, "Envoy was not told");
        }
    }

    /// Requests and connections under way; `None` while Envoy is not there.
    pub(super) async fn open_work(&self) -> Option<u64> {
        let (status, body) = self.page("/stats?type=Gauges").await.ok()?;
        status
            .is_success()
            .then(|| open_work(&String::from_utf8_lossy(&body)))
    }

    async fn ask(&self, method: Method, path: &str) -> io::Result<(StatusCode, Bytes)> {
        let exchange = async {
            let stream = UnixStream::connect(&self.socket).await?;
            let head = RequestHead::new(method, "envoy", path.to_owned());
            let fetched = client_simple::fetch(stream, head, Bytes::new(), MAX_ANSWER).await;
            fetched
                .map(|(head, body)| (head.status, body))
                .map_err(|error| io::Error::other(error.to_string()))
        };
        tokio::time::timeout(PATIENCE, exchange)
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }
}

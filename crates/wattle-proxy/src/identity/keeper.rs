//! Keeps a valid certificate at hand: from disk, by join token, then by renewal.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use wattle_identity::{BundleSet, Expected, Svid, TlsSettings, TrustBundle};

use super::Credentials;
use super::enrol::{EnrolError, Enrolled, enrol};
use crate::config::write_private;
use crate::settings::Settings;

/// First wait after a failed request; doubles to [`MAX_BACKOFF`].
const MIN_BACKOFF: Duration = Duration::from_millis(200);
/// Longest wait between two requests.
const MAX_BACKOFF: Duration = Duration::from_secs(30);
/// Longest single sleep, so that a clock that was set forward is noticed.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Facts about the certificate for admin and metrics.
#[derive(Debug, Default)]
pub(crate) struct IdentityHealth {
    /// End of the certificate in use, seconds since 1970; 0 while there is none.
    pub(crate) not_after_secs: AtomicU64,
    /// Certificates obtained since start.
    pub(crate) renewals: AtomicU64,
    /// Requests for one that failed since start.
    pub(crate) failures: AtomicU64,
}

/// Keeps the certificate.
pub(crate) struct Keeper {
    settings: Arc<Settings>,
    sender: watch::Sender<Option<Arc<Credentials>>>,
    health: Arc<IdentityHealth>,
    /// Roots that came with certificates, beside those of the file.
    learned_roots: Vec<TrustBundle>,
    /// Renew at once.
    renew_now: Arc<tokio::sync::Notify>,
    /// Certificate and key are saved for the next start.
    saves: bool,
}

impl Keeper {
    pub(crate) fn new(
        settings: Arc<Settings>,
        sender: watch::Sender<Option<Arc<Credentials>>>,
        health: Arc<IdentityHealth>,
        renew_now: Arc<tokio::sync::Notify>,
    ) -> Self {
        Self {
            settings,
            sender,
            health,
            learned_roots: Vec::new(),
            renew_now,
            saves: true,
        }
    }

    /// Without a word to the disk: the next start needs a join token.
    pub(crate) fn in_memory(self) -> Self {
        Self { saves: false, ..self }
    }

    /// Runs for the proxy's life.
    pub(crate) async fn run(mut self) {
        if let Some(svid) = self.saved().filter(|_| self.saves) {
            tracing::info!(id = %svid.id(), "saved certificate is in use");
            if let Err(error) = self.adopt(svid) {
                tracing::warn!(cause = %described(&error), "saved certificate cannot be used");
            }
        }
        loop {
            self.until_due().await;
            let mut backoff = MIN_BACKOFF;
            while let Err(error) = self.renew().await {
                self.health.failures.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(cause = %described(&error), is_final = error.is_final(), "no certificate");
                backoff = (backoff * 2).min(MAX_BACKOFF);
                tokio::time::sleep(backoff.mul_f64(0.5 + rand::random::<f64>() / 2.0)).await;
            }
        }
    }

    /// Waits until the certificate in use is to be renewed; at once when there is none.
    async fn until_due(&self) {
        let due = self
            .sender
            .borrow()
            .as_ref()
            .map(|current| current.svid().renew_at(rand::random()));
        let Some(due) = due else { return };
        while let Ok(left) = due.duration_since(SystemTime::now()) {
            tokio::select! {
                () = tokio::time::sleep(left.min(LOOK_AGAIN)) => {}
                () = self.renew_now.notified() => return,
            }
        }
    }

    async fn renew(&mut self) -> Result<(), EnrolError> {
        let Enrolled { svid, root_pem } = self.request().await?;
        if let Some(root) =
            root_pem.and_then(|pem| TrustBundle::from_pem(self.settings.trust_domain(), pem.as_bytes()).ok())
            && !self.learned_roots.contains(&root)
        {
            self.learned_roots.push(root);
        }
        if self.saves
            && let Err(error) = write_private(&self.svid_path(), svid.to_pem().as_bytes())
        {
            tracing::warn!(%error, state = %self.settings.state.display(), "certificate could not be saved");
        }
        self.health.renewals.fetch_add(1, Ordering::Relaxed);
        let id = svid.id().clone();
        self.adopt(svid)?;
        tracing::info!(%id, "new certificate");
        Ok(())
    }

    /// By the certificate in use while it is valid, else by the join token.
    async fn request(&self) -> Result<Enrolled, EnrolError> {
        let current = self.sender.borrow().clone();
        if let Some(current) =
            current.filter(|current| !current.svid().remaining(SystemTime::now()).is_zero())
        {
            let tls = current
                .control_client(&self.settings.control_id)
                .map_err(unusable)?;
            match enrol(&self.settings, tls, None).await {
                Err(error) if error.is_final() && self.token().is_some() => {}
                other => return other,
            }
        }
        let token = self.token();
        let bundles = self
            .bundles()
            .map_err(|cause| EnrolError::Unreachable(cause.to_string()))?;
        let tls = TlsSettings::new(bundles, &[b"h2"])
            .anonymous_client(Expected::only(self.settings.control_id.clone()))
            .map_err(unusable)?;
        enrol(&self.settings, tls, token.as_deref()).await
    }

    fn adopt(&self, svid: Svid) -> Result<(), EnrolError> {
        let not_after = svid
            .not_after()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let bundles = self
            .bundles()
            .map_err(|error| EnrolError::Unreachable(error.to_string()))?;
        let credentials = Credentials::new(svid, bundles).map_err(unusable)?;
        self.health.not_after_secs.store(not_after, Ordering::Relaxed);
        self.sender.send_replace(Some(Arc::new(credentials)));
        Ok(())
    }

    fn saved(&self) -> Option<Svid> {
        let svid = Svid::from_pem(&std::fs::read(self.svid_path()).ok()?).ok()?;
        (*svid.id() == self.settings.id && !svid.remaining(SystemTime::now()).is_zero()).then_some(svid)
    }

    fn token(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.settings.token.as_ref()?).ok()?;
        Some(text.trim().to_owned()).filter(|token| !token.is_empty())
    }

    /// The roots of the file, read again each time, and those learned with certificates.
    fn bundles(&self) -> Result<Arc<BundleSet>, BundlesError> {
        let text = std::fs::read(&self.settings.roots)
            .map_err(|error| BundlesError::Read(self.settings.roots.clone(), error))?;
        let mut bundle = TrustBundle::from_pem(self.settings.trust_domain(), &text)
            .map_err(|error| BundlesError::Parse(self.settings.roots.clone(), error.to_string()))?;
        for root in &self.learned_roots {
            if let Ok(joined) = bundle.joined(root) {
                bundle = joined;
            }
        }
        Ok(Arc::new(BundleSet::only(bundle)))
    }

    fn svid_path(&self) -> PathBuf {
        self.settings.state.join("svid.pem")
    }
}

/// Why no root was found.
#[derive(Debug, thiserror::Error)]
enum BundlesError {
    #[error("roots in {}: {}", .0.display(), .1)]
    Read(PathBuf, std::io::Error),
    #[error("roots in {}: {}", .0.display(), .1)]
    Parse(PathBuf, String),
}

fn unusable(error: wattle_identity::TlsError) -> EnrolError {
    EnrolError::Unreachable(error.to_string())
}

fn described(error: &EnrolError) -> String {
    match std::error::Error::source(error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

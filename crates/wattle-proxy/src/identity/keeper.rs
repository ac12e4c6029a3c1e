//! Keeps a valid certificate at hand: from disk, by join token, then by renewal; or as somebody beside the control plane gives it.

mod control_plane;
mod given;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use wattle_identity::Svid;
use wattle_model::Trust;

use super::Credentials;
use super::believed::{Believed, BelievedError};
use super::enrol::EnrolError;
use super::health::IdentityHealth;
use super::service;
use super::workload_api::WorkloadApi;
use crate::settings::{CertificateSource, Settings};

/// First wait after a failed request; doubles to [`MAX_BACKOFF`].
const MIN_BACKOFF: Duration = Duration::from_millis(200);
/// Longest wait between two requests.
const MAX_BACKOFF: Duration = Duration::from_secs(30);
/// Least time that a new certificate is kept, whatever its own times say.
const MIN_LIFE: Duration = Duration::from_secs(1);
/// Longest single sleep, so that another file of roots or of the join token is noticed.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// When the issuer changed, a new certificate is asked for within this time, or this part of the life that is left when that
/// is shorter, so that a fleet does not ask together.
const SPREAD: Duration = Duration::from_secs(60);
const SPREAD_PART: u32 = 10;

/// Keeps the certificate.
pub(crate) struct Keeper {
    settings: Arc<Settings>,
    sender: watch::Sender<Option<Arc<Credentials>>>,
    health: Arc<IdentityHealth>,
    believed: Believed,
    /// What the control plane says of whom to believe.
    trust: watch::Receiver<Option<Arc<Trust>>>,
    /// What of it was taken in, or could not be.
    heard: Option<Arc<Trust>>,
    /// What is believed is not in force yet.
    is_news: bool,
    /// The issuer for whose sake a certificate was asked for last.
    asked_for: Option<String>,
    /// Renew at once.
    renew_now: Arc<tokio::sync::Notify>,
    /// Certificate and key are saved for the next start.
    saves: bool,
    /// Where certificates come from when the control plane gives none.
    pushes: Option<WorkloadApi>,
    /// Within which time one of another issuer is asked for.
    spread: Duration,
}

impl Keeper {
    pub(crate) fn new(
        settings: Arc<Settings>,
        sender: watch::Sender<Option<Arc<Credentials>>>,
        health: Arc<IdentityHealth>,
        renew_now: Arc<tokio::sync::Notify>,
    ) -> Self {
        let believed = Believed::new(settings.trust_domain(), settings.roots.clone());
        Self {
            sender,
            health,
            believed,
            trust: watch::channel(None).1,
            heard: None,
            is_news: false,
            asked_for: None,
            renew_now,
            saves: settings.certificates == CertificateSource::ControlPlane,
            pushes: None,
            settings,
            spread: SPREAD,
        }
    }

    /// Hears from the control plane whom to believe.
    pub(crate) fn hearing(self, trust: watch::Receiver<Option<Arc<Trust>>>) -> Self {
        Self { trust, ..self }
    }

    /// Without a word to the disk: the next start needs a join token.
    pub(crate) fn in_memory(self) -> Self {
        Self { saves: false, ..self }
    }

    /// Ahead of others when the issuer changes: once the last one has renewed, the old root is believed no more, and what
    /// is renewed here comes into use a moment later.
    pub(crate) fn early(self) -> Self {
        Self {
            spread: SPREAD / SPREAD_PART,
            ..self
        }
    }

    /// Runs for the proxy's life.
    pub(crate) async fn run(mut self) {
        if let CertificateSource::WorkloadApi(socket) = &self.settings.certificates {
            self.pushes = Some(WorkloadApi::follow(socket.clone(), self.health.clone()));
        }
        self.believed.look();
        self.hear();
        if let Some(svid) = self.saved().filter(|_| self.saves) {
            tracing::info!(id = %svid.id(), "saved certificate is in use");
            if let Err(error) = self.adopt(Arc::new(svid)) {
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
                let wait = backoff.mul_f64(0.5 + rand::random::<f64>() / 2.0);
                if self.pushes.is_some() {
                    self.until_pushed(wait).await;
                } else if self.file_changed_within(wait).await {
                    backoff = MIN_BACKOFF;
                }
            }
        }
    }

    /// Waits until the certificate in use is to be renewed; at once when there is none.
    async fn until_due(&mut self) {
        let current = self.sender.borrow().clone();
        if self.pushes.is_some() {
            let longest = current.map_or(MAX_BACKOFF, |_| Duration::MAX);
            return self.until_pushed(longest).await;
        }
        let Some(current) = current else { return };
        let now = self.settings.clock.now();
        // Who signs may date certificates back as far as he likes.
        let least = (current.svid().remaining(now) / SPREAD_PART).clamp(MIN_LIFE, MAX_BACKOFF);
        let mut due = current.svid().renew_at(rand::random()).max(now + least);
        loop {
            due = due.min(self.due_for_issuer(&current));
            if due <= self.settings.clock.now() {
                self.asked_for = self.believed.issuer().map(str::to_owned);
                return;
            }
            tokio::select! {
                () = self.settings.clock.until(due) => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
                () = self.renew_now.notified() => return,
                Ok(()) = self.trust.changed() => {}
            }
            let file_changed = self.keep_up();
            if file_changed && self.believed.issuer().is_none() && self.is_of_the_control_plane() {
                // Nobody tells us else: with its next certificate this workload says that it knows the new roots.
                due = due.min(self.soon(&current));
            }
        }
    }

    /// When to ask for a certificate of the issuer that signs now; once for each.
    fn due_for_issuer(&self, current: &Credentials) -> SystemTime {
        let never = current.svid().not_after();
        let Some(issuer) = self.believed.issuer().filter(|_| self.is_of_the_control_plane()) else {
            return never;
        };
        let is_of_it = current.svid().issuer_id() == Some(issuer);
        let was_asked = self.asked_for.as_deref() == Some(issuer);
        if is_of_it || was_asked {
            never
        } else {
            self.soon(current)
        }
    }

    /// A moment within [`SPREAD`].
    fn soon(&self, current: &Credentials) -> SystemTime {
        let now = self.settings.clock.now();
        let spread = self.spread.min(current.svid().remaining(now) / SPREAD_PART);
        now + spread.mul_f64(rand::random())
    }

    /// Takes in what the control plane said last.
    fn hear(&mut self) {
        let Some(trust) = self.trust.borrow_and_update().clone() else {
            return;
        };
        let heard = self.heard.as_ref();
        if heard.is_some_and(|heard| Arc::ptr_eq(heard, &trust)) {
            return;
        }
        self.heard = Some(trust.clone());
        match self.believed.hear(trust) {
            Ok(()) => self.is_news = true,
            Err(error) => tracing::error!(%error, "the last good roots stay in force"),
        }
    }

    /// Puts in force whom to believe by the control plane and the file of roots now; whether that file changed.
    fn keep_up(&mut self) -> bool {
        let file_changed = self.believed.look();
        self.is_news |= file_changed;
        self.hear();
        let current = self.sender.borrow().clone();
        if self.is_news
            && let Some(current) = current
        {
            self.refresh(&current);
        }
        file_changed
    }

    /// Waits so long for the next attempt, or until the file of roots or that of the token holds something else.
    async fn file_changed_within(&mut self, longest: Duration) -> bool {
        let (end, token) = (tokio::time::sleep(longest), self.token());
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = &mut end => return false,
                () = self.renew_now.notified() => return false,
                Ok(()) = self.trust.changed() => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
            if self.keep_up() || self.token() != token {
                return true;
            }
        }
    }

    /// The same certificate under what is believed now; new handshakes use it, and the peers of open connections are judged
    /// by it.
    fn refresh(&mut self, current: &Credentials) {
        match self.adopt(current.svid().clone()) {
            Ok(()) => tracing::info!("roots and revocations are new"),
            Err(error) => {
                // The same would fail again.
                self.is_news = false;
                tracing::error!(cause = %described(&error), "the last good roots stay in force");
            }
        }
    }

    async fn renew(&mut self) -> Result<(), EnrolError> {
        match &self.settings.certificates {
            CertificateSource::ControlPlane => self.renew_by_control_plane().await,
            CertificateSource::WorkloadApi(_) => {
                let given = self.offer()?;
                self.take(given)
            }
            CertificateSource::Service(service) => {
                let given = service::request(&self.settings, service).await?;
                self.take(given)
            }
        }
    }

    fn adopt(&mut self, svid: Arc<Svid>) -> Result<(), EnrolError> {
        let not_after = svid
            .not_after()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        let bundles = Arc::new(self.believed.bundles().map_err(unbelieved)?);
        let control = Arc::new(self.believed.control().map_err(unbelieved)?);
        let credentials = Credentials::new(svid, bundles, &self.settings.clock)
            .map_err(unusable)?
            .with_aliases(self.believed.aliases())
            .with_control_roots(control);
        self.health.not_after_secs.store(not_after, Ordering::Relaxed);
        self.sender.send_replace(Some(Arc::new(credentials)));
        self.is_news = false;
        Ok(())
    }

    fn saved(&self) -> Option<Svid> {
        let svid = Svid::from_pem(&std::fs::read(self.svid_path()).ok()?).ok()?;
        (*svid.id() == self.settings.id && !svid.remaining(self.settings.clock.now()).is_zero())
            .then_some(svid)
    }

    fn is_of_the_control_plane(&self) -> bool {
        self.settings.certificates == CertificateSource::ControlPlane
    }

    fn token(&self) -> Option<String> {
        let path = match &self.settings.certificates {
            CertificateSource::Service(service) => &service.token,
            _ => self.settings.token.as_ref()?,
        };
        let text = std::fs::read_to_string(path).ok()?;
        Some(text.trim().to_owned()).filter(|token| !token.is_empty())
    }

    fn svid_path(&self) -> PathBuf {
        self.settings.state.join("svid.pem")
    }
}

fn unbelieved(error: BelievedError) -> EnrolError {
    EnrolError::Unreachable(error.to_string())
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

#[cfg(test)]
mod tests;

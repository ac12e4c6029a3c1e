//! What drives rotations on: the clock, the files, and what proxies acknowledge.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wattle_model::Trust;
use wattle_wire::Resource;

use super::{Connected, Issuer, IssuerError, unix_secs};
use crate::hub::{Gone, HubHandle};

/// Between two looks at clock and files.
const CALM: Duration = Duration::from_secs(1);
/// The same while a rotation is under way.
const EAGER: Duration = Duration::from_millis(200);
/// Wait after a failure.
const TRY_AGAIN: Duration = Duration::from_secs(5);

impl Issuer {
    /// Keeps authority and own certificate young and proxies told of whom to believe, until stopped.
    pub(crate) async fn keep(self: Arc<Self>, hub: HubHandle, stop: CancellationToken) {
        let mut told = None;
        loop {
            let wait = match self.turn(&hub, &mut told).await {
                Ok(()) if self.is_steady() => CALM,
                Ok(()) => EAGER,
                Err(TurnError::Gone) => return,
                Err(TurnError::Issuer(error)) => {
                    tracing::error!(%error, cause = ?std::error::Error::source(&error), "the authority does not go on");
                    TRY_AGAIN
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.own_due() => {}
                () = self.changed.notified() => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Ready when the own certificate is to be renewed; never without one, or when that was tried and failed.
    async fn own_due(&self) {
        let due = self.own.load().as_ref().map(|own| own.renew_at);
        match due.filter(|due| *due > self.clock.now()) {
            Some(due) => self.clock.until(due).await,
            None => std::future::pending().await,
        }
    }

    async fn turn(self: &Arc<Self>, hub: &HubHandle, told: &mut Option<Arc<Trust>>) -> Result<(), TurnError> {
        let trust = self.trust();
        if told.as_ref() != Some(&trust) {
            let encoded = Resource::Trust((*trust).clone()).encode();
            hub.ask(move |hub| hub.set_trust(encoded, std::time::Instant::now()))
                .await?;
            *told = Some(trust.clone());
        }
        let connected = hub.ask(|hub| hub.connected()).await?;
        let issuer = self.clone();
        let looked = tokio::task::spawn_blocking(move || issuer.look(&trust, &connected)).await;
        looked.map_err(|_| TurnError::Gone)?.map_err(TurnError::Issuer)
    }

    /// One look at clock and files; goes on with a rotation where `connected` knows what was `told` last.
    fn look(&self, told: &Arc<Trust>, connected: &[Connected]) -> Result<(), IssuerError> {
        let now = self.clock.now();
        let news = self.files().news(now);
        let mut current = self.write();
        let mut changed = self.take(&mut current, news, now)?;
        if let Some(what) = current.succession.due(now) {
            tracing::info!(?what, "rotation begins, for its age");
            let next = current.succession.begin(what, false, now)?;
            self.go_on(&mut current, next)?;
            changed = true;
        }
        if !changed && Arc::ptr_eq(told, &self.trust()) {
            let (seen, _) = self.inventory.seen(&current.bundle_id, connected, unix_secs(now));
            if let Some(next) = current.succession.advance(now, &seen)? {
                self.go_on(&mut current, next)?;
                changed = true;
            }
        }
        let own_is_due = self.own.load().as_ref().is_some_and(|own| own.renew_at <= now);
        if changed || own_is_due || current.stale {
            self.refresh(&mut current, now)?;
        }
        Ok(())
    }
}

enum TurnError {
    Gone,
    Issuer(IssuerError),
}

impl From<Gone> for TurnError {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

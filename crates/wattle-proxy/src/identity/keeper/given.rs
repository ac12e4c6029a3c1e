//! The part of a keeper to whom somebody beside the control plane gives certificates.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::enrol::EnrolError;
use super::super::given::Given;
use super::super::workload_api::{OfferError, WorkloadApi};
use super::{Keeper, LOOK_AGAIN};

impl Keeper {
    /// Waits for the next offer, at most so long; what is believed changes meanwhile.
    pub(super) async fn until_pushed(&mut self, longest: Duration) {
        let end = tokio::time::sleep(longest);
        tokio::pin!(end);
        loop {
            tokio::select! {
                () = offered(&mut self.pushes) => return,
                () = self.renew_now.notified() => return,
                () = &mut end => return,
                Ok(()) = self.trust.changed() => {}
                () = tokio::time::sleep(LOOK_AGAIN) => {}
            }
            self.keep_up();
        }
    }

    /// The newest offer of the Workload API.
    pub(super) fn offer(&mut self) -> Result<Given, EnrolError> {
        let pushes = self.pushes.as_mut().ok_or(OfferError::None)?;
        Ok(pushes.take(&self.settings.id, self.settings.clock.now())?)
    }

    /// Takes what was given as a whole, or leaves everything as it was.
    pub(super) fn take(&mut self, given: Given) -> Result<(), EnrolError> {
        let id = given.svid.id().clone();
        self.hear();
        let before = self.believed.came_besides(given.roots);
        if let Err(error) = self.adopt(Arc::new(given.svid)) {
            self.believed.take_back(before);
            return Err(error);
        }
        self.health.renewals.fetch_add(1, Ordering::Relaxed);
        tracing::info!(%id, source = %self.settings.certificates, "new certificate");
        Ok(())
    }
}

async fn offered(pushes: &mut Option<WorkloadApi>) {
    match pushes {
        Some(pushes) => pushes.changed().await,
        None => std::future::pending().await,
    }
}

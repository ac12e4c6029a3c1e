//! The part of a keeper to whom the control plane gives certificates.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use wattle_identity::{Expected, TlsSettings};

use super::super::enrol::{EnrolError, Enrolled, enrol};
use super::{Keeper, unbelieved, unusable};
use crate::config::write_private;

impl Keeper {
    pub(super) async fn renew_by_control_plane(&mut self) -> Result<(), EnrolError> {
        let Enrolled { svid, root_pem } = self.request().await?;
        if let Some(pem) = root_pem {
            self.believed.came_with_certificate(&pem);
        }
        if self.saves
            && let Err(error) = write_private(&self.svid_path(), svid.to_pem().as_bytes())
        {
            tracing::warn!(%error, state = %self.settings.state.display(), "certificate could not be saved");
        }
        self.health.renewals.fetch_add(1, Ordering::Relaxed);
        let id = svid.id().clone();
        self.hear();
        self.adopt(Arc::new(svid))?;
        tracing::info!(%id, "new certificate");
        Ok(())
    }

    /// By the certificate in use while it is valid, else by the join token.
    async fn request(&self) -> Result<Enrolled, EnrolError> {
        let current = self.sender.borrow().clone();
        if let Some(current) =
            current.filter(|current| !current.svid().remaining(self.settings.clock.now()).is_zero())
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
        let bundles = Arc::new(self.believed.control().map_err(unbelieved)?);
        let tls = TlsSettings::new(bundles, &[b"h2"])
            .with_clock(Arc::new(self.settings.clock.clone()))
            .anonymous_client(Expected::only(self.settings.control_id.clone()))
            .map_err(unusable)?;
        enrol(&self.settings, tls, token.as_deref()).await
    }
}

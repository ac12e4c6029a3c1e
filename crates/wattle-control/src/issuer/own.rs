//! The control plane's own certificate, and how it accepts proxies with it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use wattle_identity::{Authority, BundleSet, ClientCertificates, SpiffeId, Svid, SvidRequest, TlsSettings};
use wattle_net::Clock;

use super::IssuerError;

/// A certificate in use.
pub(super) struct Own {
    pub(super) svid: Svid,
    pub(super) server: Arc<ServerConfig>,
    pub(super) renew_at: SystemTime,
}

/// A new certificate, accepting whom these bundles vouch for.
pub(super) fn own(
    authority: &Authority,
    id: &SpiffeId,
    bundles: BundleSet,
    clock: &Clock,
) -> Result<Own, IssuerError> {
    let now = clock.now();
    let request = SvidRequest::new(id)?;
    let issued = authority.sign(request.csr_pem(), id, now, Duration::ZERO)?;
    let svid = request.into_svid(&issued.chain_pem())?;
    let server = TlsSettings::new(Arc::new(bundles), &[b"h2"])
        .with_clock(Arc::new(clock.clone()))
        .server(&svid, ClientCertificates::Optional)?;
    let renew_at = svid.renew_at(rand::random());
    Ok(Own {
        svid,
        server,
        renew_at,
    })
}

//! How it stands with the certificate, for every role that holds one.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde_json::json;
use wattle_net::Clock;

use crate::settings::CertificateSource;

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

impl IdentityHealth {
    /// Is there a certificate that has not ended?
    pub(crate) fn is_valid(&self, clock: &Clock) -> bool {
        self.not_after_secs.load(Relaxed) > clock.unix_secs()
    }

    /// `certificate` of `/status`.
    pub(crate) fn status(&self, source: &CertificateSource) -> serde_json::Value {
        json!({
            "source": source.to_string(),
            "not_after_secs": self.not_after_secs.load(Relaxed),
            "renewals": self.renewals.load(Relaxed),
            "failures": self.failures.load(Relaxed),
        })
    }

    /// Name, help and value of each gauge.
    pub(crate) fn gauges(&self) -> [(&'static str, &'static str, u64); 3] {
        [
            (
                "wattle_proxy_certificate_expiry_seconds",
                "End of the certificate in use.",
                self.not_after_secs.load(Relaxed),
            ),
            (
                "wattle_proxy_certificate_renewals",
                "Certificates obtained since start.",
                self.renewals.load(Relaxed),
            ),
            (
                "wattle_proxy_certificate_failures",
                "Failed requests for a certificate since start.",
                self.failures.load(Relaxed),
            ),
        ]
    }
}

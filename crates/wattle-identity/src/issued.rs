//! What the authority hands out.

use std::time::SystemTime;

use rustls_pki_types::CertificateDer;

use crate::{
    bundle::TrustBundle,
    instant::{Lifetime, system_time},
    pem,
};

/// A signed certificate with all that leads to the root.
#[derive(Debug, Clone)]
pub struct Issued {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    /// At least one.
    pub(crate) roots: Vec<CertificateDer<'static>>,
    pub(crate) serial: String,
    pub(crate) issuer_id: String,
    pub(crate) lifetime: Lifetime,
}

impl Issued {
    /// Leaf first, without the root, as one PEM text.
    pub fn chain_pem(&self) -> String {
        self.chain
            .iter()
            .map(|certificate| pem::certificate(certificate))
            .collect()
    }

    /// The same with these roots, of which one vouches for it: while a root is being replaced there are several.
    pub fn with_roots(self, bundle: &TrustBundle) -> Self {
        Self {
            roots: bundle.roots().to_vec(),
            ..self
        }
    }

    /// One PEM text for each certificate, leaf first; the last holds all roots: the `cert_chain` of Istio's
    /// `CreateCertificate` response.
    pub fn pem_blocks(&self) -> Vec<String> {
        let roots = self.roots.iter().map(|root| pem::certificate(root)).collect();
        self.chain
            .iter()
            .map(|certificate| pem::certificate(certificate))
            .chain([roots])
            .collect()
    }

    /// The leaf's number among those of its issuer, in hexadecimal.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// Who signed it, as [`Authority::issuer_id`](crate::Authority::issuer_id).
    pub fn issuer_id(&self) -> &str {
        &self.issuer_id
    }

    /// Start of validity.
    pub fn not_before(&self) -> SystemTime {
        system_time(self.lifetime.not_before_secs)
    }

    /// End of validity.
    pub fn not_after(&self) -> SystemTime {
        system_time(self.lifetime.not_after_secs)
    }
}

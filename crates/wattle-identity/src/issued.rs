//! What the authority hands out.

use std::time::SystemTime;

use rustls_pki_types::CertificateDer;

use crate::{
    instant::{Lifetime, system_time},
    pem,
};

/// A signed certificate with all that leads to the root.
#[derive(Debug, Clone)]
pub struct Issued {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) root: CertificateDer<'static>,
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

    /// One PEM text for each certificate, leaf first and the root last: the `cert_chain` of Istio's
    /// `CreateCertificate` response.
    pub fn pem_blocks(&self) -> Vec<String> {
        self.chain
            .iter()
            .chain([&self.root])
            .map(|certificate| pem::certificate(certificate))
            .collect()
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

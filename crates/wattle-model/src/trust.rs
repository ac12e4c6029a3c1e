//! Whom to believe, as the control plane tells its proxies.

use std::sync::Arc;

/// Roots, revocations and the issuer in use; what a certificate means is not decided here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// What tells the certificate that signs workloads from every other; who has a certificate of another asks for a new one.
    pub issuer: Arc<str>,
    /// Every trust domain that is believed, the mesh's own first.
    pub domains: Vec<TrustedDomain>,
    /// Other names of the mesh's own trust domain (Istio `meshConfig.trustDomainAliases`).
    pub aliases: Vec<Arc<str>>,
    /// Revocation lists, DER (RFC 5280 section 5).
    pub revocation_lists: Vec<Vec<u8>>,
}

impl Trust {
    /// Name of the only one that there is.
    pub const NAME: &'static str = "mesh";
}

/// A trust domain and who may vouch for its workloads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedDomain {
    /// Its name.
    pub name: Arc<str>,
    /// Its roots, DER; several while one is being replaced.
    pub roots: Vec<Vec<u8>>,
}

//! An authority beside the mesh's own, for the mesh's trust domain.

use std::time::{Duration, SystemTime};

use wattle_identity::{Authority, SpiffeId, Svid, SvidRequest, TrustDomain};

pub(crate) fn domain() -> TrustDomain {
    TrustDomain::new("cluster.local").unwrap()
}

pub(crate) fn id(account: &str) -> SpiffeId {
    SpiffeId::new(&domain(), "default", account).unwrap()
}

pub(crate) fn authority() -> Authority {
    Authority::create(&domain(), SystemTime::now()).unwrap()
}

/// Roots of all of these.
pub(crate) fn roots(authorities: &[&Authority]) -> String {
    authorities
        .iter()
        .map(|authority| authority.bundle().unwrap().to_pem())
        .collect()
}

/// A certificate from then on; a life of 0 is the authority's longest.
pub(crate) fn svid(authority: &Authority, account: &str, then: SystemTime, life: Duration) -> Svid {
    let id = id(account);
    let request = SvidRequest::new(&id).unwrap();
    let issued = authority.sign(request.csr_pem(), &id, then, life).unwrap();
    request.into_svid(&issued.pem_blocks().concat()).unwrap()
}

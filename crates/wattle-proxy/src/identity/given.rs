//! A certificate that somebody beside the control plane gave, and whom he says to believe.

use wattle_identity::{BundleSet, RevocationLists, Svid, TrustBundle};

/// What was given at one time; it is taken as a whole or not at all.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) svid: Svid,
    pub(super) roots: GivenRoots,
}

/// Whom to believe besides those that the control plane names.
#[derive(Clone, Debug)]
pub(super) struct GivenRoots {
    /// Of the own trust domain.
    pub(super) own: TrustBundle,
    pub(super) federated: Vec<TrustBundle>,
    pub(super) revoked: RevocationLists,
}

impl GivenRoots {
    /// Those under which the given certificate itself must be valid.
    pub(super) fn own_set(&self) -> BundleSet {
        BundleSet::only(self.own.clone()).with_revoked(self.revoked.clone())
    }
}

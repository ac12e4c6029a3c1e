//! What a succession consists of, and what it is given to see.

use std::{collections::BTreeSet, sync::Arc, time::SystemTime};

use crate::{authority::Authority, authority_error::AuthorityError, instant::system_time};

/// What is to be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaced {
    /// The certificate that signs workloads; the root stays.
    Issuer,
    /// The root, and the issuer with it.
    Root,
}

/// Why nothing is replaced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RotationError {
    /// One at a time.
    #[error("a rotation is under way already")]
    UnderWay,
    /// The issuer comes from files.
    #[error("the root's key is not here: issuer and root come from files, put new ones in their place")]
    Plugged,
    /// Nothing to repair.
    #[error("the authority is valid until {0}: it needs no repair, replace it with a rotation")]
    Valid(String),
    /// The new one could not be made.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
}

/// An authority that is not yet, or not any more, the one that signs.
#[derive(Clone, Debug)]
pub struct Phase {
    pub(super) authority: Arc<Authority>,
    pub(super) since_secs: u64,
    pub(super) skips_absent: bool,
}

impl Phase {
    /// The authority.
    pub fn authority(&self) -> &Arc<Authority> {
        &self.authority
    }

    /// When it began.
    pub fn since(&self) -> SystemTime {
        system_time(self.since_secs)
    }

    /// Whether workloads that are not connected are not waited for.
    pub fn skips_absent(&self) -> bool {
        self.skips_absent
    }

    /// When it ends at the latest: what was signed before it began has ended by then.
    pub fn until(&self) -> SystemTime {
        system_time(self.since_secs) + self.authority.lifetimes().workload
    }
}

/// What the world looks like, as far as a succession waits for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Holders of live certificates who have not acknowledged the newest bundle.
    pub unaware: usize,
    /// Those among them who are connected.
    pub unaware_connected: usize,
    /// Who signed the newest certificate of each holder, as [`Authority::issuer_id`].
    pub live_issuers: BTreeSet<String>,
    /// The same of those who are connected.
    pub connected_issuers: BTreeSet<String>,
    /// There may be holders who are not known.
    pub incomplete: bool,
}

/// Where a succession stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// One authority, and nobody has a certificate of another.
    Steady,
    /// The next root is being made known.
    Spreading,
    /// Certificates of an earlier issuer are in use.
    Renewing,
}

impl Stage {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Steady => "steady",
            Self::Spreading => "spreading",
            Self::Renewing => "renewing",
        }
    }
}

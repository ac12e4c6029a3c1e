//! How long what the authority makes is valid.

use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Longest life of a workload's certificate, and the one given to who asks for nought.
pub const MAX_TTL: Duration = DAY;
/// How far a peer's clock may be behind.
const BACKDATE: Duration = Duration::from_secs(60);
/// A certificate starts at most this part of its life in the past.
const BACKDATE_PART: u32 = 20;

/// Lives of root, issuer and workload certificates that are made from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// The root's, default 10 years.
    pub root: Duration,
    /// The issuer's, default 1 year, never beyond its root's end.
    pub issuer: Duration,
    /// A workload's, default and at most [`MAX_TTL`], never beyond its issuer's end.
    pub workload: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            root: 3650 * DAY,
            issuer: 365 * DAY,
            workload: MAX_TTL,
        }
    }
}

impl Lifetimes {
    /// The same with the bound of a workload's certificate kept.
    pub(crate) fn bounded(self) -> Self {
        Self {
            workload: self.workload.min(MAX_TTL),
            ..self
        }
    }
}

/// How long before now a certificate of this length begins, for peers whose clock is behind: a minute, less of a short life.
pub(crate) fn backdate(length: Duration) -> Duration {
    BACKDATE.min(length / BACKDATE_PART)
}

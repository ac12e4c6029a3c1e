//! Limits on the requests that a workload takes (Linkerd `HTTPLocalRateLimitPolicy`, our `RateLimit`).

use std::sync::Arc;
use std::time::Duration;

use crate::{ObjectRef, PeerFacts, RequestFacts, RequestMatch, TextMatch};

/// One limit; a request must pass all that apply to it.
#[derive(Clone, Debug, PartialEq)]
pub struct RateLimit {
    /// Where it was written.
    pub origin: ObjectRef,
    /// Ports of the workload it is about; empty for all.
    pub ports: Vec<u16>,
    /// Requests it is about, any of them; empty for all.
    pub matches: Vec<RequestMatch>,
    /// Principals it is about, any of them; empty for all callers, with or without identity.
    pub clients: Vec<TextMatch>,
    /// Principals it is not about.
    pub except: Vec<TextMatch>,
    /// How much is allowed.
    pub allowance: Allowance,
}

/// How much is allowed.
#[derive(Clone, Debug, PartialEq)]
pub enum Allowance {
    /// Counted by this proxy alone.
    Local {
        /// Requests in [`per`](Self::Local::per), at least 1.
        requests: u32,
        /// The time.
        per: Duration,
        /// Requests that may come at once, at least 1.
        burst: u32,
        /// Counted for each caller's identity by itself; callers without one share a count.
        by_identity: bool,
    },
    /// Counted by a service (Envoy `RateLimitService`).
    Global(Box<GlobalLimit>),
}

/// A limit that a service counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlobalLimit {
    /// `host:port` or `ip:port` of the service.
    pub service: Arc<str>,
    /// Domain asked about.
    pub domain: Arc<str>,
    /// Entries of the descriptor; a request that lacks one is not asked about.
    pub entries: Vec<(Arc<str>, DescriptorValue)>,
    /// Time for the answer; default 100 ms, at most 10 s.
    pub timeout: Duration,
    /// Requests go on when the service does not answer; the default is to refuse them.
    pub allow_on_failure: bool,
}

/// Where a descriptor entry's value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DescriptorValue {
    /// This text.
    Fixed(Arc<str>),
    /// A header's value.
    Header(http::HeaderName),
    /// The caller's principal.
    Principal,
    /// The path.
    Path,
    /// The method.
    Method,
}

impl RateLimit {
    /// Does it apply to this request?
    pub fn applies(&self, port: u16, peer: Option<&PeerFacts<'_>>, request: &RequestFacts<'_>) -> bool {
        let named = |wanted: &TextMatch| peer.is_some_and(|peer| wanted.matches(peer.principal));
        (self.ports.is_empty() || self.ports.contains(&port))
            && (self.clients.is_empty() || self.clients.iter().any(named))
            && !self.except.iter().any(named)
            && (self.matches.is_empty() || self.matches.iter().any(|wanted| wanted.matches(request)))
    }
}

impl DescriptorValue {
    /// The value for this request; `None` when it lacks it.
    pub fn of(&self, peer: Option<&PeerFacts<'_>>, request: &RequestFacts<'_>) -> Option<String> {
        match self {
            Self::Fixed(text) => Some(text.to_string()),
            Self::Header(name) => {
                crate::compare::joined_header(request.headers, name).map(|value| value.into_owned())
            }
            Self::Principal => peer.map(|peer| peer.principal.to_owned()),
            Self::Path => Some(request.path.to_owned()),
            Self::Method => Some(request.method.to_owned()),
        }
    }
}

//! HTTP routes of a destination, in order of precedence.

use std::sync::Arc;
use std::time::Duration;

use crate::{
    DirectResponse, Filters, Reason, Redirect, RequestFacts, RequestMatch, RetryPolicy, RuleRef,
    SessionPersistence, Step, Trace, Verdict,
};

mod index;

use index::RouteIndex;

/// The routes of one destination, in order: the first whose match holds is taken.
#[derive(Clone, Debug, Default)]
pub struct RouteTable {
    rules: Vec<RouteRule>,
    /// Of a table that is too long to be looked through.
    index: Option<RouteIndex>,
}

impl PartialEq for RouteTable {
    fn eq(&self, other: &Self) -> bool {
        self.rules == other.rules
    }
}

/// One match of one rule, with what the rule does.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteRule {
    /// Where it was written.
    pub origin: RuleRef,
    /// When it applies.
    pub matches: RequestMatch,
    /// What it changes.
    pub filters: Arc<Filters>,
    /// What happens to the request.
    pub action: Arc<Action>,
    /// Time limits.
    pub timeouts: Timeouts,
    /// What is sent again; `None` is what nobody has acted on, and nothing else.
    pub retry: Option<Arc<RetryPolicy>>,
    /// Sessions that stay with one endpoint.
    pub session: Option<Arc<SessionPersistence>>,
}

/// What a rule does with a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Forward to one of these by weight; none with weight above 0 gives 500.
    Forward(Vec<WeightedBackend>),
    /// Answer with a redirect.
    Redirect(Redirect),
    /// Answer with a fixed response.
    Respond(DirectResponse),
    /// Refuse.
    Refuse(Reason),
}

/// A share of a rule's traffic.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightedBackend {
    /// Index into [`Destination::backends`](crate::Destination::backends); `None` when the reference could not be resolved (its share gets 500).
    pub backend: Option<u32>,
    /// What was written, for messages (`reviews-v2:9080`).
    pub written: Box<str>,
    /// Share = weight / sum of weights; 0 gets nothing.
    pub weight: u32,
    /// Filters of this backend only, applied after the rule's.
    pub filters: Option<Arc<Filters>>,
}

/// Time limits of a route; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// Whole exchange, from the request's head to the response's end.
    pub request: Option<Duration>,
    /// One try at a backend.
    pub backend_request: Option<Duration>,
    /// From the end of the request to the head of the response (Linkerd `timeout.linkerd.io/response`).
    pub response: Option<Duration>,
    /// Without a byte in either direction (Linkerd `timeout.linkerd.io/idle`).
    pub idle: Option<Duration>,
}

impl RouteTable {
    /// Up to so many rules looking at each is cheaper than finding the few to look at.
    pub const LINEAR: usize = 8;

    /// A table of rules that are in order of precedence already.
    pub fn new(rules: Vec<RouteRule>) -> Self {
        let index = (rules.len() > Self::LINEAR).then(|| RouteIndex::new(&rules));
        Self { rules, index }
    }

    /// The rules in order.
    pub fn rules(&self) -> &[RouteRule] {
        &self.rules
    }

    /// True when there is none.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The first rule that matches. A listening trace is told of every rule before it; otherwise only those are looked
    /// at that can match by host and path.
    pub fn first_match<'a>(
        &'a self,
        request: &RequestFacts<'_>,
        trace: &mut impl Trace,
    ) -> Option<&'a RouteRule> {
        match &self.index {
            Some(index) if !trace.listens() => index.first_match(&self.rules, request),
            _ => self.rules.iter().find(|rule| rule.tried(request, trace)),
        }
    }
}

impl RouteRule {
    fn tried(&self, request: &RequestFacts<'_>, trace: &mut impl Trace) -> bool {
        let mismatch = self.matches.mismatch(request);
        trace.note(|| match &mismatch {
            None => Step::new(
                self.origin.to_string(),
                Verdict::Matched,
                self.matches.to_string(),
            ),
            Some(mismatch) => Step::new(
                self.origin.to_string(),
                Verdict::Skipped,
                mismatch.explain(request),
            ),
        });
        mismatch.is_none()
    }
}

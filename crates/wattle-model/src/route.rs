//! HTTP routes of a destination, in order of precedence.

use std::sync::Arc;
use std::time::Duration;

use crate::{Filters, Redirect, RequestFacts, RequestMatch, RuleRef, Step, Trace, Verdict};

/// The routes of one destination.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RouteTable {
    /// In order of precedence: the first whose match holds is taken (Gateway API `HTTPRouteRule` precedence).
    pub rules: Vec<RouteRule>,
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
}

/// What a rule does with a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Forward to one of these by weight; none with weight above 0 gives 500.
    Forward(Vec<WeightedBackend>),
    /// Answer with a redirect.
    Redirect(Redirect),
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
}

impl RouteTable {
    /// A table of rules that are in order of precedence already.
    pub fn new(rules: Vec<RouteRule>) -> Self {
        Self { rules }
    }

    /// The first rule that matches.
    pub fn first_match<'a>(
        &'a self,
        request: &RequestFacts<'_>,
        trace: &mut impl Trace,
    ) -> Option<&'a RouteRule> {
        self.rules.iter().find(|rule| {
            let mismatch = rule.matches.mismatch(request);
            trace.note(|| match &mismatch {
                None => Step::new(
                    rule.origin.to_string(),
                    Verdict::Matched,
                    rule.matches.to_string(),
                ),
                Some(mismatch) => Step::new(
                    rule.origin.to_string(),
                    Verdict::Skipped,
                    mismatch.explain(request),
                ),
            });
            mismatch.is_none()
        })
    }
}

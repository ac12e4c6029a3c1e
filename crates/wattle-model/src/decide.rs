//! Where a request goes: the decision of an outbound proxy.

use std::borrow::Cow;
use std::time::Duration;

use crate::chance::{Draw, drawn, scale};
use crate::{
    Abort, Action, Backend, ConnectionRoute, CorsReply, CorsVerdict, Destination, DirectResponse, Filters,
    Mirror, Reason, Redirect, RequestFacts, RouteRule, Step, Trace, Verdict, WeightedBackend,
};

/// What happens to a request, and because of which rule.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteDecision<'a> {
    /// The rule that matched; `None` when the destination has no rules or none matched.
    pub rule: Option<&'a RouteRule>,
    /// What happens.
    pub outcome: Outcome<'a>,
    /// It waits so long before that (an injected fault).
    pub delay: Option<Duration>,
    /// The response gets these headers besides, after the filters of the response (CORS).
    pub cors: CorsReply,
}

/// What happens to a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome<'a> {
    /// It goes to this backend.
    Forward {
        /// The backend.
        backend: &'a Backend,
        /// Its index in [`Destination::backends`].
        index: u32,
        /// Filters of this backend only, to be applied after the rule's.
        filters: Option<&'a Filters>,
    },
    /// It is answered with a redirect.
    Redirect {
        /// 301, 302, 303, 307 or 308.
        status: u16,
        /// Value of header `location`.
        location: String,
    },
    /// It is answered with what the rule says.
    Respond(&'a DirectResponse),
    /// It is a CORS preflight, answered with these headers.
    Preflight(CorsReply),
    /// It is answered with an injected fault.
    Abort(Abort),
    /// It is answered with a refusal.
    Refuse(Reason),
}

/// One backend's part of what a rule forwards, for explanations.
#[derive(Clone, Debug, PartialEq)]
pub struct Share<'a> {
    /// The backend; `None` when the reference could not be resolved and its part is refused.
    pub backend: Option<&'a Backend>,
    /// What was written.
    pub written: Cow<'a, str>,
    /// Weight as written.
    pub weight: u32,
    /// Part of the requests, 0 to 100.
    pub percent: f64,
}

impl<'a> RouteDecision<'a> {
    fn of(rule: Option<&'a RouteRule>, outcome: Outcome<'a>) -> Self {
        Self {
            rule,
            outcome,
            delay: None,
            cors: CorsReply::new(),
        }
    }

    /// The mirrors that get a copy of a request that is forwarded: the rule's, then those of the chosen backend.
    /// `random` is the number that the decision was made with.
    pub fn mirrors(&self, random: u64) -> impl Iterator<Item = &'a Mirror> + use<'a> {
        let backend = match self.outcome {
            Outcome::Forward { filters, .. } => filters,
            _ => None,
        };
        let rule = self.rule.map(|rule| &*rule.filters).filter(|_| self.is_forward());
        let all = rule
            .into_iter()
            .chain(backend)
            .flat_map(|filters| &filters.mirrors);
        (0u64..)
            .zip(all)
            .filter(move |(index, mirror)| mirror.chance.happens(drawn(random, Draw::Mirror, *index)))
            .map(|(_, mirror)| mirror)
    }

    fn is_forward(&self) -> bool {
        matches!(self.outcome, Outcome::Forward { .. })
    }
}

impl Destination {
    /// Decides about one request. `random` is uniform over all of `u64` and picks among weighted backends.
    ///
    /// Without rules everything goes to the default backend; with rules, what matches none is refused.
    pub fn route<'a>(
        &'a self,
        request: &RequestFacts<'_>,
        random: u64,
        trace: &mut impl Trace,
    ) -> RouteDecision<'a> {
        if self.routes.is_empty() {
            let outcome = self.default_outcome();
            trace.note(|| {
                Step::new(
                    format!("destination {}", self.name),
                    Verdict::Matched,
                    "it has no routes",
                )
            });
            return RouteDecision::of(None, outcome);
        }
        match self.routes.first_match(request, trace) {
            Some(rule) => self.follow(rule, request, random),
            None => {
                trace.note(|| {
                    let detail = format!("none of {} rules matches", self.routes.rules().len());
                    Step::new(format!("destination {}", self.name), Verdict::Refused, detail)
                });
                RouteDecision::of(None, Outcome::Refuse(Reason::NoRoute))
            }
        }
    }

    /// What a rule does with a request that it matches: permission of other origins, then faults, then its action.
    fn follow<'a>(
        &'a self,
        rule: &'a RouteRule,
        request: &RequestFacts<'_>,
        random: u64,
    ) -> RouteDecision<'a> {
        let cors = match rule.filters.cors.as_ref().map(|cors| cors.decide(request)) {
            None | Some(CorsVerdict::Pass) => CorsReply::new(),
            Some(CorsVerdict::Allow(reply)) => reply,
            Some(CorsVerdict::Preflight(reply)) => {
                return RouteDecision::of(Some(rule), Outcome::Preflight(reply));
            }
        };
        let (delay, abort) = rule
            .filters
            .fault
            .map_or((None, None), |fault| fault.strikes(random));
        let outcome = match (abort, &*rule.action) {
            (Some(abort), _) => Outcome::Abort(abort),
            (None, Action::Forward(backends)) => self.forward(backends, random),
            (None, Action::Redirect(redirect)) => self.redirect(rule, redirect, request),
            (None, Action::Respond(response)) => Outcome::Respond(response),
            (None, Action::Refuse(reason)) => Outcome::Refuse(*reason),
        };
        RouteDecision {
            rule: Some(rule),
            outcome,
            delay,
            cors,
        }
    }

    /// The backend of opaque connections, and of requests when there are no rules.
    pub fn default_backend(&self) -> Option<(u32, &Backend)> {
        let index = self.default_backend?;
        Some((index, self.backend(index)?))
    }

    /// The backend at `index`.
    pub fn backend(&self, index: u32) -> Option<&Backend> {
        self.backends.get(usize::try_from(index).ok()?)
    }

    /// The port that was dialled: the service's, else the one in the destination's name; 80 when neither says.
    pub fn port(&self) -> u16 {
        let named = || self.name.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        self.service
            .as_ref()
            .map(|service| service.port)
            .or_else(named)
            .unwrap_or(80)
    }

    /// All backends of `rule` with their parts; `None` is the rule of a destination without rules.
    pub fn shares<'a>(&'a self, rule: Option<&'a RouteRule>) -> Vec<Share<'a>> {
        match rule.map(|rule| &*rule.action) {
            None => self.whole(),
            Some(Action::Forward(backends)) => self.parts(backends),
            Some(_) => Vec::new(),
        }
    }

    /// The same for opaque connections: `None` is the route of a destination that has none.
    pub fn connection_shares<'a>(&'a self, route: Option<&'a ConnectionRoute>) -> Vec<Share<'a>> {
        match route {
            None => self.whole(),
            Some(route) => self.parts(&route.backends),
        }
    }

    /// The default backend as the only one.
    fn whole<'a>(&'a self) -> Vec<Share<'a>> {
        let share = |(_, backend): (u32, &'a Backend)| Share {
            backend: Some(backend),
            written: Cow::Borrowed(&*backend.id),
            weight: 1,
            percent: 100.0,
        };
        self.default_backend().map(share).into_iter().collect()
    }

    fn parts<'a>(&'a self, backends: &'a [WeightedBackend]) -> Vec<Share<'a>> {
        let total = total_weight(backends);
        let percent = |weight: u32| {
            if total == 0 {
                0.0
            } else {
                f64::from(weight) * 100.0 / total as f64
            }
        };
        let share = |weighted: &'a WeightedBackend| Share {
            backend: weighted.backend.and_then(|index| self.backend(index)),
            written: Cow::Borrowed(&*weighted.written),
            weight: weighted.weight,
            percent: percent(weighted.weight),
        };
        backends.iter().map(share).collect()
    }

    fn default_outcome(&self) -> Outcome<'_> {
        match self.default_backend() {
            Some((index, backend)) => Outcome::Forward {
                backend,
                index,
                filters: None,
            },
            None => Outcome::Refuse(Reason::NoBackend),
        }
    }

    fn forward<'a>(&'a self, backends: &'a [WeightedBackend], random: u64) -> Outcome<'a> {
        match self.weighted(backends, drawn(random, Draw::Backend, 0)) {
            Some((chosen, index, backend)) => Outcome::Forward {
                backend,
                index,
                filters: chosen.filters.as_deref(),
            },
            None => Outcome::Refuse(Reason::NoBackend),
        }
    }

    /// The backend whose part of the weights `random` falls into; `None` when no weight is above 0 or the reference
    /// could not be resolved.
    pub(crate) fn weighted<'a>(
        &'a self,
        backends: &'a [WeightedBackend],
        random: u64,
    ) -> Option<(&'a WeightedBackend, u32, &'a Backend)> {
        let chosen = choose(backends, random)?;
        let index = chosen.backend?;
        Some((chosen, index, self.backend(index)?))
    }

    fn redirect<'a>(&self, rule: &RouteRule, redirect: &Redirect, request: &RequestFacts<'_>) -> Outcome<'a> {
        let location = redirect.location(request, self.port(), rule.matches.path.as_ref());
        Outcome::Redirect {
            status: redirect.status,
            location,
        }
    }
}

fn total_weight(backends: &[WeightedBackend]) -> u64 {
    backends.iter().map(|backend| u64::from(backend.weight)).sum()
}

/// The backend whose part of the weights `random` falls into; `None` when no weight is above 0.
fn choose(backends: &[WeightedBackend], random: u64) -> Option<&WeightedBackend> {
    let total = total_weight(backends);
    let mut point = scale(random, total);
    backends
        .iter()
        .find(|backend| match point.checked_sub(u64::from(backend.weight)) {
            Some(rest) => {
                point = rest;
                false
            }
            None => true,
        })
}

#[cfg(test)]
mod tests;

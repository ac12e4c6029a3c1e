//! Routes of calls. The method is always POST, and the host is the one that was asked for.

use envoy_types::pb::envoy::config::route::v3 as xds;
use wattle_model::{
    Action, Filters, HeaderModifier, PathMatch, RequestMatch, RetryPolicy, RouteRule, SessionCarrier,
    Timeouts, WeightedBackend, host_of,
};
use xds::route_action::{ClusterSpecifier, MaxStreamDuration};
use xds::route_match::PathSpecifier;

use crate::notes::Notes;
use crate::proto::{duration, number};
use crate::route::{Facing, Host, Made, configuration, features, hashed_by_header, retry, route_match};
use crate::text::{escaped, regex};

/// The method of every call.
const POST: &str = "POST";
/// gRPC's words for the statuses it repeats by, each by its number.
const REPEATED: u32 = 1 << 1 | 1 << 4 | 1 << 8 | 1 << 13 | 1 << 14;

/// Every call fails.
pub(super) fn refused(name: &str) -> Vec<u8> {
    written(name, vec![unavailable(any_call())])
}

impl Facing<'_, '_> {
    pub(super) fn grpc_routes(&mut self) -> Vec<u8> {
        let destination = self.destination;
        if destination.routes.is_empty() {
            let default = destination.default_backend;
            let share = default.and_then(|index| self.share(index, None));
            let route = match share {
                Some(share) => forwarded(any_call(), share.to_one(xds::RouteAction::default())),
                None => unavailable(any_call()),
            };
            return written(&destination.name, vec![route]);
        }
        let host = host_of(&destination.name);
        let mut routes = Vec::new();
        for rule in destination.routes.rules() {
            let wanted = &rule.matches;
            let here = wanted.hosts.is_empty() || wanted.hosts.iter().any(|wanted| wanted.matches(host));
            let ours = wanted
                .caller_labels
                .iter()
                .all(|label| self.labels.contains(label));
            let posted = wanted.method.as_ref().is_none_or(|method| method.matches(POST));
            if here && ours && posted {
                routes.extend(self.call(rule));
            }
        }
        written(&destination.name, routes)
    }

    fn call(&mut self, rule: &RouteRule) -> Option<Made> {
        self.notes.at(Some(&rule.origin.object), &self.destination.name);
        let matched = matched(&rule.matches, self.notes)?;
        let mut made = match &*rule.action {
            Action::Forward(backends) => match self.calls(rule, backends) {
                Some(action) => forwarded(matched, action),
                None => unavailable(matched),
            },
            Action::Refuse(_) => unavailable(matched),
            Action::Redirect(_) | Action::Respond(_) => {
                self.notes
                    .gap("gRPC answers no call by itself: calls that match fail with UNAVAILABLE");
                unavailable(matched)
            }
        };
        note_filters(&rule.filters, self.notes);
        if let Some(fault) = &rule.filters.fault {
            made.tell(features::FAULT, &features::faulty(fault));
        }
        match &rule.session {
            Some(session) if matches!(session.carrier, SessionCarrier::Cookie { .. }) => {
                made.tell(features::SESSION, &features::persistent(session, self.notes));
            }
            Some(_) => self
                .notes
                .gap("gRPC keeps sessions by cookie alone: this one is not kept"),
            None => {}
        }
        Some(made)
    }

    fn calls(&mut self, rule: &RouteRule, backends: &[WeightedBackend]) -> Option<xds::RouteAction> {
        let shares = self.shares(backends);
        let first = shares.first()?;
        for filters in backends.iter().filter_map(|backend| backend.filters.as_deref()) {
            note_filters(filters, self.notes);
        }
        let keys = shares.iter().filter_map(|share| share.hash.as_ref());
        if keys.into_iter().any(|key| !hashed_by_header(key))
            || shares.iter().any(|share| share.hash != first.hash)
        {
            self.notes
                .gap("gRPC hashes headers alone, the same for all backends of a rule: calls go by chance");
        }
        let timed = timed(&rule.timeouts, rule.retry.as_deref(), self.notes);
        if let [only] = &shares[..] {
            return (!only.is_unresolved()).then(|| only.to_one(timed));
        }
        let clusters = shares.iter().map(|share| xds::weighted_cluster::ClusterWeight {
            name: share.cluster.clone(),
            weight: number(share.weight),
            ..Default::default()
        });
        let clusters = clusters.collect();
        Some(xds::RouteAction {
            cluster_specifier: Some(ClusterSpecifier::WeightedClusters(xds::WeightedCluster {
                clusters,
                ..Default::default()
            })),
            ..first.to_one(timed)
        })
    }
}

fn timed(timeouts: &Timeouts, retry: Option<&RetryPolicy>, notes: &mut Notes) -> xds::RouteAction {
    if timeouts.backend_request.is_some() || timeouts.response.is_some() || timeouts.idle.is_some() {
        notes.gap(
            "gRPC limits whole calls alone: limits of one try, of the response and of silence are not kept",
        );
    }
    xds::RouteAction {
        max_stream_duration: timeouts.request.map(|limit| MaxStreamDuration {
            max_stream_duration: Some(duration(limit)),
            ..Default::default()
        }),
        retry_policy: retry.and_then(|policy| repeated(policy, notes)),
        ..Default::default()
    }
}

fn repeated(policy: &RetryPolicy, notes: &mut Notes) -> Option<xds::RetryPolicy> {
    let on = &policy.on;
    let other =
        on.grpc & !REPEATED != 0 || !on.statuses.is_empty() || on.conditions.reset || on.conditions.timeout;
    if other || policy.hedge_after.is_some() {
        notes.gap(
            "gRPC repeats calls by five of its statuses alone, one after the other: all else is not repeated",
        );
    }
    let words = retry::words(on.grpc & REPEATED);
    (policy.attempts > 0 && !words.is_empty()).then(|| xds::RetryPolicy {
        retry_on: words.join(","),
        num_retries: number(policy.attempts),
        retry_back_off: Some(retry::backoff(policy)),
        ..Default::default()
    })
}

fn note_filters(filters: &Filters, notes: &mut Notes) {
    let none = HeaderModifier::default();
    if filters.request_headers != none || filters.response_headers != none {
        notes.gap("gRPC changes no headers: they stay as they are");
    }
    if !filters.rewrite.is_empty() {
        notes.gap("gRPC rewrites no calls: host and path stay as they are");
    }
    if !filters.mirrors.is_empty() {
        notes.gap("gRPC mirrors no calls: no copy is sent");
    }
}

/// What gRPC knows of a match; `None` leaves the rule out.
fn matched(wanted: &RequestMatch, notes: &mut Notes) -> Option<xds::RouteMatch> {
    if !wanted.query.is_empty() || wanted.scheme.is_some() || wanted.authority.is_some() {
        notes
            .gap("calls have no query, and gRPC compares neither scheme nor authority: the rule is left out");
        return None;
    }
    let told = RequestMatch {
        method: None,
        ..wanted.clone()
    };
    let mut matched = route_match(&told, notes)?;
    if let Some(PathMatch::Prefix(_)) = &wanted.path
        && let Some(PathSpecifier::PathSeparatedPrefix(prefix)) = &matched.path_specifier
    {
        let below = regex(format!("{}(?:/.*)?", escaped(prefix)));
        matched.path_specifier = Some(PathSpecifier::SafeRegex(below));
    }
    Some(matched)
}

fn any_call() -> xds::RouteMatch {
    xds::RouteMatch {
        path_specifier: Some(PathSpecifier::Prefix(String::new())),
        ..Default::default()
    }
}

fn forwarded(matched: xds::RouteMatch, action: xds::RouteAction) -> Made {
    Made::new(xds::Route {
        r#match: Some(matched),
        action: Some(xds::route::Action::Route(action)),
        ..Default::default()
    })
}

/// gRPC fails calls whose route does not forward.
fn unavailable(matched: xds::RouteMatch) -> Made {
    Made::new(xds::Route {
        r#match: Some(matched),
        action: Some(xds::route::Action::NonForwardingAction(
            xds::NonForwardingAction {},
        )),
        ..Default::default()
    })
}

fn written(name: &str, routes: Vec<Made>) -> Vec<u8> {
    let head = xds::RouteConfiguration {
        name: name.to_owned(),
        ..Default::default()
    };
    let host = Host {
        domain: "*".to_owned(),
        routes,
    };
    configuration(head, vec![host])
}

//! Forwarding by weight. Where one backend has changes that Envoy knows for whole routes only, each backend becomes a
//! route of its own, for its part of the requests.

use envoy_types::pb::envoy::config::route::v3 as xds;
use wattle_model::traffic::{Balance, HashKey};
use wattle_model::{
    Chance, Filters, HeaderModifier, Mirror, PathMatch, Reason, RouteRule, Timeouts, WeightedBackend,
};
use xds::route_action::{self, ClusterNotFoundResponseCode, ClusterSpecifier, HostRewriteSpecifier};

use super::filters::Changes;
use super::hash::hashed;
use super::rewrite::{self, Change};
use super::{Facing, Made, refusal, retry};
use crate::cluster::UNRESOLVED;
use crate::proto::{duration, limit, number, runtime_fraction, unlimited};

/// A share of a rule's traffic that is above 0.
pub(crate) struct Share<'r> {
    pub(crate) cluster: String,
    pub(crate) weight: u32,
    filters: Option<&'r Filters>,
    pub(crate) hash: Option<HashKey>,
}

impl Share<'_> {
    /// Does it change what Envoy changes by route alone?
    fn is_own_route(&self) -> bool {
        self.filters
            .is_some_and(|filters| filters.rewrite.path.is_some() || !filters.mirrors.is_empty())
    }

    /// Could its reference not be resolved?
    pub(crate) fn is_unresolved(&self) -> bool {
        self.cluster == UNRESOLVED
    }

    /// An action to this backend alone.
    pub(crate) fn to_one(&self, timed: xds::RouteAction) -> xds::RouteAction {
        xds::RouteAction {
            cluster_specifier: Some(ClusterSpecifier::Cluster(self.cluster.clone())),
            hash_policy: hashed(self.hash.as_ref()),
            ..timed
        }
    }
}

impl Facing<'_, '_> {
    /// The backend at `index` as the only one.
    pub(crate) fn share<'r>(&mut self, index: u32, filters: Option<&'r Filters>) -> Option<Share<'r>> {
        let backend = self.destination.backend(index)?;
        let hash = match &backend.policy.balance {
            Balance::Hash { key, .. } => Some(key.clone()),
            _ => None,
        };
        Some(Share {
            cluster: self.clusters.name(self.destination, index, self.wire)?,
            weight: 1,
            filters,
            hash,
        })
    }

    pub(super) fn unruled_forward(&mut self, matched: xds::RouteMatch, share: &Share<'_>) -> Made {
        let action = xds::RouteAction {
            retry_policy: Some(retry::unasked(&Timeouts::default())),
            ..share.to_one(timed(&Timeouts::default()))
        };
        Made::new(xds::Route {
            r#match: Some(matched),
            action: Some(xds::route::Action::Route(action)),
            ..Default::default()
        })
    }

    /// The routes of a rule that forwards.
    pub(super) fn forward(
        &mut self,
        rule: &RouteRule,
        backends: &[WeightedBackend],
        matched: xds::RouteMatch,
    ) -> Vec<Made> {
        let shares = self.shares(backends);
        let (Some(first), plans) = (shares.first(), retry::plans(rule, self.notes)) else {
            return vec![unusable(rule, matched)];
        };
        let apart = shares
            .iter()
            .any(|share| share.is_own_route() || share.hash != first.hash);
        let mut made = Vec::new();
        for plan in plans {
            let mut matched = matched.clone();
            matched.headers.extend(plan.besides);
            let timed = xds::RouteAction {
                retry_policy: Some(plan.policy),
                hedge_policy: plan.hedge,
                ..timed(&rule.timeouts)
            };
            match &shares[..] {
                [only] => made.push(self.one(rule, only, matched, timed)),
                all if apart => made.extend(self.apart(rule, all, matched, timed)),
                all => made.push(self.together(rule, all, matched, timed)),
            }
        }
        made
    }

    pub(crate) fn shares<'r>(&mut self, backends: &'r [WeightedBackend]) -> Vec<Share<'r>> {
        let weights = scaled(backends);
        let some = backends.iter().zip(weights).filter(|(_, weight)| *weight > 0);
        some.map(|(backend, weight)| {
            let resolved = backend
                .backend
                .and_then(|index| self.share(index, backend.filters.as_deref()));
            let unresolved = || Share {
                cluster: UNRESOLVED.to_owned(),
                weight,
                filters: None,
                hash: None,
            };
            Share {
                weight,
                ..resolved.unwrap_or_else(unresolved)
            }
        })
        .collect()
    }

    /// A route to one backend.
    fn one(
        &mut self,
        rule: &RouteRule,
        share: &Share<'_>,
        matched: xds::RouteMatch,
        timed: xds::RouteAction,
    ) -> Made {
        if share.is_unresolved() {
            return unusable(rule, matched);
        }
        let filters = share.filters;
        let mut action = share.to_one(timed);
        action.host_rewrite_specifier = host(rule, filters).map(HostRewriteSpecifier::HostRewriteLiteral);
        let own = filters.and_then(|filters| filters.rewrite.path.as_ref());
        if own.is_some() && rule.filters.rewrite.path.is_some() {
            self.notes
                .gap("a rewrite of the path by the rule and one by its backend: the backend's alone is done");
        }
        if let Some(path) = own.or(rule.filters.rewrite.path.as_ref()) {
            self.rewrite(&mut action, path, rule.matches.path.as_ref());
        }
        let mirrors = rule.filters.mirrors.iter();
        let own = filters.map_or(&[][..], |filters| &filters.mirrors);
        action.request_mirror_policies = mirrors
            .chain(own)
            .filter_map(|mirror| self.mirror(mirror))
            .collect();
        let (request, response) = self.changes(rule, filters);
        Made::new(xds::Route {
            r#match: Some(matched),
            request_headers_to_add: request.add,
            request_headers_to_remove: request.remove,
            response_headers_to_add: response.add,
            response_headers_to_remove: response.remove,
            action: Some(xds::route::Action::Route(action)),
            ..Default::default()
        })
    }

    /// One route for each backend, the first for its part, the next for its part and that of those before, the last for
    /// all: Envoy draws one number for them together.
    fn apart(
        &mut self,
        rule: &RouteRule,
        shares: &[Share<'_>],
        matched: xds::RouteMatch,
        timed: xds::RouteAction,
    ) -> Vec<Made> {
        let total: u32 = shares.iter().map(|share| share.weight).sum();
        let mut until = 0;
        let part = |share: &Share<'_>| {
            until += share.weight;
            let mut matched = matched.clone();
            if until < total {
                matched.runtime_fraction = runtime_fraction(Chance::of(until, total));
            }
            self.one(rule, share, matched, timed.clone())
        };
        shares.iter().map(part).collect()
    }

    /// One route for all backends, by weight.
    fn together(
        &mut self,
        rule: &RouteRule,
        shares: &[Share<'_>],
        matched: xds::RouteMatch,
        timed: xds::RouteAction,
    ) -> Made {
        let weight = |share: &Share<'_>| {
            let (request, response) = self.changes(rule, share.filters);
            let host = host(rule, share.filters);
            xds::weighted_cluster::ClusterWeight {
                name: share.cluster.clone(),
                weight: number(share.weight),
                request_headers_to_add: request.add,
                request_headers_to_remove: request.remove,
                response_headers_to_add: response.add,
                response_headers_to_remove: response.remove,
                host_rewrite_specifier: host
                    .map(xds::weighted_cluster::cluster_weight::HostRewriteSpecifier::HostRewriteLiteral),
                ..Default::default()
            }
        };
        let weighted = xds::WeightedCluster {
            clusters: shares.iter().map(weight).collect(),
            ..Default::default()
        };
        let mut action = xds::RouteAction {
            cluster_specifier: Some(ClusterSpecifier::WeightedClusters(weighted)),
            hash_policy: hashed(shares.first().and_then(|share| share.hash.as_ref())),
            ..timed
        };
        if let Some(path) = &rule.filters.rewrite.path {
            self.rewrite(&mut action, path, rule.matches.path.as_ref());
        }
        let mirrors = rule.filters.mirrors.iter();
        action.request_mirror_policies = mirrors.filter_map(|mirror| self.mirror(mirror)).collect();
        Made::new(xds::Route {
            r#match: Some(matched),
            action: Some(xds::route::Action::Route(action)),
            ..Default::default()
        })
    }

    /// Requests: the rule's changes, then the backend's; responses the other way round.
    fn changes(&mut self, rule: &RouteRule, own: Option<&Filters>) -> (Changes, Changes) {
        let none = HeaderModifier::default();
        let (request, response) = own.map_or((&none, &none), |own| {
            (&own.request_headers, &own.response_headers)
        });
        (
            Changes::of(&[&rule.filters.request_headers, request], self.notes),
            Changes::of(&[response, &rule.filters.response_headers], self.notes),
        )
    }

    fn rewrite(
        &mut self,
        action: &mut xds::RouteAction,
        path: &wattle_model::PathRewrite,
        matched: Option<&PathMatch>,
    ) {
        let change = rewrite::change(path, matched, self.notes);
        match change.map(Change::whole_as_regex) {
            None | Some(Change::Full(_)) => {}
            Some(Change::Prefix(new)) => action.prefix_rewrite = new,
            Some(Change::Regex(change)) => action.regex_rewrite = Some(change),
        }
    }

    fn mirror(&mut self, mirror: &Mirror) -> Option<route_action::RequestMirrorPolicy> {
        Some(route_action::RequestMirrorPolicy {
            cluster: self.clusters.name(self.destination, mirror.backend?, self.wire)?,
            runtime_fraction: runtime_fraction(mirror.chance),
            ..Default::default()
        })
    }
}

/// What a rule without a usable backend does. One that permits other origins is a route to a cluster that is not there,
/// since Envoy's CORS filter passes over answers that a route gives by itself.
pub(super) fn unusable(rule: &RouteRule, matched: xds::RouteMatch) -> Made {
    if rule.filters.cors.is_none() {
        return refusal(matched, Reason::NoBackend);
    }
    let action = xds::RouteAction {
        cluster_specifier: Some(ClusterSpecifier::Cluster(UNRESOLVED.to_owned())),
        ..timed(&Timeouts::default())
    };
    Made::new(xds::Route {
        r#match: Some(matched),
        action: Some(xds::route::Action::Route(action)),
        ..Default::default()
    })
}

/// The host that is sent instead.
fn host(rule: &RouteRule, own: Option<&Filters>) -> Option<String> {
    let own = own.and_then(|filters| filters.rewrite.authority());
    own.or(rule.filters.rewrite.authority()).map(str::to_owned)
}

/// Weights whose sum Envoy takes.
fn scaled(backends: &[WeightedBackend]) -> Vec<u32> {
    let total: u64 = backends.iter().map(|backend| u64::from(backend.weight)).sum();
    let most = u64::from(u32::MAX / 2);
    let fit = |weight: u32| match total > most && weight > 0 {
        true => (u64::from(weight) * most / total).max(1) as u32,
        false => weight,
    };
    backends.iter().map(|backend| fit(backend.weight)).collect()
}

/// An action's time limits; what is not named has none, whatever Envoy's default is.
fn timed(timeouts: &Timeouts) -> xds::RouteAction {
    xds::RouteAction {
        cluster_not_found_response_code: ClusterNotFoundResponseCode::InternalServerError.into(),
        timeout: limit(timeouts.request),
        idle_timeout: limit(timeouts.idle),
        // Where this is there, Envoy does not look at `timeout` any more.
        max_stream_duration: Some(route_action::MaxStreamDuration {
            max_stream_duration: timeouts.request.map(duration),
            grpc_timeout_header_max: timeouts
                .request
                .map_or_else(unlimited, |time| Some(duration(time))),
            ..Default::default()
        }),
        ..Default::default()
    }
}

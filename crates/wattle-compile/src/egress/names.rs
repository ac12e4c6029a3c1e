//! Which names outside may be asked for: where callers are kept to what is registered, theirs are too.

use std::sync::Arc;

use wattle_api::{EgressMode, Kind};
use wattle_model::{Access, Asked, HostMatch, NameScope};

use super::{Outside, Policy, labels, network, policies, unread_policy};
use crate::istio::scope::{self, Dialled};
use crate::route::object_ref;
use crate::view::View;

/// What callers in `from` may ask resolvers outside for, in the order in which objects decide about unknown addresses
/// ([`super::destination`]); nothing is said where any name may be asked for.
pub(crate) fn scopes(from: &Arc<str>, view: &View<'_>) -> Vec<NameScope> {
    let everything = Outside {
        name: &"".into(),
        host: None,
        address: None,
        port: 0,
    };
    let refused = network::scope(everything, from, view);
    let first = refused.into_iter().chain(unread_policy(from, view));
    let rest = scope::scopes(Dialled::Unknown, from, view);
    let as_called = |scope: wattle_model::CallerScope| NameScope {
        labels: scope.labels,
        origin: scope.origin,
        asked: match scope.access {
            Access::Refused(_) => Asked::Registered(Vec::new()),
            Access::Full | Access::PassThrough => Asked::Any,
        },
    };
    let first = first.map(as_called);
    let own = policies(from, view).into_iter().map(of_policy);
    let mut found: Vec<_> = first.chain(own).chain(rest.into_iter().map(as_called)).collect();
    // Who is left may ask for any name without a scope that says so.
    while found.last().is_some_and(|scope| scope.asked == Asked::Any) {
        found.pop();
    }
    found
}

fn of_policy(policy: &Policy) -> NameScope {
    let allowed = || policy.spec.allow.iter().flat_map(|rule| &rule.hosts);
    NameScope {
        labels: labels(policy),
        origin: object_ref(&policy.meta, Kind::EgressPolicy, &policy.origin),
        asked: match policy.spec.mode {
            Some(EgressMode::RegistryOnly) => {
                Asked::Registered(allowed().map(|host| HostMatch::parse(host)).collect())
            }
            Some(EgressMode::AllowAny) | None => Asked::Any,
        },
    }
}

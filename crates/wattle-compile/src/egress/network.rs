//! EgressNetworks: whether addresses outside may be called.

use std::sync::Arc;

use wattle_api::{EgressNetwork, Kind, Object, Resource, TrafficPolicy};
use wattle_model::{Access, CallerScope, Reason};

use super::Outside;
use crate::Read;
use crate::any_route::older;
use crate::route::{object_ref, unread};
use crate::view::View;

/// Linkerd's namespace of networks for everybody.
const GLOBAL: &str = "linkerd-egress";

/// The scope that refuses `outside` to all callers in `from`, if there is one.
///
/// Networks of the caller's namespace win over those of the root namespace and of Linkerd's global one; within one
/// namespace the oldest that covers the address counts.
pub(super) fn scope(outside: Outside<'_>, from: &Arc<str>, view: &View<'_>) -> Option<CallerScope> {
    let refused = |origin| CallerScope {
        labels: Vec::new(),
        origin,
        access: Access::Refused(Reason::PolicyDenied),
    };
    for namespace in [from, &view.settings.root_namespace, &Arc::from(GLOBAL)] {
        if let Some(key) = view.unreadable(Kind::EgressNetwork, namespace) {
            return Some(refused(unread(key)));
        }
        let found = view.found(Read::EgressPolicies(Arc::clone(namespace)));
        let covering = found.filter_map(|object| match object {
            Object::EgressNetwork(network) if covers(&network.spec, outside) => Some(network),
            _ => None,
        });
        let oldest: Option<&Resource<EgressNetwork>> = covering.min_by(|a, b| older(&a.meta, &b.meta));
        if let Some(network) = oldest {
            let origin = object_ref(&network.meta, Kind::EgressNetwork, &network.origin);
            let denies = network.spec.traffic_policy == TrafficPolicy::Deny;
            return denies.then(|| refused(origin));
        }
    }
    None
}

/// Whether a network covers what was dialled; a name is covered by a network of everything only.
fn covers(network: &EgressNetwork, outside: Outside<'_>) -> bool {
    let Some(address) = outside.address else {
        return network.networks.is_empty();
    };
    network.networks.is_empty()
        || network.networks.iter().any(|block| {
            block.cidr.contains(&address) && !block.except.iter().any(|hole| hole.contains(&address))
        })
}

//! EgressNetworks: whether addresses outside may be called.

use std::collections::BTreeSet;
use std::sync::Arc;

use ipnet::IpNet;
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
    for namespace in &namespaces(from, view) {
        if let Some(key) = view.unreadable(Kind::EgressNetwork, namespace) {
            return Some(refused(unread(key)));
        }
        let covering = networks(namespace, view).filter(|network| covers(&network.spec, outside));
        if let Some(network) = covering.min_by(|a, b| older(&a.meta, &b.meta)) {
            let origin = object_ref(&network.meta, Kind::EgressNetwork, &network.origin);
            let denies = network.spec.traffic_policy == TrafficPolicy::Deny;
            return denies.then(|| refused(origin));
        }
    }
    None
}

/// Where networks that concern callers in `from` are, the ones that win first.
fn namespaces(from: &Arc<str>, view: &View<'_>) -> [Arc<str>; 3] {
    [
        Arc::clone(from),
        Arc::clone(&view.settings.root_namespace),
        GLOBAL.into(),
    ]
}

fn networks<'a>(
    namespace: &Arc<str>,
    view: &View<'a>,
) -> impl Iterator<Item = &'a Resource<EgressNetwork>> + use<'a> {
    let found = view.found(Read::EgressPolicies(Arc::clone(namespace)));
    found.filter_map(|object| match object {
        Object::EgressNetwork(network) => Some(network),
        _ => None,
    })
}

/// The blocks that networks tell apart for callers in `from`.
pub(crate) fn blocks(from: &Arc<str>, view: &View<'_>) -> BTreeSet<IpNet> {
    let mut named = BTreeSet::new();
    for namespace in &namespaces(from, view) {
        for block in networks(namespace, view).flat_map(|network| &network.spec.networks) {
            named.extend([&block.cidr].into_iter().chain(&block.except).map(IpNet::trunc));
        }
    }
    named
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

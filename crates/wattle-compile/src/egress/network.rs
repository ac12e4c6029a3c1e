//! EgressNetworks: whether addresses outside may be called.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use ipnet::IpNet;
use wattle_api::{EgressNetwork, Kind, Object, Resource, TrafficPolicy};
use wattle_model::{Access, CallerScope, IpBlock, Reason};

use super::Outside;
use crate::Read;
use crate::any_route::older;
use crate::authorization::block as block_of;
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

/// The blocks that networks tell apart for callers in `from`, each with an address of it that is in no smaller one.
pub(crate) fn blocks(from: &Arc<str>, view: &View<'_>) -> Vec<(IpBlock, IpAddr)> {
    let mut named = BTreeSet::new();
    for namespace in &namespaces(from, view) {
        for block in networks(namespace, view).flat_map(|network| &network.spec.networks) {
            named.extend([&block.cidr].into_iter().chain(&block.except).map(IpNet::trunc));
        }
    }
    // A block comes before those inside it.
    let named: Vec<_> = named.into_iter().collect();
    let alone = |(index, block): (usize, &IpNet)| {
        let inside = named.iter().skip(index + 1);
        let inside = inside.take_while(|inner| block.contains(*inner));
        Some((block_of(block), outside_of(inside, *block)?))
    };
    named.iter().enumerate().filter_map(alone).collect()
}

/// The first address of `block` that is in none of those inside it, which are in order.
fn outside_of<'a>(inside: impl Iterator<Item = &'a IpNet>, block: IpNet) -> Option<IpAddr> {
    let mut first = block.network();
    for inner in inside {
        if first < inner.network() {
            break;
        }
        first = first.max(next(inner.broadcast())?);
    }
    block.contains(&first).then_some(first)
}

fn next(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => u32::from(address)
            .checked_add(1)
            .map(|next| Ipv4Addr::from(next).into()),
        IpAddr::V6(address) => u128::from(address)
            .checked_add(1)
            .map(|next| Ipv6Addr::from(next).into()),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn alone(block: &str, inside: &[&str]) -> Option<String> {
        let inside: Vec<IpNet> = inside.iter().map(|text| text.parse().unwrap()).collect();
        outside_of(inside.iter(), block.parse().unwrap()).map(|address| address.to_string())
    }

    #[test]
    fn an_address_stands_for_what_is_in_no_smaller_block() {
        let cases: [(&str, &[&str], Option<&str>); 8] = [
            ("10.0.0.0/8", &[], Some("10.0.0.0")),
            ("10.0.0.0/8", &["10.0.0.0/9"], Some("10.128.0.0")),
            ("10.0.0.0/8", &["10.0.0.0/9", "10.0.0.0/16"], Some("10.128.0.0")),
            ("10.0.0.0/8", &["10.1.0.0/16"], Some("10.0.0.0")),
            ("10.0.0.0/8", &["10.0.0.0/9", "10.128.0.0/9"], None),
            ("10.0.0.7/32", &[], Some("10.0.0.7")),
            ("0.0.0.0/0", &["0.0.0.0/1", "128.0.0.0/1"], None),
            ("fd00::/8", &["fd00::/9"], Some("fd80::")),
        ];
        for (block, inside, expected) in cases {
            assert_eq!(
                alone(block, inside).as_deref(),
                expected,
                "{block} without {inside:?}"
            );
        }
    }
}

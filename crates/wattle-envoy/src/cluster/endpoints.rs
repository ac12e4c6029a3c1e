//! Endpoints: addresses with weight, priority and place, as the client sees them.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::endpoint::v3 as xds;
use wattle_model::traffic::Place;
use wattle_model::{BackendPolicy, Endpoint, EndpointHealth, Endpoints};

use super::identity::{metadata, peer};
use crate::Scene;
use crate::proto::{host_address, number, socket_address, wrapped};

/// Endpoints that count alike: priority, group of a distribution with its weight, and locality.
type Rank = (u32, Option<(u32, u32)>, [String; 3]);

/// The endpoints that may be asked, arranged for this client.
pub(crate) fn assignment(
    name: &str,
    endpoints: &Endpoints,
    policy: &BackendPolicy,
    scene: &Scene<'_>,
) -> xds::ClusterLoadAssignment {
    let usable = usable(&endpoints.endpoints);
    let addresses = usable.iter().map(|one| (one, socket_address(one.address)));
    let names = endpoints.names.iter();
    let names = names.map(|name| (&name.template, host_address(&name.host, name.port)));
    let (all, dialled): (Vec<Endpoint>, Vec<_>) = addresses
        .chain(names)
        .map(|(one, dialled)| (one.clone(), dialled))
        .unzip();
    let places = policy.locality.places(scene.locality, scene.labels, &all);
    let mut ranks: BTreeMap<Rank, Vec<xds::LbEndpoint>> = BTreeMap::new();
    for ((one, address), place) in all.iter().zip(dialled).zip(places) {
        // Weight 0: what no target of a distribution covers gets nothing.
        if place.group.is_none_or(|(_, weight)| weight > 0) {
            ranks
                .entry(rank(one, place))
                .or_default()
                .push(member(one, address, policy));
        }
    }
    xds::ClusterLoadAssignment {
        cluster_name: name.to_owned(),
        endpoints: ranks
            .into_iter()
            .map(|(rank, members)| group(rank, members))
            .collect(),
        ..Default::default()
    }
}

/// The healthy ones, else those that are finishing.
fn usable(endpoints: &[Endpoint]) -> Vec<Endpoint> {
    let of = |health| {
        let has = move |endpoint: &&Endpoint| endpoint.health == health;
        endpoints.iter().filter(has).cloned().collect::<Vec<_>>()
    };
    let healthy = of(EndpointHealth::Healthy);
    match healthy.is_empty() {
        true => of(EndpointHealth::Draining),
        false => healthy,
    }
}

fn rank(endpoint: &Endpoint, place: Place) -> Rank {
    let locality = &endpoint.locality;
    let parts = match place.group {
        // One weight for all places of a group.
        Some((group, _)) => [group.to_string(), String::new(), String::new()],
        None => [&locality.region, &locality.zone, &locality.subzone].map(|part| part.to_string()),
    };
    (place.priority, place.group, parts)
}

fn group(rank: Rank, members: Vec<xds::LbEndpoint>) -> xds::LocalityLbEndpoints {
    let (priority, group, [region, zone, sub_zone]) = rank;
    // Envoy looks at it where a group has one; gRPC always, and leaves out a place without (gRFC A27).
    let weights = members
        .iter()
        .filter_map(|one| Some(one.load_balancing_weight?.value));
    let weight = group.map_or_else(|| weights.fold(0, u32::saturating_add), |(_, weight)| weight);
    xds::LocalityLbEndpoints {
        locality: Some(core::Locality {
            region,
            zone,
            sub_zone,
        }),
        lb_endpoints: members,
        load_balancing_weight: number(weight),
        priority,
        ..Default::default()
    }
}

fn member(endpoint: &Endpoint, address: core::SocketAddress, policy: &BackendPolicy) -> xds::LbEndpoint {
    xds::LbEndpoint {
        metadata: metadata(&peer(endpoint, &policy.tls)),
        load_balancing_weight: number(endpoint.weight.max(1)),
        host_identifier: Some(xds::lb_endpoint::HostIdentifier::Endpoint(xds::Endpoint {
            address: wrapped(address),
            ..Default::default()
        })),
        ..Default::default()
    }
}

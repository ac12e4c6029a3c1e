//! TLS and TCP rules of a VirtualService, in the order written, TLS first.

use std::net::IpAddr;

use ipnet::IpNet;
use wattle_api::Resource;
use wattle_api::istio::{L4Match, VirtualService, WeightedDestination};
use wattle_model::{ConnectionMatch, ConnectionRoute, HostMatch, IpBlock, RuleRef, WeightedBackend};

use super::http::{Scene, backend, caller_labels, said};
use super::routes;
use crate::backend::Backends;

/// The routes of connections of callers that dial the scene's port.
pub(crate) fn table(
    found: &Resource<VirtualService>,
    scene: Scene<'_, '_>,
    backends: &mut Backends,
) -> Vec<ConnectionRoute> {
    let origin = |rule: usize, matched: usize| RuleRef {
        object: routes::origin(found),
        rule: u32::try_from(rule).unwrap_or(u32::MAX),
        matched: u32::try_from(matched).unwrap_or(u32::MAX),
        name: "".into(),
    };
    let mut table = Vec::new();
    for (index, rule) in found.spec.tls.iter().enumerate() {
        let to = weighted(&rule.route, scene, backends);
        let matches = rule
            .matches
            .iter()
            .enumerate()
            .filter(|(_, one)| applies(&one.connection, scene));
        table.extend(matches.map(|(position, one)| {
            ConnectionRoute {
                origin: origin(index, position),
                matches: ConnectionMatch {
                    server_names: one
                        .sni_hosts
                        .iter()
                        .map(|host| HostMatch::parse(&host.to_string()))
                        .collect(),
                    ..connection(&one.connection)
                },
                backends: to.clone(),
            }
        }));
    }
    for (index, rule) in found.spec.tcp.iter().enumerate() {
        let to = weighted(&rule.route, scene, backends);
        let any = [L4Match::default()];
        let matches = if rule.matches.is_empty() {
            &any[..]
        } else {
            &rule.matches[..]
        };
        let matches = matches.iter().enumerate().filter(|(_, one)| applies(one, scene));
        table.extend(matches.map(|(position, one)| ConnectionRoute {
            origin: origin(found.spec.tls.len() + index, position),
            matches: connection(one),
            backends: to.clone(),
        }));
    }
    table
}

fn weighted(
    written: &[WeightedDestination],
    scene: Scene<'_, '_>,
    backends: &mut Backends,
) -> Vec<WeightedBackend> {
    let each = written.iter().map(|one| WeightedBackend {
        backend: backend(&one.destination, scene, backends),
        written: said(&one.destination),
        weight: one.weight,
        filters: None,
    });
    each.collect()
}

fn applies(matched: &L4Match, scene: Scene<'_, '_>) -> bool {
    matched.port.is_none_or(|port| port.number() == scene.port)
        && matched
            .source_namespace
            .as_deref()
            .is_none_or(|namespace| *namespace == **scene.from)
        && routes::in_mesh(&matched.gateways)
}

fn connection(matched: &L4Match) -> ConnectionMatch {
    let block = |block: &IpNet| IpBlock {
        address: IpAddr::to_canonical(&block.network()),
        prefix_len: block.prefix_len(),
    };
    ConnectionMatch {
        server_names: Vec::new(),
        destinations: matched.destination_subnets.iter().map(block).collect(),
        caller_labels: caller_labels(&matched.source_labels),
    }
}

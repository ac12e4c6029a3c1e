//! What comes to the workload: mutual TLS as each port asks for it, policy, the application.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use cluster::cluster::{DiscoveryType, LbPolicy};
use envoy_types::pb::envoy::config::cluster::v3 as cluster;
use envoy_types::pb::envoy::config::core::v3::{BindConfig, ExtraSourceAddress, TrafficDirection};
use envoy_types::pb::envoy::config::endpoint::v3 as endpoint;
use envoy_types::pb::envoy::config::listener::v3 as xds;
use envoy_types::pb::envoy::extensions::filters::listener::http_inspector::v3::HttpInspector;
use envoy_types::pb::envoy::extensions::filters::listener::original_dst::v3::OriginalDst;
use envoy_types::pb::envoy::extensions::filters::listener::tls_inspector::v3::TlsInspector;
use envoy_types::pb::envoy::r#type::v3::Int32Range;
use wattle_model::{Inbound, MtlsMode, Protocol};
use xds::listener_filter_chain_match_predicate::{MatchSet, Rule};

use super::chain::{circle, closed, otherwise};
use super::ports::{Port, chains};
use super::{CLIENT_FIRST, PATIENCE, listener_filter};
use crate::Kind;
use crate::cluster::{Secrets, application, bounded, connected, discovery};
use crate::notes::{Notes, Output};
use crate::proto::{address, duration, number, socket_address};

/// Cluster of the application, at the address and port that were dialled.
pub(super) const APPLICATION: &str = "inbound";
/// Where connections to the application come from, as capture knows them (Istio's values).
const SOURCES: (IpAddr, IpAddr) = (
    IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 6)),
    IpAddr::V6(Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 6)),
);

/// The listener of the workload's own ports, and the clusters of its application.
pub(crate) fn inbound(
    inbound: &Inbound,
    at: SocketAddr,
    secrets: &Secrets,
    (output, notes): (&mut Output, &mut Notes),
) {
    let mut listener = xds::Listener {
        name: "inbound".to_owned(),
        address: address(at),
        traffic_direction: TrafficDirection::Inbound.into(),
        filter_chains: vec![circle(at.port())],
        default_filter_chain: Some(otherwise("refused", closed())),
        listener_filters: inspectors(inbound, at.port()),
        continue_on_listener_filters_timeout: true,
        listener_filters_timeout: Some(duration(patience(inbound))),
        ..Default::default()
    };
    let declared = inbound.ports.iter().map(|port| port.port);
    let gated = inbound.authorization.gates.iter().filter_map(|gate| gate.port);
    let known: BTreeSet<u16> = declared.chain(gated).filter(|port| *port != at.port()).collect();
    for number in known.into_iter().map(Some).chain([None]) {
        let port = Port::new(inbound, number);
        notes.at(None, &inbound.name);
        listener.filter_chains.extend(chains(&port, secrets, notes));
        if let Some(target) = port.effective.target {
            let cluster = to(&port.cluster(), Some(target), inbound);
            output.add(Kind::Cluster, &cluster.name.clone(), &cluster);
        }
    }
    output.add(Kind::Listener, "inbound", &listener);
    output.add(Kind::Cluster, APPLICATION, &to(APPLICATION, None, inbound));
}

/// A strict port hears the client first in any case; elsewhere a server may speak first.
fn patience(inbound: &Inbound) -> std::time::Duration {
    let strict = |mode| mode == MtlsMode::Strict;
    match strict(inbound.mtls) && inbound.ports.iter().all(|port| strict(port.mtls)) {
        true => PATIENCE,
        false => CLIENT_FIRST,
    }
}

fn inspectors(inbound: &Inbound, own: u16) -> Vec<xds::ListenerFilter> {
    let declared = inbound
        .ports
        .iter()
        .filter(|port| port.protocol != Protocol::Detect);
    let mut ports: Vec<u16> = declared.map(|port| port.port).chain([own]).collect();
    ports.sort_unstable();
    ports.dedup();
    vec![
        listener_filter("envoy.filters.listener.original_dst", &OriginalDst {}),
        listener_filter("envoy.filters.listener.tls_inspector", &TlsInspector::default()),
        xds::ListenerFilter {
            // A declared protocol is never guessed.
            filter_disabled: Some(any_port(&ports)),
            ..listener_filter("envoy.filters.listener.http_inspector", &HttpInspector::default())
        },
    ]
}

fn any_port(ports: &[u16]) -> xds::ListenerFilterChainMatchPredicate {
    let predicate = |rule| xds::ListenerFilterChainMatchPredicate { rule: Some(rule) };
    let of = |port: &u16| {
        let start = i32::from(*port);
        predicate(Rule::DestinationPortRange(Int32Range {
            start,
            end: start + 1,
        }))
    };
    match ports {
        [only] => of(only),
        all => predicate(Rule::OrMatch(MatchSet {
            rules: all.iter().map(of).collect(),
        })),
    }
}

/// A cluster of the application: at `target`, else where the client dialled.
fn to(name: &str, target: Option<SocketAddr>, inbound: &Inbound) -> cluster::Cluster {
    let limits = &inbound.limits;
    let mut made = cluster::Cluster {
        name: name.to_owned(),
        circuit_breakers: Some(cluster::CircuitBreakers {
            thresholds: vec![bounded(limits)],
            ..Default::default()
        }),
        typed_extension_protocol_options: application(limits),
        upstream_bind_config: Some(BindConfig {
            source_address: Some(socket_address((SOURCES.0, 0).into())),
            extra_source_addresses: vec![ExtraSourceAddress {
                address: Some(socket_address((SOURCES.1, 0).into())),
                ..Default::default()
            }],
            ..Default::default()
        }),
        cluster_discovery_type: discovery(DiscoveryType::OriginalDst),
        lb_policy: LbPolicy::ClusterProvided.into(),
        ..connected(limits)
    };
    if let Some(target) = target {
        made.cluster_discovery_type = discovery(DiscoveryType::Static);
        made.lb_policy = LbPolicy::RoundRobin.into();
        made.load_assignment = Some(at_target(name, target));
    }
    made
}

fn at_target(name: &str, target: SocketAddr) -> endpoint::ClusterLoadAssignment {
    let there = endpoint::Endpoint {
        address: address(target),
        ..Default::default()
    };
    endpoint::ClusterLoadAssignment {
        cluster_name: name.to_owned(),
        endpoints: vec![endpoint::LocalityLbEndpoints {
            lb_endpoints: vec![endpoint::LbEndpoint {
                host_identifier: Some(endpoint::lb_endpoint::HostIdentifier::Endpoint(there)),
                load_balancing_weight: number(1),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

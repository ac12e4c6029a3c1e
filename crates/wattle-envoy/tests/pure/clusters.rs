//! Clusters and endpoints.

use std::collections::BTreeSet;
use std::time::Duration;

use envoy_types::pb::envoy::config::cluster::v3 as cluster;
use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as tls;
use prost::Message as _;
use tls::common_tls_context::ValidationContextType;
use wattle_envoy::{Kind, Resources};
use wattle_model::traffic::{Balance, FailureAccrual, LocalityPolicy, OutlierDetection, UpstreamTls};
use wattle_model::{Backend, BackendPolicy, Endpoint, EndpointHealth, Locality, Protocol};

use crate::support::decoded;
use crate::support::mesh::{Mesh, destination, endpoint, governed, secured};

fn at(last: u8) -> std::net::SocketAddr {
    ([10, 0, 0, last], 80).into()
}

fn resources(policy: BackendPolicy, endpoints: Vec<Endpoint>) -> Resources {
    let locality = Locality {
        region: "eu".into(),
        ..Locality::default()
    };
    let mut mesh = Mesh {
        locality,
        ..Mesh::default()
    };
    mesh.endpoints("a:80", endpoints);
    mesh.add(destination(
        at(1),
        Protocol::Detect,
        vec![governed("a:80", policy)],
    ));
    mesh.encode()
}

fn names(socket: &core::TransportSocket) -> (Vec<String>, Vec<String>) {
    let Some(core::transport_socket::ConfigType::TypedConfig(config)) = &socket.config_type else {
        panic!()
    };
    let context = tls::UpstreamTlsContext::decode(&*config.value).unwrap();
    let common = context.common_tls_context.unwrap();
    let Some(ValidationContextType::CombinedValidationContext(combined)) = common.validation_context_type
    else {
        return (vec![], common.alpn_protocols);
    };
    let wanted = combined
        .default_validation_context
        .unwrap()
        .match_typed_subject_alt_names;
    let exact = wanted
        .into_iter()
        .map(|san| match san.matcher.unwrap().match_pattern.unwrap() {
            envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern::Exact(name) => name,
            other => panic!("{other:?}"),
        });
    (exact.collect(), common.alpn_protocols)
}

#[test]
fn a_backend_is_spoken_to_by_the_meshs_protocol_for_what_is_spoken() {
    let told = resources(BackendPolicy::default(), vec![secured(at(9), "web")]);
    for (wire, alpn) in [
        ("http/1", "istio-http/1.1"),
        ("http/2", "istio-h2"),
        ("tcp", "istio"),
    ] {
        let made: cluster::Cluster = decoded(&told, Kind::Cluster, &format!("a:80|{wire}"));
        let socket = made.transport_socket_matches[0]
            .transport_socket
            .as_ref()
            .unwrap();
        assert_eq!(
            names(socket),
            (
                vec!["spiffe://mesh.test/ns/shop/sa/web".to_owned()],
                vec![alpn.to_owned()]
            )
        );
        assert_eq!(made.eds_cluster_config.unwrap().service_name, "a:80");
    }
}

#[test]
fn an_endpoint_whose_identity_no_cluster_was_made_for_finds_nobody() {
    let told = resources(
        BackendPolicy::default(),
        vec![secured(at(9), "web"), endpoint(at(8))],
    );
    let made: cluster::Cluster = decoded(&told, Kind::Cluster, "a:80|http/1");
    let matches: Vec<_> = made
        .transport_socket_matches
        .iter()
        .map(|matched| &*matched.name)
        .collect();
    assert_eq!(matches, ["spiffe://mesh.test/ns/shop/sa/web", "plaintext"]);
    assert_eq!(
        names(&made.transport_socket.unwrap()).0,
        ["spiffe://nobody.invalid/"]
    );
    let assigned: ClusterLoadAssignment = decoded(&told, Kind::Endpoints, "a:80");
    let told: BTreeSet<String> = assigned.endpoints[0]
        .lb_endpoints
        .iter()
        .map(|one| {
            let metadata = &one.metadata.as_ref().unwrap().filter_metadata["envoy.transport_socket_match"];
            format!("{:?}", metadata.fields["peer"].kind)
        })
        .collect();
    assert_eq!(told.len(), 2);
}

#[test]
fn a_workload_without_a_name_is_nobody() {
    let policy = BackendPolicy {
        tls: UpstreamTls::MeshMutual,
        ..BackendPolicy::default()
    };
    let told = resources(policy, vec![endpoint(at(9))]);
    let made: cluster::Cluster = decoded(&told, Kind::Cluster, "a:80|tcp");
    let assigned: ClusterLoadAssignment = decoded(&told, Kind::Endpoints, "a:80");
    let peer = &assigned.endpoints[0].lb_endpoints[0]
        .metadata
        .as_ref()
        .unwrap()
        .filter_metadata;
    let peer = format!("{:?}", peer["envoy.transport_socket_match"].fields["peer"].kind);
    assert!(
        made.transport_socket_matches
            .iter()
            .all(|matched| !peer.contains(&matched.name)),
        "{peer}"
    );
}

#[test]
fn without_a_name_to_ask_for_a_server_outside_is_refused() {
    let tls = UpstreamTls::Origination {
        sni: None,
        names: vec![],
        files: Default::default(),
        unverified: true,
    };
    let mut mesh = Mesh::default();
    let policy = std::sync::Arc::new(BackendPolicy {
        tls,
        ..BackendPolicy::default()
    });
    mesh.add(destination(
        at(1),
        Protocol::Tcp,
        vec![Backend {
            id: "a:80".into(),
            policy,
            ..Backend::default()
        }],
    ));
    let told = mesh.encode();
    assert!(
        told.gaps.iter().any(|gap| gap.reason.contains("name to ask")),
        "{:?}",
        told.gaps
    );
    let made: cluster::Cluster = decoded(&told, Kind::Cluster, "a:80|tcp");
    let Some(core::transport_socket::ConfigType::TypedConfig(config)) =
        made.transport_socket.unwrap().config_type
    else {
        panic!()
    };
    let common = tls::UpstreamTlsContext::decode(&*config.value)
        .unwrap()
        .common_tls_context
        .unwrap();
    assert!(common.validation_context_type.is_some());
}

#[test]
fn endpoints_that_are_finishing_count_when_no_other_is_left() {
    let draining = |last| Endpoint {
        health: EndpointHealth::Draining,
        ..endpoint(at(last))
    };
    let unhealthy = Endpoint {
        health: EndpointHealth::Unhealthy,
        ..endpoint(at(7))
    };
    let counted = |endpoints| {
        let told = resources(BackendPolicy::default(), endpoints);
        let assigned: ClusterLoadAssignment = decoded(&told, Kind::Endpoints, "a:80");
        assigned
            .endpoints
            .iter()
            .map(|group| group.lb_endpoints.len())
            .sum::<usize>()
    };
    assert_eq!(counted(vec![endpoint(at(9)), draining(8), unhealthy.clone()]), 1);
    assert_eq!(counted(vec![draining(9), draining(8), unhealthy.clone()]), 2);
    assert_eq!(counted(vec![unhealthy]), 0);
}

#[test]
fn near_endpoints_come_first() {
    let policy = BackendPolicy {
        locality: LocalityPolicy {
            failover: true,
            ..Default::default()
        },
        ..BackendPolicy::default()
    };
    let there = |last, region: &str| Endpoint {
        locality: Locality {
            region: region.into(),
            ..Locality::default()
        },
        ..endpoint(at(last))
    };
    let told = resources(policy, vec![there(8, "us"), there(9, "eu")]);
    let assigned: ClusterLoadAssignment = decoded(&told, Kind::Endpoints, "a:80");
    let ranks: Vec<_> = assigned
        .endpoints
        .iter()
        .map(|group| (group.priority, group.locality.as_ref().unwrap().region.as_str()))
        .collect();
    assert_eq!(ranks, [(0, "eu"), (1, "us")]);
}

#[test]
fn a_backend_under_two_policies_is_two_clusters() {
    let mut mesh = Mesh::default();
    mesh.endpoints("a:80", vec![endpoint(at(9))]);
    for (last, balance) in [
        (1, Balance::RoundRobin),
        (2, Balance::Random),
        (3, Balance::RoundRobin),
    ] {
        let policy = BackendPolicy {
            balance,
            ..BackendPolicy::default()
        };
        mesh.add(destination(
            at(last),
            Protocol::Tcp,
            vec![governed("a:80", policy)],
        ));
    }
    let told = mesh.encode();
    let clusters: Vec<_> = told.resources[&Kind::Cluster]
        .keys()
        .map(|name| &**name)
        .collect();
    assert_eq!(clusters, ["a:80|2|tcp", "a:80|tcp", "blackhole"]);
}

#[test]
fn an_address_that_is_dialled_past_its_service_is_the_endpoint_there() {
    let mut mesh = Mesh::default();
    mesh.endpoints("a:80", vec![secured(at(1), "web"), secured(at(2), "web")]);
    let policy = BackendPolicy {
        balance: Balance::OriginalDestination,
        ..BackendPolicy::default()
    };
    mesh.add(destination(at(2), Protocol::Tcp, vec![governed("a:80", policy)]));
    let assigned: ClusterLoadAssignment = decoded(&mesh.encode(), Kind::Endpoints, "a:80|10.0.0.2:80");
    let all: Vec<_> = assigned
        .endpoints
        .iter()
        .flat_map(|group| &group.lb_endpoints)
        .collect();
    assert_eq!(all.len(), 1);
    assert!(format!("{all:?}").contains("10.0.0.2"));
}

#[test]
fn with_every_endpoint_out_all_are_asked_where_no_policy_says_otherwise() {
    let threshold = |outliers| {
        let policy = BackendPolicy {
            outliers,
            ..BackendPolicy::default()
        };
        let told = resources(policy, vec![endpoint(at(9))]);
        let made: cluster::Cluster = decoded(&told, Kind::Cluster, "a:80|http/1");
        made.common_lb_config
            .unwrap()
            .healthy_panic_threshold
            .map(|percent| percent.value)
    };
    let minimum = OutlierDetection {
        minimum_health_percent: 30,
        ..OutlierDetection::default()
    };
    let accrual = OutlierDetection {
        accrual: Some(FailureAccrual {
            max_failures: 7,
            min_penalty: Duration::from_secs(1),
            max_penalty: Duration::from_secs(60),
            jitter_ratio: 0.5,
        }),
        ..OutlierDetection::default()
    };
    assert_eq!(threshold(None), Some(1.0));
    assert_eq!(threshold(Some(minimum)), Some(30.0));
    assert_eq!(threshold(Some(accrual)), Some(0.0));
}

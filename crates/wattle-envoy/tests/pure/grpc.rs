//! Programs that configure themselves.

use std::collections::BTreeMap;
use std::sync::Arc;

use envoy_types::pb::envoy::config::cluster::v3::{Cluster, cluster::LbPolicy};
use envoy_types::pb::envoy::config::endpoint::v3::ClusterLoadAssignment;
use envoy_types::pb::envoy::config::listener::v3::Listener;
use envoy_types::pb::envoy::config::route::v3 as xds;
use wattle_envoy::{GrpcClient, Kind, Resources, Scene};
use wattle_model::traffic::{Balance, HashKey, HashTable};
use wattle_model::{
    Action, Backend, BackendPolicy, Destination, Endpoint, Endpoints, Locality, PathMatch, Protocol,
    RequestMatch, RouteRule, TextMatch, Workload,
};

use crate::support::decoded;
use crate::support::mesh::{backend, destination, endpoint, for_some, routed, rule, secured, to};

fn told(rules: Vec<RouteRule>, endpoints: Vec<Endpoint>, certificates: Option<&str>) -> Resources {
    seen(backend("a:80"), rules, endpoints, certificates)
}

/// What a program with `app: web` is told of a destination with this backend.
fn seen(
    backend: Backend,
    rules: Vec<RouteRule>,
    endpoints: Vec<Endpoint>,
    certificates: Option<&str>,
) -> Resources {
    let at = ([10, 0, 0, 1], 80).into();
    let named = Destination {
        name: "web.shop.test:80".into(),
        ..destination(at, Protocol::Grpc, vec![backend])
    };
    let id: Arc<str> = "a:80".into();
    let endpoints = Endpoints {
        id: id.clone(),
        endpoints,
        names: vec![],
    };
    let client = GrpcClient {
        scene: Scene {
            workload: &Workload::default(),
            labels: &[("app".into(), "web".into())],
            locality: &Locality::default(),
            destinations: &[Arc::new(routed(named, rules))],
            endpoints: &BTreeMap::from([(id, Arc::new(endpoints))]),
        },
        certificates: certificates.map(Into::into),
        served: None,
    };
    client.encode()
}

fn called(resources: &Resources) -> usize {
    let assigned: ClusterLoadAssignment = decoded(resources, Kind::Endpoints, "a:80");
    assigned
        .endpoints
        .iter()
        .map(|group| group.lb_endpoints.len())
        .sum()
}

fn at(last: u8) -> std::net::SocketAddr {
    ([10, 0, 0, last], 80).into()
}

#[test]
fn a_program_finds_listener_and_routes_by_the_name_it_asks_for() {
    let told = told(vec![], vec![endpoint(at(9))], None);
    let listener: Listener = decoded(&told, Kind::Listener, "web.shop.test:80");
    assert!(listener.api_listener.is_some());
    let routes: xds::RouteConfiguration = decoded(&told, Kind::Route, "web.shop.test:80");
    assert_eq!(routes.virtual_hosts[0].routes.len(), 1);
    assert_eq!(told.gaps, vec![]);
}

#[test]
fn calls_are_post_and_prefixes_are_by_whole_elements() {
    let matching = |method: &str| RequestMatch {
        path: Some(PathMatch::Prefix("/shop.Web".into())),
        method: Some(TextMatch::Exact(method.into())),
        ..RequestMatch::default()
    };
    let forward = || Action::Forward(vec![to(0, 1)]);
    let told = told(
        vec![
            rule(matching("GET"), forward()),
            rule(matching("POST"), forward()),
        ],
        vec![],
        None,
    );
    let routes: xds::RouteConfiguration = decoded(&told, Kind::Route, "web.shop.test:80");
    let [route] = &routes.virtual_hosts[0].routes[..] else {
        panic!("{routes:?}")
    };
    let matched = route.r#match.as_ref().unwrap();
    assert!(matched.headers.is_empty());
    assert!(
        format!("{:?}", matched.path_specifier).contains(r"/shop\\.Web(?:/.*)?"),
        "{matched:?}"
    );
}

#[test]
fn who_has_no_certificates_calls_those_who_ask_for_none() {
    let mixed = || vec![secured(at(8), "web"), endpoint(at(9))];
    let without = told(vec![], mixed(), None);
    assert_eq!((called(&without), without.gaps.len()), (1, 1));
    let cluster: Cluster = decoded(&without, Kind::Cluster, "a:80|http/2");
    assert_eq!(cluster.transport_socket, None);
    let with = told(vec![], mixed(), Some("mesh"));
    assert_eq!((called(&with), with.gaps.len()), (1, 1));
    let cluster: Cluster = decoded(&with, Kind::Cluster, "a:80|http/2");
    let socket = format!("{:?}", cluster.transport_socket.unwrap());
    assert!(socket.contains("tls"), "{socket}");
}

#[test]
fn a_backend_is_what_it_is_to_the_program() {
    let policy = BackendPolicy {
        balance: Balance::Hash {
            key: HashKey::SourceAddress,
            table: HashTable::Ring(1024),
        },
        ..BackendPolicy::default()
    };
    let told = seen(for_some(backend("a:80"), policy), vec![], vec![], None);
    let cluster: Cluster = decoded(&told, Kind::Cluster, "a:80|http/2");
    assert_eq!(cluster.lb_policy(), LbPolicy::RingHash);
}

//! Backends that are not the same to all callers, or not where was dialled.

use std::sync::Arc;

use envoy_types::pb::envoy::config::cluster::v3 as cluster;
use wattle_envoy::Kind;
use wattle_model::traffic::Balance;
use wattle_model::{Backend, BackendPolicy, ByName, Protocol};

use crate::support::decoded;
use crate::support::mesh::{Mesh, destination, for_some, governed};

fn at(last: u8) -> std::net::SocketAddr {
    ([10, 0, 0, last], 80).into()
}

#[test]
fn a_backend_is_what_it_is_to_the_client() {
    let told = |labels: &[(&str, &str)]| {
        let label = |(key, value): &(&str, &str)| ((*key).into(), (*value).into());
        let mut mesh = Mesh {
            labels: labels.iter().map(label).collect(),
            ..Mesh::default()
        };
        let of = |table| BackendPolicy {
            balance: table,
            ..BackendPolicy::default()
        };
        mesh.add(destination(
            at(1),
            Protocol::Tcp,
            vec![for_some(
                governed("a:80", of(Balance::Random)),
                of(Balance::RoundRobin),
            )],
        ));
        let told: cluster::Cluster = decoded(&mesh.encode(), Kind::Cluster, "a:80|tcp");
        told.lb_policy()
    };
    assert_eq!(told(&[("app", "web")]), cluster::cluster::LbPolicy::RoundRobin);
    assert_eq!(told(&[("app", "job")]), cluster::cluster::LbPolicy::Random);
}

#[test]
fn a_name_that_is_not_resolved_is_a_gap() {
    let by_name = ByName {
        hosts: Vec::new(),
        port: 80,
    };
    let named = Backend {
        by_name: Some(Arc::new(by_name)),
        ..Backend::default()
    };
    let mut mesh = Mesh::default();
    mesh.add(destination(at(1), Protocol::Tcp, vec![named]));
    let [gap] = &mesh.encode().gaps[..] else { panic!() };
    assert!(gap.reason.contains("is not resolved"), "{}", gap.reason);
}

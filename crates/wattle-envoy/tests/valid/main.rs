//! Everything the encoder makes is something that Envoy takes.
#![allow(clippy::unwrap_used)]

#[path = "../support/mod.rs"]
mod support;

mod backends;
mod destinations;
mod inbound;
mod rules;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use support::mesh::Mesh;
use support::{bootstrap, complaints};
use wattle_model::Pattern;
use wattle_testkit::{Need, lacks};

const SECOND: Duration = Duration::from_secs(1);

fn at(last: u8, port: u16) -> SocketAddr {
    (IpAddr::from([10, 0, 0, last]), port).into()
}

fn regex(expression: &str) -> Pattern {
    Pattern::new(expression).unwrap()
}

fn everything() -> Mesh {
    let mut mesh = Mesh {
        inbound: Some(inbound::guarded()),
        ..Mesh::default()
    };
    backends::destinations(&mut mesh);
    destinations::routed(&mut mesh);
    mesh
}

#[test]
fn envoy_takes_whatever_the_model_can_say() {
    if lacks(&[Need::Envoy]) {
        return;
    }
    let told = bootstrap(&everything().encode(), false);
    assert_eq!(complaints(&told), "");
}

#[test]
fn the_same_values_are_the_same_bytes() {
    let mesh = everything();
    let first = mesh.encode();
    for _ in 0..8 {
        assert_eq!(mesh.encode(), first);
    }
    let turned = Mesh {
        destinations: mesh.destinations.iter().rev().cloned().collect(),
        ..everything()
    };
    assert_eq!(turned.encode(), first);
}

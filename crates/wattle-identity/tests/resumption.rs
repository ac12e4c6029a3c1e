//! What a resumed session may skip, and for how long.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{Meeting, Mesh};
use rustls::HandshakeKind;
use wattle_identity::{ClientCertificates::Required, Expected, Peer, peer_identity};

#[test]
fn a_resumed_session_still_shows_both_peers() {
    let mesh = Mesh::new("cluster.local");
    let client = mesh
        .tls()
        .client(&mesh.svid("web"), Expected::only(mesh.id("cart")))
        .unwrap();
    let server = mesh.tls().server(&mesh.svid("cart"), Required).unwrap();
    assert!(Meeting::hold(client.clone(), server.clone()).succeeded());
    let again = Meeting::hold(client, server);
    assert!(again.succeeded());
    assert_eq!(again.server.handshake_kind(), Some(HandshakeKind::Resumed));
    assert_eq!(
        peer_identity(again.server.peer_certificates().unwrap()),
        Ok(mesh.id("web"))
    );
    assert_eq!(
        peer_identity(again.client.peer_certificates().unwrap()),
        Ok(mesh.id("cart"))
    );
}

#[test]
fn a_session_is_not_resumed_under_another_configuration_of_the_same_server() {
    let mesh = Mesh::new("cluster.local");
    let client = mesh
        .tls()
        .client(&mesh.svid("web"), Expected::only(mesh.id("cart")))
        .unwrap();
    let cart = mesh.svid("cart");
    let kind = |server| {
        Meeting::hold(client.clone(), server)
            .server
            .handshake_kind()
            .unwrap()
    };
    assert_eq!(
        kind(mesh.tls().server(&cart, Required).unwrap()),
        HandshakeKind::Full
    );
    assert_eq!(
        kind(mesh.tls().server(&cart, Required).unwrap()),
        HandshakeKind::Full
    );
}

#[test]
fn a_server_resumes_nothing_after_ten_minutes_though_the_client_would() {
    let mesh = Mesh::new("cluster.local");
    let server = mesh.tls().server(&mesh.svid("cart"), Required).unwrap();
    // The client's clock stands still, so only the server can find the ticket too old.
    let still = mesh.tls().with_clock(common::Clock::new());
    let client = still
        .client(&mesh.svid("web"), Expected::only(mesh.id("cart")))
        .unwrap();
    let kind = || {
        Meeting::hold(client.clone(), server.clone())
            .server
            .handshake_kind()
            .unwrap()
    };
    assert_eq!(kind(), HandshakeKind::Full);
    mesh.clock.advance(Duration::from_secs(600));
    assert_eq!(kind(), HandshakeKind::Resumed);
    mesh.clock.advance(Duration::from_secs(601));
    assert_eq!(kind(), HandshakeKind::Full);
}

#[test]
fn a_server_resumes_nothing_past_the_end_of_its_own_certificate() {
    let mesh = Mesh::new("cluster.local");
    let brief = mesh.svid_from("cart", mesh.clock.now(), Duration::from_secs(20));
    let server = mesh.tls().server(&brief, Required).unwrap();
    let still = mesh.tls().with_clock(common::Clock::new());
    let client = still
        .client(&mesh.svid("web"), Expected::only(mesh.id("cart")))
        .unwrap();
    let kind = || {
        Meeting::hold(client.clone(), server.clone())
            .server
            .handshake_kind()
            .unwrap()
    };
    assert_eq!((kind(), kind()), (HandshakeKind::Full, HandshakeKind::Resumed));
    mesh.clock.advance(Duration::from_secs(21));
    assert_eq!(kind(), HandshakeKind::Full);
}

#[test]
fn a_resumed_peer_whose_certificate_has_ended_is_found_out_by_its_time() {
    let mesh = Mesh::new("cluster.local");
    let brief = mesh.svid_from("web", mesh.clock.now(), Duration::from_secs(30));
    let client = mesh
        .tls()
        .client(&brief, Expected::only(mesh.id("cart")))
        .unwrap();
    let server = mesh.tls().server(&mesh.svid("cart"), Required).unwrap();
    assert!(Meeting::hold(client.clone(), server.clone()).succeeded());
    mesh.clock.advance(Duration::from_secs(31));
    let again = Meeting::hold(client, server);
    assert_eq!(again.server.handshake_kind(), Some(HandshakeKind::Resumed));
    let peer = Peer::from_chain(again.server.peer_certificates().unwrap()).unwrap();
    assert_eq!(peer.check_time(mesh.clock.now()).unwrap_err().id(), "expired");
}

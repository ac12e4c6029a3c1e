//! Who may meet whom, and what each side is told when they may not.
#![allow(clippy::unwrap_used)]

mod common;

use std::{sync::Arc, time::Duration};

use common::{Forge, HOUR, Meeting, Mesh, shameless};
use rustls::{HandshakeKind, NamedGroup, ProtocolVersion, ServerConnection};
use wattle_identity::{
    BundleSet, ClientCertificates::*, Expected, Rejection, TlsSettings, TrustBundle, peer_identity,
};

fn meet(mesh: &Mesh, expected: Expected) -> Meeting {
    let client = mesh.tls().client(&mesh.svid("web"), expected).unwrap();
    let server = mesh.tls().server(&mesh.svid("cart"), Required).unwrap();
    Meeting::hold(client, server)
}

#[test]
fn two_workloads_of_one_mesh_meet_and_know_each_other() {
    let mesh = Mesh::new("cluster.local");
    let meeting = meet(&mesh, Expected::only(mesh.id("cart")));
    assert!(
        meeting.succeeded(),
        "{:?} {:?}",
        meeting.client_error,
        meeting.server_error
    );
    assert_eq!(
        peer_identity(meeting.client.peer_certificates().unwrap()),
        Ok(mesh.id("cart"))
    );
    assert_eq!(
        peer_identity(meeting.server.peer_certificates().unwrap()),
        Ok(mesh.id("web"))
    );
    assert_eq!(meeting.client.alpn_protocol(), Some(b"wattle".as_slice()));
    assert_eq!(meeting.server.server_name(), None);
}

#[test]
fn they_speak_tls_1_3_with_a_hybrid_key_exchange() {
    let mesh = Mesh::new("cluster.local");
    let meeting = meet(&mesh, Expected::only(mesh.id("cart")));
    assert_eq!(meeting.server.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    let group = meeting.server.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, NamedGroup::X25519MLKEM768);
    assert_eq!(meeting.server.handshake_kind(), Some(HandshakeKind::Full));
}

#[test]
fn a_server_under_another_name_is_refused_and_both_names_are_told() {
    let mesh = Mesh::new("cluster.local");
    let meeting = meet(&mesh, Expected::only(mesh.id("payment")));
    let rejection = meeting.client_says();
    assert_eq!(rejection.id(), "unexpected_identity");
    let text = rejection.to_string();
    assert_eq!(
        text,
        "peer is spiffe://cluster.local/ns/shop/sa/cart, expected spiffe://cluster.local/ns/shop/sa/payment"
    );
    assert_eq!(
        meeting.server_says(),
        Rejection::RefusedByPeer {
            alert: "certificate_unknown"
        }
    );
}

#[test]
fn nobody_is_allowed_by_an_empty_set_of_expected_names() {
    let mesh = Mesh::new("cluster.local");
    let meeting = meet(&mesh, std::iter::empty().collect());
    assert_eq!(meeting.client_says().id(), "unexpected_identity");
}

#[test]
fn any_workload_of_the_trust_domain_is_allowed_where_that_is_said() {
    let mesh = Mesh::new("cluster.local");
    assert!(meet(&mesh, Expected::AnyIn(mesh.trust_domain.clone())).succeeded());
    let elsewhere = Expected::AnyIn(common::domain("elsewhere"));
    assert_eq!(meet(&mesh, elsewhere).client_says().id(), "unexpected_identity");
}

#[test]
fn a_client_of_an_unknown_trust_domain_is_refused() {
    let (ours, theirs) = (Mesh::new("ours.example"), Mesh::new("theirs.example"));
    // The stranger would accept us, so that only our own check can refuse it.
    let stranger = ours
        .tls()
        .client(&theirs.svid("web"), Expected::only(ours.id("cart")))
        .unwrap();
    let meeting = Meeting::hold(stranger, ours.tls().server(&ours.svid("cart"), Required).unwrap());
    let rejection = meeting.server_says();
    assert_eq!(rejection.id(), "unknown_trust_domain");
    let text =
        "peer is spiffe://theirs.example/ns/shop/sa/web, expected a workload of trust domain ours.example";
    assert_eq!(rejection.to_string(), text);
    assert_eq!(
        meeting.client_says(),
        Rejection::RefusedByPeer {
            alert: "certificate_unknown"
        }
    );
}

#[test]
fn a_client_of_the_same_trust_domain_under_another_root_is_refused() {
    let (ours, impostor) = (Mesh::new("cluster.local"), Mesh::new("cluster.local"));
    let client = ours
        .tls()
        .client(&impostor.svid("web"), Expected::only(ours.id("cart")))
        .unwrap();
    let meeting = Meeting::hold(client, ours.tls().server(&ours.svid("cart"), Required).unwrap());
    assert_eq!(meeting.server_says().id(), "untrusted_issuer");
}

#[test]
fn a_server_under_another_root_is_refused() {
    let (ours, impostor) = (Mesh::new("cluster.local"), Mesh::new("cluster.local"));
    let client = ours
        .tls()
        .client(&ours.svid("web"), Expected::only(ours.id("cart")))
        .unwrap();
    let meeting = Meeting::hold(
        client,
        ours.tls().server(&impostor.svid("cart"), Required).unwrap(),
    );
    assert_eq!(meeting.client_says().id(), "untrusted_issuer");
}

#[test]
fn a_root_vouches_for_its_own_trust_domain_only() {
    let (ours, theirs) = (Mesh::new("ours.example"), Mesh::new("theirs.example"));
    let mut both = BundleSet::only(ours.authority.bundle().unwrap());
    both.insert(theirs.authority.bundle().unwrap()).unwrap();
    let tls = TlsSettings::new(Arc::new(both), &[]).with_clock(ours.clock.clone());
    let server = tls.server(&ours.svid("cart"), Required).unwrap();
    let client = tls
        .client(&theirs.svid("web"), Expected::only(ours.id("cart")))
        .unwrap();
    assert!(Meeting::hold(client, server.clone()).succeeded());

    // Both roots are believed here, but a root of theirs that names one of ours is not.
    let forge = Forge::new();
    let mut set = BundleSet::only(ours.authority.bundle().unwrap());
    set.insert(TrustBundle::new(theirs.trust_domain.clone(), [forge.root.clone()]).unwrap())
        .unwrap();
    let tls = TlsSettings::new(Arc::new(set), &[]).with_clock(ours.clock.clone());
    let (leaf, key) = forge.leaf(&["spiffe://ours.example/ns/shop/sa/web"]);
    let meeting = Meeting::hold(
        shameless(&ours, leaf, key),
        tls.server(&ours.svid("cart"), Required).unwrap(),
    );
    assert_eq!(meeting.server_says().id(), "untrusted_issuer");
}

#[test]
fn an_expired_client_is_refused_and_told_so() {
    let mesh = Mesh::new("cluster.local");
    let client = mesh
        .tls()
        .client(&mesh.svid("web"), Expected::only(mesh.id("cart")))
        .unwrap();
    mesh.clock.advance(2 * HOUR);
    let meeting = Meeting::hold(client, mesh.tls().server(&mesh.svid("cart"), Required).unwrap());
    let rejection = meeting.server_says();
    assert_eq!(rejection.id(), "expired");
    let text = "peer's certificate expired at 2026-11-23T17:00:00Z, it is 2026-11-23T18:00:00Z here";
    assert_eq!(rejection.to_string(), text);
    assert_eq!(
        meeting.client_says(),
        Rejection::RefusedByPeer {
            alert: "certificate_expired"
        }
    );
}

#[test]
fn an_expired_server_is_refused() {
    let mesh = Mesh::new("cluster.local");
    let server = mesh.tls().server(&mesh.svid("cart"), Required).unwrap();
    mesh.clock.advance(2 * HOUR);
    let client = mesh
        .tls()
        .client(&mesh.svid("web"), Expected::only(mesh.id("cart")))
        .unwrap();
    assert_eq!(Meeting::hold(client, server).client_says().id(), "expired");
}

#[test]
fn a_certificate_from_the_future_is_refused_but_a_minute_of_skew_is_not() {
    let mesh = Mesh::new("cluster.local");
    let server = mesh.tls().server(&mesh.svid("cart"), Required).unwrap();
    let ahead = |by| mesh.svid_from("web", mesh.clock.now() + Duration::from_secs(by), HOUR);
    let dial = |svid| mesh.tls().client(&svid, Expected::only(mesh.id("cart"))).unwrap();
    assert!(Meeting::hold(dial(ahead(60)), server.clone()).succeeded());
    assert_eq!(
        Meeting::hold(dial(ahead(61)), server).server_says().id(),
        "not_yet_valid"
    );
}

#[test]
fn a_client_without_certificate_is_refused_where_one_is_required() {
    let mesh = Mesh::new("cluster.local");
    let anonymous = mesh
        .tls()
        .anonymous_client(Expected::only(mesh.id("cart")))
        .unwrap();
    let meeting = Meeting::hold(
        anonymous,
        mesh.tls().server(&mesh.svid("cart"), Required).unwrap(),
    );
    assert_eq!(meeting.server_says(), Rejection::NoCertificate);
    assert_eq!(
        meeting.client_says(),
        Rejection::RefusedByPeer {
            alert: "certificate_required"
        }
    );
}

#[test]
fn a_client_without_certificate_is_let_in_where_it_is_optional_but_a_bad_one_is_not() {
    let (mesh, impostor) = (Mesh::new("cluster.local"), Mesh::new("cluster.local"));
    let server = mesh.tls().server(&mesh.svid("cart"), Optional).unwrap();
    let expected = Expected::only(mesh.id("cart"));
    let anonymous = Meeting::hold(
        mesh.tls().anonymous_client(expected.clone()).unwrap(),
        server.clone(),
    );
    assert!(anonymous.succeeded());
    assert_eq!(anonymous.server.peer_certificates(), None);
    let known = Meeting::hold(
        mesh.tls().client(&mesh.svid("web"), expected.clone()).unwrap(),
        server.clone(),
    );
    assert_eq!(
        peer_identity(known.server.peer_certificates().unwrap()),
        Ok(mesh.id("web"))
    );
    let bad = Meeting::hold(
        mesh.tls().client(&impostor.svid("web"), expected).unwrap(),
        server,
    );
    assert_eq!(bad.server_says().id(), "untrusted_issuer");
}

#[test]
fn a_client_without_certificate_still_checks_the_server() {
    let (mesh, impostor) = (Mesh::new("cluster.local"), Mesh::new("cluster.local"));
    let anonymous = mesh
        .tls()
        .anonymous_client(Expected::only(mesh.id("cart")))
        .unwrap();
    let meeting = Meeting::hold(
        anonymous,
        impostor.tls().server(&impostor.svid("cart"), Optional).unwrap(),
    );
    assert_eq!(meeting.client_says().id(), "untrusted_issuer");
}

#[test]
fn a_tls_1_2_client_is_refused() {
    let mesh = Mesh::new("cluster.local");
    let config = mesh.tls().server(&mesh.svid("cart"), Required).unwrap();
    let mut server = ServerConnection::new(config).unwrap();
    let hello = tls12_hello();
    server.read_tls(&mut hello.as_slice()).unwrap();
    let error = server.process_new_packets().unwrap_err();
    assert!(matches!(error, rustls::Error::PeerIncompatible(_)), "{error:?}");
    assert_eq!(Rejection::from_tls_error(&error), None);
}

/// A ClientHello as TLS 1.2 has it (RFC 5246 section 7.4.1.2): one suite, and P-256 with ECDSA.
fn tls12_hello() -> Vec<u8> {
    let extensions = [
        [0, 10, 0, 4, 0, 2, 0, 23].as_slice(), // supported groups: P-256
        &[0, 11, 0, 2, 1, 0],                  // point formats: uncompressed
        &[0, 13, 0, 4, 0, 2, 4, 3],            // signature algorithms: ecdsa_secp256r1_sha256
    ]
    .concat();
    let mut body = vec![3, 3];
    body.extend([7; 32]); // random
    body.extend([0, 0, 2, 0xc0, 0x2b, 1, 0]); // no session, ECDHE-ECDSA-AES128-GCM-SHA256, no compression
    body.extend([0, extensions.len() as u8]);
    body.extend(extensions);
    let mut hello = vec![22, 3, 1, 0, body.len() as u8 + 4, 1, 0, 0, body.len() as u8];
    hello.extend(body);
    hello
}

#[test]
fn old_and_new_root_are_both_believed_while_bundles_overlap() {
    let (old, new) = (Mesh::new("cluster.local"), Mesh::new("cluster.local"));
    let joined = old
        .authority
        .bundle()
        .unwrap()
        .joined(&new.authority.bundle().unwrap())
        .unwrap();
    let tls = TlsSettings::new(Arc::new(BundleSet::only(joined)), &[]).with_clock(old.clock.clone());
    for (from, to) in [(&old, &new), (&new, &old), (&old, &old), (&new, &new)] {
        let client = tls
            .client(&from.svid("web"), Expected::only(to.id("cart")))
            .unwrap();
        assert!(Meeting::hold(client, tls.server(&to.svid("cart"), Required).unwrap()).succeeded());
    }
}

#[test]
fn a_rejection_survives_the_passage_through_an_io_error() {
    let error = std::io::Error::new(
        std::io::ErrorKind::InvalidData,
        rustls::Error::from(Rejection::NoCertificate),
    );
    assert_eq!(Rejection::from_io_error(&error), Some(Rejection::NoCertificate));
    assert_eq!(
        Rejection::from_io_error(&std::io::Error::other("cable pulled")),
        None
    );
}

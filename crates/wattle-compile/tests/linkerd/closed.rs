//! What cannot be read lets nobody in.

use wattle_api::Kind;

use crate::mesh::{Deed, authentications, policy, server, verdicts, without};

#[test]
fn an_unreadable_route_closes_the_servers_of_its_namespace() {
    let objects = [server("all-unauthenticated")];
    for kind in [Kind::HttpRoute, Kind::LinkerdHttpRoute, Kind::GrpcRoute] {
        let mut mesh = without(&objects, kind, "default", "a");
        assert_eq!(
            verdicts(&mut mesh, 8080, Deed::Ask("GET shop/")),
            "-----",
            "{kind}"
        );
        assert_eq!(verdicts(&mut mesh, 9090, Deed::Connect), "+++++", "{kind}");
        let mut mesh = without(&objects, kind, "other", "a");
        assert_eq!(
            verdicts(&mut mesh, 8080, Deed::Ask("GET shop/")),
            "+++++",
            "{kind}"
        );
    }
}

#[test]
fn an_unreadable_namespace_might_deny() {
    let mut mesh = without(&[], Kind::Namespace, "", "default");
    assert_eq!(verdicts(&mut mesh, 9090, Deed::Connect), "-----");
    mesh.delete(&wattle_api::ObjectKey::new(Kind::Namespace, "", "default"));
    assert_eq!(verdicts(&mut mesh, 9090, Deed::Connect), "+++++");
    let mut mesh = without(&[], Kind::Namespace, "", "other");
    assert_eq!(verdicts(&mut mesh, 9090, Deed::Connect), "+++++");
}

#[test]
fn an_unreadable_authentication_or_policy_lets_nobody_in_by_it() {
    let objects = [
        server("deny"),
        policy("p", "Server web", &["MeshTLSAuthentication lost"]),
    ];
    for kind in [
        Kind::MeshTlsAuthentication,
        Kind::ServerPolicy,
        Kind::ServerAuthorization,
    ] {
        let all = [authentications(), objects.to_vec()].concat();
        let mut mesh = without(&all, kind, "default", "lost");
        assert_eq!(verdicts(&mut mesh, 8080, Deed::Connect), "-----", "{kind}");
    }
}

#[test]
fn an_unreadable_server_closes_its_namespace() {
    let mut mesh = without(&[], Kind::Server, "default", "web");
    assert_eq!(verdicts(&mut mesh, 9090, Deed::Connect), "-----");
}

//! Policies that are there and cannot be read fail closed.

#![allow(clippy::unwrap_used)]

use std::net::IpAddr;

use wattle_api::{Kind, ObjectKey};
use wattle_compile::{Mesh, Settings};
use wattle_model::{AuthorizationDecision, ConnectionFacts, MtlsMode, NoTrace, Reason};

fn mesh() -> Mesh {
    let mut mesh = Mesh::new(Settings::default());
    let yaml = "apiVersion: wattle.io/v1alpha1\nkind: Process\nmetadata: {name: a, namespace: shop}\nspec: {command: [a]}\n";
    mesh.reset(wattle_api::parse(yaml, "a.yaml").objects);
    mesh
}

fn refused(mesh: &mut Mesh) -> bool {
    let connection = ConnectionFacts {
        peer: None,
        peer_ip: IpAddr::from([10, 0, 0, 1]),
        local_ip: IpAddr::from([10, 0, 0, 2]),
        port: 80,
        sni: None,
    };
    let inbound = mesh.inbound("shop/a").unwrap();
    matches!(
        inbound.authorize(&connection, None, &mut NoTrace),
        AuthorizationDecision::Refused {
            reason: Reason::PolicyDenied,
            policy: Some(_),
            ..
        }
    )
}

#[test]
fn an_unreadable_authorization_policy_refuses_everything_until_it_is_gone() {
    for namespace in ["shop", "wattle-system"] {
        let mut mesh = mesh();
        assert!(!refused(&mut mesh));
        let key = ObjectKey::new(Kind::AuthorizationPolicy, namespace, "p");
        mesh.refuse(key.clone());
        assert!(refused(&mut mesh), "{namespace}");
        mesh.delete(&key);
        assert!(!refused(&mut mesh), "{namespace}");
        mesh.refuse(key);
        let objects = mesh.objects().cloned().collect();
        mesh.reset(objects);
        assert!(!refused(&mut mesh), "{namespace} after reset");
    }
}

#[test]
fn an_unreadable_policy_of_another_namespace_changes_nothing() {
    let mut mesh = mesh();
    mesh.refuse(ObjectKey::new(Kind::AuthorizationPolicy, "other", "p"));
    assert!(!refused(&mut mesh));
}

#[test]
fn the_last_good_version_stays_in_force() {
    let mut mesh = mesh();
    let yaml = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p, namespace: shop}\nspec: {rules: [{}]}\n";
    for object in wattle_api::parse(yaml, "p.yaml").objects {
        mesh.apply(object);
    }
    mesh.refuse(ObjectKey::new(Kind::AuthorizationPolicy, "shop", "p"));
    assert!(!refused(&mut mesh));
}

#[test]
fn an_unreadable_peer_authentication_asks_for_mutual_tls() {
    let mut mesh = mesh();
    assert_eq!(mesh.inbound("shop/a").unwrap().mtls, MtlsMode::Permissive);
    mesh.refuse(ObjectKey::new(Kind::PeerAuthentication, "shop", "p"));
    assert_eq!(mesh.inbound("shop/a").unwrap().mtls, MtlsMode::Strict);
}

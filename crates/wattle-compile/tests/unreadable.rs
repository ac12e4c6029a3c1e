//! Policies that are there and cannot be read fail closed.

#![allow(clippy::unwrap_used)]

use std::net::IpAddr;

use wattle_api::{Kind, ObjectKey};
use wattle_compile::{Mesh, Settings};
use wattle_model::{
    Access, Asked, AuthorizationDecision, CallerFacts, ConnectionFacts, MtlsMode, NoTrace, Outcome, Reason,
    RequestFacts, TokenLocation,
};

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

#[test]
fn an_unreadable_rate_limit_refuses_everything_until_it_is_gone() {
    for kind in [Kind::RateLimit, Kind::LocalRateLimit] {
        let mut mesh = mesh();
        mesh.refuse(ObjectKey::new(kind, "other", "l"));
        assert!(!refused(&mut mesh), "{kind} of another namespace");
        let key = ObjectKey::new(kind, "shop", "l");
        mesh.refuse(key.clone());
        assert!(refused(&mut mesh), "{kind}");
        mesh.delete(&key);
        assert!(!refused(&mut mesh), "{kind}");
    }
}

#[test]
fn an_unreadable_request_authentication_takes_no_token_until_it_is_gone() {
    for namespace in ["shop", "wattle-system"] {
        let mut mesh = mesh();
        mesh.refuse(ObjectKey::new(Kind::RequestAuthentication, "other", "t"));
        assert!(mesh.inbound("shop/a").unwrap().tokens.is_empty());
        let key = ObjectKey::new(Kind::RequestAuthentication, namespace, "t");
        mesh.refuse(key.clone());
        let inbound = mesh.inbound("shop/a").unwrap();
        let [rule] = inbound.tokens.as_slice() else {
            panic!("{namespace}: {:?}", inbound.tokens)
        };
        // A rule without keys refuses every token that is found where tokens are.
        assert_eq!((&rule.keys, &rule.locations), (&None, &TokenLocation::usual()));
        mesh.delete(&key);
        assert!(mesh.inbound("shop/a").unwrap().tokens.is_empty());
    }
}

/// What an address outside is to the workloads of a namespace.
fn outside(mesh: &mut Mesh, from: &str) -> Access {
    let destination = mesh.destination("203.0.113.9:443", from).unwrap();
    destination.access(&CallerFacts::default(), &mut NoTrace)
}

#[test]
fn an_unreadable_policy_of_what_lies_outside_refuses_all_of_it_until_it_is_gone() {
    let cases = [
        (Kind::EgressPolicy, "shop", Reason::UnknownDestination),
        (Kind::EgressNetwork, "shop", Reason::PolicyDenied),
        (Kind::EgressNetwork, "wattle-system", Reason::PolicyDenied),
        (Kind::EgressNetwork, "linkerd-egress", Reason::PolicyDenied),
    ];
    for (kind, namespace, reason) in cases {
        let mut mesh = mesh();
        mesh.refuse(ObjectKey::new(kind, "other", "e"));
        assert_eq!(outside(&mut mesh, "shop"), Access::Full);
        let key = ObjectKey::new(kind, namespace, "e");
        mesh.refuse(key.clone());
        assert_eq!(outside(&mut mesh, "shop"), Access::Refused(reason), "{key:?}");
        let asked = |mesh: &mut Mesh| mesh.names("shop").scopes.first().map(|scope| scope.asked.clone());
        assert_eq!(asked(&mut mesh), Some(Asked::Registered(Vec::new())), "{key:?}");
        mesh.delete(&key);
        assert_eq!(outside(&mut mesh, "shop"), Access::Full, "{key:?}");
        assert_eq!(asked(&mut mesh), None, "{key:?}");
    }
}

const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: shop}\n\
    spec: {selector: {app: s}, ports: [{port: 80, appProtocol: http}]}\n";
const ROUTE: &str = "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\n\
    metadata: {name: r, namespace: shop}\n\
    spec: {parentRefs: [{group: '', kind: Service, name: s}], rules: [{backendRefs: [{name: s, port: 80}]}]}\n";

#[test]
fn nothing_is_sent_to_a_service_whose_tls_cannot_be_read_until_that_is_gone() {
    for yaml in [SERVICE.to_owned(), format!("{SERVICE}{ROUTE}")] {
        let mut mesh = mesh();
        for object in wattle_api::parse(&yaml, "s.yaml").objects {
            mesh.apply(object);
        }
        mesh.refuse(ObjectKey::new(Kind::BackendTlsPolicy, "other", "p"));
        assert!(is_sent(&mut mesh));
        let key = ObjectKey::new(Kind::BackendTlsPolicy, "shop", "p");
        mesh.refuse(key.clone());
        assert!(!is_sent(&mut mesh), "{yaml}");
        mesh.delete(&key);
        assert!(is_sent(&mut mesh));
    }
}

/// Does a request to the service go anywhere?
fn is_sent(mesh: &mut Mesh) -> bool {
    let headers = http::HeaderMap::new();
    let request = RequestFacts {
        method: "GET",
        scheme: "http",
        authority: "s",
        path: "/",
        query: None,
        headers: &headers,
        caller: CallerFacts::default(),
        remote_ip: None,
        token: None,
    };
    let destination = mesh.destination("s:80", "shop").unwrap();
    matches!(
        destination.route(&request, 0, &mut NoTrace).outcome,
        Outcome::Forward { .. }
    )
}

//! Two sides of one Envoy, told by the encoder, meet by mutual TLS and let in whom policy lets in.
#![allow(clippy::unwrap_used)]

mod support;

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use support::keys::certify;
use support::mesh::{Mesh, backend, destination, endpoint, object, secured};
use support::{Running, bootstrap, free};
use wattle_model::{
    Attribute, Authorization, Condition, Inbound, InboundPort, MtlsMode, Operation, PathNormalization,
    Policy, PolicyRule, Protocol, Source, TextMatch,
};
use wattle_testkit::{Answer, Echo, Need, Request, ask, eventually, lacks};

/// Longest wait for a listener.
const PATIENCE: Duration = Duration::from_secs(10);

fn guarded(port: u16, mtls: MtlsMode, target: SocketAddr) -> Inbound {
    let declared = InboundPort {
        port,
        protocol: Protocol::Http1,
        mtls,
        mtls_origin: None,
        service: None,
        target: Some(target),
    };
    let policy = |rule| Policy {
        origin: object("policy"),
        rules: vec![rule],
    };
    let to = |path: &str| {
        vec![Operation {
            paths: vec![TextMatch::Prefix(path.into())],
            ..Operation::default()
        }]
    };
    let from = vec![Source {
        namespaces: vec![TextMatch::Exact("shop".into())],
        ..Source::default()
    }];
    let role = Condition {
        attribute: Attribute::parse("request.headers[x-role]"),
        values: vec![TextMatch::Exact("admin".into())],
        not_values: vec![],
        blocks: vec![],
        not_blocks: vec![],
    };
    Inbound {
        name: "shop/web-0".into(),
        ports: vec![declared],
        authorization: Authorization {
            deny: vec![
                policy(PolicyRule {
                    to: to("/secret"),
                    ..PolicyRule::default()
                }),
                policy(PolicyRule {
                    when: vec![role],
                    ..PolicyRule::default()
                }),
            ],
            allow: vec![policy(PolicyRule {
                from,
                ..PolicyRule::default()
            })],
            ..Authorization::default()
        },
        ..Inbound::default()
    }
}

/// A workload that calls itself, under this mode of its port: where it dials, whose identity it expects, and its port.
struct Side {
    _envoy: Running,
    web: SocketAddr,
    stranger: SocketAddr,
    clear: SocketAddr,
    port: SocketAddr,
}

fn side(mtls: MtlsMode) -> Side {
    side_of(|port, target| guarded(port, mtls, target))
}

fn side_of(inbound: impl FnOnce(u16, SocketAddr) -> Inbound) -> Side {
    let echo = Echo::start_here("app").unwrap();
    let (web, stranger, clear, port) = (free(), free(), free(), free());
    let mut mesh = Mesh {
        inbound: Some(inbound(port.port(), echo.address)),
        ..Mesh::default()
    };
    mesh.endpoints("web:80", vec![secured(port, "web")]);
    mesh.endpoints("stranger:80", vec![secured(port, "stranger")]);
    mesh.endpoints("clear:80", vec![endpoint(port)]);
    for (at, id) in [(web, "web:80"), (stranger, "stranger:80"), (clear, "clear:80")] {
        mesh.add(destination(at, Protocol::Http1, vec![backend(id)]));
    }
    let mut bootstrap = bootstrap(&mesh.encode(), true);
    certify(&mut bootstrap, "web");
    let listeners = &mut bootstrap.static_resources.as_mut().unwrap().listeners;
    // Without redirection the address that was dialled is the listener's own.
    let inbound = listeners
        .iter_mut()
        .find(|listener| listener.name == "inbound")
        .unwrap();
    inbound.address = support::address(port);
    let envoy = Running::start(&bootstrap, port);
    for at in [web, stranger, clear] {
        // Its listeners open one after the other.
        eventually("it listens there too", PATIENCE, || TcpStream::connect(at).ok());
    }
    Side {
        _envoy: envoy,
        web,
        stranger,
        clear,
        port,
    }
}

fn get(at: SocketAddr, path: &str) -> Answer {
    ask(at, &Request::get("web.test", path)).unwrap()
}

#[test]
fn a_known_peer_is_let_in_and_named_to_the_application() {
    if lacks(&[Need::Envoy]) {
        return;
    }
    let side = side(MtlsMode::Strict);
    let answer = get(side.web, "/a");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(
        answer.text().contains("URI=spiffe://mesh.test/ns/shop/sa/web"),
        "{}",
        answer.text()
    );
}

#[test]
fn a_peer_that_is_not_the_expected_one_gets_nothing() {
    if lacks(&[Need::Envoy]) {
        return;
    }
    assert_eq!(get(side(MtlsMode::Strict).stranger, "/a").status, 503);
}

#[test]
fn policy_denies_by_path_however_it_is_spelt_and_by_each_value_of_a_header() {
    if lacks(&[Need::Envoy]) {
        return;
    }
    let side = side(MtlsMode::Strict);
    for path in [
        "/secret",
        "/secret/x",
        "/x/../secret",
        "/%73ecret",
        "//secret",
        "/%2Fsecret",
        "/x/..%2fsecret",
    ] {
        assert_eq!(get(side.web, path).status, 403, "{path}");
    }
    let mut request = Request::get("web.test", "/a");
    request.headers = vec![
        ("x-role".into(), "guest".into()),
        ("x-role".into(), "admin".into()),
    ];
    assert_eq!(ask(side.web, &request).unwrap().status, 403);
    request.headers.pop();
    assert_eq!(ask(side.web, &request).unwrap().status, 200);
}

#[test]
fn the_application_gets_paths_in_the_form_that_is_configured() {
    if lacks(&[Need::Envoy]) {
        return;
    }
    for form in [
        PathNormalization::AsSent,
        PathNormalization::Base,
        PathNormalization::MergeSlashes,
        PathNormalization::DecodeAndMergeSlashes,
    ] {
        let side = side_of(|port, target| Inbound {
            paths: form,
            authorization: Authorization::default(),
            ..guarded(port, MtlsMode::Permissive, target)
        });
        for sent in [
            "/a/b?c=//%2F",
            "/a/../b",
            "/a/./b/",
            "/%61//b",
            "//a///b",
            "/a%2Fb",
            "/a%2f..%5Cb?d=..",
            "/a%252Fb",
        ] {
            let told: serde_json::Value = serde_json::from_str(&get(side.web, sent).text()).unwrap();
            assert_eq!(told["target"], *form.of(sent), "{form:?} {sent}");
        }
    }
}

#[test]
fn plaintext_is_refused_by_mode_or_by_policy_that_asks_for_an_identity() {
    if lacks(&[Need::Envoy]) {
        return;
    }
    for mode in [MtlsMode::Strict, MtlsMode::Permissive] {
        let side = side(mode);
        for at in [side.clear, side.port] {
            assert_eq!(get(at, "/a").status, 403, "{mode:?}");
        }
        assert_eq!(get(side.web, "/a").status, 200, "{mode:?}");
    }
}

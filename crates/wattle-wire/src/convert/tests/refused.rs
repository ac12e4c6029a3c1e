//! What makes no sense is refused by the path of its field.

mod policies;
mod rules;

use prost::Message;

use crate::proto::mesh;
use crate::{Kind, Resource};

/// A change to something sound, and what is said of it.
type Row<M> = (fn(&mut M), &'static str);

fn refused<M: Message + Clone>(kind: Kind, sound: &M, rows: &[Row<M>]) {
    let accepted = Resource::decode(kind, &sound.encode_to_vec());
    assert!(
        accepted.is_ok(),
        "the unchanged message was refused: {accepted:?}"
    );
    for (change, expected) in rows {
        let mut message = sound.clone();
        change(&mut message);
        let found = Resource::decode(kind, &message.encode_to_vec());
        assert_eq!(
            found.map_err(|error| error.to_string()),
            Err((*expected).to_owned())
        );
    }
}

/// A backend, a rule and a route of connections that go there.
fn destination() -> mesh::Destination {
    let share = mesh::WeightedBackend {
        backend: Some(0),
        ..Default::default()
    };
    let forward = mesh::Forward {
        backends: vec![share.clone()],
    };
    let rule = mesh::RouteRule {
        origin: Some(mesh::RuleRef::default()),
        matches: Some(mesh::RequestMatch::default()),
        filters: Some(mesh::Filters::default()),
        action: Some(mesh::route_rule::Action::Forward(forward)),
        ..Default::default()
    };
    let connection = mesh::ConnectionRoute {
        origin: Some(mesh::RuleRef::default()),
        matches: Some(mesh::ConnectionMatch::default()),
        backends: vec![share],
    };
    mesh::Destination {
        rules: vec![rule],
        connections: vec![connection],
        backends: vec![mesh::Backend {
            policy: Some(policy()),
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn policy() -> mesh::BackendPolicy {
    mesh::BackendPolicy {
        tls: Some(mesh::UpstreamTls {
            kind: Some(mesh::upstream_tls::Kind::Mesh(true)),
        }),
        ..Default::default()
    }
}

fn destinations(rows: &[Row<mesh::Destination>]) {
    refused(Kind::Destination, &destination(), rows);
}

#[test]
fn a_reference_to_no_backend_is_refused() {
    destinations(&[
        (
            |d| d.default_backend = Some(1),
            "default_backend: refers to backend 1 of 1",
        ),
        (
            |d| {
                let backends = vec![mesh::WeightedBackend {
                    backend: Some(2),
                    ..Default::default()
                }];
                d.rules[0].action = Some(mesh::route_rule::Action::Forward(mesh::Forward { backends }));
            },
            "rules[0].forward[0].backend: refers to backend 2 of 1",
        ),
        (
            |d| d.connections[0].backends[0].backend = Some(9),
            "connections[0].backends[0].backend: refers to backend 9 of 1",
        ),
        (
            |d| {
                d.rules[0].filters = Some(mesh::Filters {
                    mirrors: vec![mesh::Mirror {
                        backend: Some(1),
                        ..Default::default()
                    }],
                    ..Default::default()
                });
            },
            "rules[0].filters.mirrors[0].backend: refers to backend 1 of 1",
        ),
    ]);
}

#[test]
fn what_would_open_a_door_by_being_absent_is_refused() {
    destinations(&[
        (|d| d.rules[0].matches = None, "rules[0]: matches is missing"),
        (|d| d.rules[0].action = None, "rules[0]: action is missing"),
        (
            |d| d.connections[0].matches = None,
            "connections[0]: matches is missing",
        ),
        (|d| d.backends[0].policy = None, "backends[0]: policy is missing"),
        (
            |d| d.backends[0].policy = Some(mesh::BackendPolicy::default()),
            "backends[0].policy: tls is missing",
        ),
        (
            |d| {
                let origination = mesh::TlsOrigination::default();
                let kind = Some(mesh::upstream_tls::Kind::Origination(origination));
                d.backends[0].policy = Some(mesh::BackendPolicy {
                    tls: Some(mesh::UpstreamTls { kind }),
                    ..Default::default()
                });
            },
            "backends[0].policy.tls.origination: files is missing",
        ),
        (
            |d| {
                d.backends[0].callers = vec![mesh::CallerBackend {
                    seen: Some(mesh::SeenBackend::default()),
                    ..Default::default()
                }];
            },
            "backends[0].callers[0].seen: policy is missing",
        ),
        (
            |d| d.scopes = vec![mesh::CallerScope::default()],
            "scopes[0]: access is missing",
        ),
        (
            |d| d.rules[0].retry = Some(mesh::RetryPolicy::default()),
            "rules[0].retry: on is missing",
        ),
    ]);
    let inbound = mesh::Inbound {
        authorization: Some(mesh::Authorization::default()),
        ..Default::default()
    };
    refused(
        Kind::Inbound,
        &inbound,
        &[
            (|inbound| inbound.authorization = None, "authorization is missing"),
            (
                |inbound| inbound.rate_limits = vec![mesh::RateLimit::default()],
                "rate_limits[0]: allowance is missing",
            ),
        ],
    );
    refused(
        Kind::Names,
        &mesh::Names::default(),
        &[(
            |names| names.scopes = vec![mesh::NameScope::default()],
            "scopes[0]: asked is missing",
        )],
    );
    refused(
        Kind::Endpoints,
        &mesh::Endpoints::default(),
        &[(
            |endpoints| {
                endpoints.names = vec![mesh::NamedEndpoint {
                    host: "a.example".to_owned(),
                    ..Default::default()
                }];
            },
            "names[0]: template is missing",
        )],
    );
}

//! What makes no sense is refused by the path of its field.

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

fn matched(matches: mesh::RequestMatch) -> mesh::Destination {
    let mut destination = destination();
    destination.rules[0].matches = Some(matches);
    destination
}

#[test]
fn matches_that_could_never_be_meant_are_refused() {
    use mesh::{host_match, path_match};
    let host = |kind| mesh::RequestMatch {
        hosts: vec![mesh::HostMatch { kind: Some(kind) }],
        ..Default::default()
    };
    let path = |kind| mesh::RequestMatch {
        path: Some(mesh::PathMatch { kind }),
        ..Default::default()
    };
    let header = |name: &str| mesh::RequestMatch {
        headers: vec![mesh::HeaderMatch {
            name: name.to_owned(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let table = [
        (
            host(host_match::Kind::Exact("A.example".to_owned())),
            "hosts[0]: host \"A.example\" is not in lower case",
        ),
        (
            host(host_match::Kind::Suffix("example".to_owned())),
            "hosts[0]: suffix \"example\" does not start with a dot",
        ),
        (path(None), "path: kind is missing"),
        (
            path(Some(path_match::Kind::Regex("a)|(b".to_owned()))),
            "path.regex: \"a)|(b\" is not a regular expression: ",
        ),
        (header("a b"), "headers[0].name: \"a b\" is not a header name"),
        (header("a"), "headers[0]: value is missing"),
    ];
    for (matches, expected) in table {
        let bytes = matched(matches).encode_to_vec();
        let error = Resource::decode(Kind::Destination, &bytes)
            .unwrap_err()
            .to_string();
        let expected = format!("rules[0].matches.{expected}");
        assert!(error.starts_with(&expected), "{error} instead of {expected}");
    }
}

#[test]
fn what_a_rule_cannot_do_is_refused() {
    use mesh::route_rule::Action;
    destinations(&[
        (
            |d| d.rules[0].action = Some(Action::Respond(mesh::DirectResponse::default())),
            "rules[0].respond.status: 0, 200 to 599 expected",
        ),
        (
            |d| {
                let body = vec![0; 1024 * 1024 + 1];
                d.rules[0].action = Some(Action::Respond(mesh::DirectResponse { status: 200, body }));
            },
            "rules[0].respond.body: 1048577 bytes, at most 1048576 expected",
        ),
        (
            |d| d.rules[0].action = Some(Action::Refuse("no_such".to_owned())),
            "rules[0].refuse: reason \"no_such\" is not known",
        ),
        (
            |d| {
                let port = Some(mesh::redirect::Port::Fixed(0));
                d.rules[0].action = Some(Action::Redirect(mesh::Redirect {
                    port,
                    status: 302,
                    ..Default::default()
                }));
            },
            "rules[0].redirect.port: 0, 1 to 65535 expected",
        ),
        (
            |d| {
                d.rules[0].timeouts = Some(mesh::Timeouts {
                    idle_nanos: Some(0),
                    ..Default::default()
                });
            },
            "rules[0].timeouts.idle: no time, more than 0 expected",
        ),
        (
            |d| {
                d.connections[0].backends[0].filters = Some(mesh::Filters {
                    fault: Some(mesh::Fault::default()),
                    ..Default::default()
                });
            },
            "connections[0].backends[0].filters: cors and fault belong to a rule, not to one backend of it",
        ),
    ]);
}

fn with_filters(d: &mut mesh::Destination, change: impl FnOnce(&mut mesh::Filters)) {
    change(d.rules[0].filters.get_or_insert_default());
}

#[test]
fn filters_that_make_no_sense_are_refused() {
    fn abort(chance: u32, status: mesh::abort::Status) -> Option<mesh::Fault> {
        let status = Some(status);
        Some(mesh::Fault {
            abort: Some(mesh::Abort { chance, status }),
            ..Default::default()
        })
    }
    use mesh::abort::Status;
    destinations(&[
        (
            |d| with_filters(d, |filters| filters.fault = abort(1_000_001, Status::Http(500))),
            "rules[0].filters.fault.abort.chance: 1000001, 0 to 1000000 expected",
        ),
        (
            |d| with_filters(d, |filters| filters.fault = abort(1, Status::Http(600))),
            "rules[0].filters.fault.abort.http: 600, 200 to 599 expected",
        ),
        (
            |d| with_filters(d, |filters| filters.fault = abort(1, Status::Grpc(17))),
            "rules[0].filters.fault.abort.grpc: 17, 0 to 16 expected",
        ),
        (
            |d| with_filters(d, |filters| filters.cors = Some(mesh::Cors::default())),
            "rules[0].filters.cors: methods is missing",
        ),
        (
            |d| {
                with_filters(d, |filters| {
                    let kind = Some(mesh::cors_list::Kind::These("a\r\nb".to_owned()));
                    filters.cors = Some(mesh::Cors {
                        methods: Some(mesh::CorsList { kind }),
                        ..Default::default()
                    });
                });
            },
            "rules[0].filters.cors.methods: \"a\\r\\nb\" is not the value of a header",
        ),
    ]);
}

fn with_retry(d: &mut mesh::Destination, change: impl FnOnce(&mut mesh::RetryPolicy, &mut mesh::RetryOn)) {
    let (mut retry, mut on) = (mesh::RetryPolicy::default(), mesh::RetryOn::default());
    change(&mut retry, &mut on);
    retry.on = Some(on);
    d.rules[0].retry = Some(retry);
}

#[test]
fn repetitions_and_sessions_out_of_bounds_are_refused() {
    destinations(&[
        (
            |d| with_retry(d, |retry, _| retry.attempts = 21),
            "rules[0].retry.attempts: 21, 0 to 20 expected",
        ),
        (
            |d| {
                with_retry(d, |_, on| {
                    on.statuses = vec![mesh::StatusRange { from: 503, to: 500 }]
                })
            },
            "rules[0].retry.on.statuses[0].to: 500, 503 to 599 expected",
        ),
        (
            |d| with_retry(d, |_, on| on.grpc = 1 << 17),
            "rules[0].retry.on.grpc: 131072, 0 to 131071 expected",
        ),
        (
            |d| {
                let cookie = mesh::SessionCookie {
                    name: "a; domain=b".to_owned(),
                    ..Default::default()
                };
                d.rules[0].session = Some(mesh::SessionPersistence {
                    carrier: Some(mesh::session_persistence::Carrier::Cookie(cookie)),
                    ..Default::default()
                });
            },
            "rules[0].session.cookie.name: \"a; domain=b\" cannot be part of a cookie",
        ),
    ]);
}

/// Decodes a backend's policy after a change; the error without the path of the policy.
fn policy_error(change: impl FnOnce(&mut mesh::BackendPolicy)) -> String {
    let mut policy = policy();
    change(&mut policy);
    let mut destination = destination();
    destination.backends[0].policy = Some(policy);
    let found = Resource::decode(Kind::Destination, &destination.encode_to_vec());
    let error = found.unwrap_err().to_string();
    error
        .strip_prefix("backends[0].policy.")
        .unwrap_or(&error)
        .to_owned()
}

#[test]
fn tables_of_hashes_are_bounded() {
    use mesh::hash_balance::{Key, Table};
    let table = [
        (Some(Table::Ring(0)), "ring: 0, 1 to 8388608 expected"),
        (
            Some(Table::Ring(8_388_609)),
            "ring: 8388609, 1 to 8388608 expected",
        ),
        (Some(Table::Maglev(65_536)), "maglev: 65536 is not a prime"),
        (
            Some(Table::Maglev(5_000_012)),
            "maglev: 5000012, 2 to 5000011 expected",
        ),
    ];
    for (table, expected) in table {
        let hash = mesh::HashBalance {
            key: Some(Key::SourceAddress(true)),
            table,
        };
        let kind = Some(mesh::balance::Kind::Hash(hash));
        let error = policy_error(|policy| policy.balance = Some(mesh::Balance { kind }));
        assert_eq!(error, format!("balance.hash.{expected}"));
    }
}

#[test]
fn numbers_of_a_backends_policy_are_bounded() {
    let warmup = |minimum_percent, aggression| {
        policy_error(|policy| {
            policy.warmup = Some(mesh::Warmup {
                duration_nanos: 1,
                minimum_percent,
                aggression,
            });
        })
    };
    assert_eq!(
        warmup(f64::NAN, 1.0),
        "warmup.minimum_percent: NaN, 0.0 to 100.0 expected"
    );
    assert_eq!(
        warmup(101.0, 1.0),
        "warmup.minimum_percent: 101.0, 0.0 to 100.0 expected"
    );
    assert!(warmup(1.0, f64::INFINITY).starts_with("warmup.aggression: inf, 1.0 to "));
    let budget = |percent, window_nanos| {
        let rate = mesh::RateBudget {
            percent,
            window_nanos,
            ..Default::default()
        };
        let kind = Some(mesh::retry_budget::Kind::Rate(rate));
        policy_error(|policy| policy.retry_budget = Some(mesh::RetryBudget { kind }))
    };
    assert_eq!(
        budget(1000.5, 1),
        "retry_budget.rate.percent: 1000.5, 0.0 to 1000.0 expected"
    );
    assert_eq!(
        budget(20.0, 1),
        "retry_budget.rate.window: 1ns, 1s to 60s expected"
    );
    let limits = policy_error(|policy| {
        policy.limits = Some(mesh::Limits {
            connections: Some(0),
            ..Default::default()
        });
    });
    assert_eq!(limits, "limits.connections: 0, 1 to 4294967295 expected");
    let outliers = |interval_nanos, max_ejection_percent| {
        policy_error(|policy| {
            policy.outliers = Some(mesh::OutlierDetection {
                interval_nanos,
                base_ejection_nanos: 1,
                max_ejection_nanos: 1,
                max_ejection_percent,
                ..Default::default()
            });
        })
    };
    assert_eq!(
        outliers(0, 10),
        "outliers.interval: no time, more than 0 expected"
    );
    assert_eq!(
        outliers(1, 101),
        "outliers.max_ejection_percent: 101, 0 to 100 expected"
    );
}

#[test]
fn what_is_not_known_of_a_backends_connections_is_refused() {
    assert_eq!(
        policy_error(|policy| policy.proxy_protocol = Some(2)),
        "proxy_protocol: version 2 is not known"
    );
    assert_eq!(
        policy_error(|policy| policy.http_version = 9),
        "http_version: version 9 is not known"
    );
    let half = policy_error(|policy| {
        let files = Some(mesh::TlsFiles {
            key: Some("key.pem".to_owned()),
            ..Default::default()
        });
        let origination = mesh::TlsOrigination {
            files,
            ..Default::default()
        };
        let kind = Some(mesh::upstream_tls::Kind::Origination(origination));
        policy.tls = Some(mesh::UpstreamTls { kind });
    });
    assert_eq!(
        half,
        "tls.origination.files: certificate and key come together or not at all"
    );
    let hasty = policy_error(|policy| {
        policy.health_check = Some(mesh::HealthCheck {
            probe: Some(mesh::health_check::Probe::Tcp(true)),
            interval_nanos: 5,
            ..Default::default()
        });
    });
    assert!(hasty.starts_with("health_check.interval: 5ns, 1s to "), "{hasty}");
}

#[test]
fn limits_that_could_not_be_counted_are_refused() {
    use mesh::rate_limit::Allowance;
    let local = |requests, per_nanos, burst| {
        Allowance::Local(mesh::LocalLimit {
            requests,
            per_nanos,
            burst,
            by_identity: false,
        })
    };
    let global = |service: &str, timeout_nanos| {
        Allowance::Global(mesh::GlobalLimit {
            service: service.to_owned(),
            timeout_nanos,
            ..Default::default()
        })
    };
    let table = [
        (local(0, 1, 1), "local.requests: 0, 1 to 4294967295 expected"),
        (local(1, 0, 1), "local.per: no time, more than 0 expected"),
        (local(1, 1, 0), "local.burst: 0, 1 to 4294967295 expected"),
        (
            global("counter", 1),
            "global.service: \"counter\" is not host:port",
        ),
        (
            global("counter:1", 10_000_000_001),
            "global.timeout: 10.000000001s, 0ns to 10s expected",
        ),
    ];
    for (allowance, expected) in table {
        let rate_limit = mesh::RateLimit {
            allowance: Some(allowance),
            ..Default::default()
        };
        let inbound = mesh::Inbound {
            authorization: Some(mesh::Authorization::default()),
            rate_limits: vec![rate_limit],
            ..Default::default()
        };
        let error = Resource::decode(Kind::Inbound, &inbound.encode_to_vec()).unwrap_err();
        assert_eq!(error.to_string(), format!("rate_limits[0].{expected}"));
    }
}

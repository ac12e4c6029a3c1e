//! What rules cannot say.

use prost::Message;

use super::{destination, destinations};
use crate::proto::mesh;
use crate::{Kind, Resource};

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

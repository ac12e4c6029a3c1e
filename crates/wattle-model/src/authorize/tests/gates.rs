//! Gates of ports, beside the other policies.

use super::*;
use crate::{GateRoute, PathMatch, RequestMatch, RuleRef};

fn of(port: Option<u16>, allow: Vec<PolicyRule>) -> Gate {
    Gate {
        origin: ObjectRef {
            name: "server".into(),
            ..policy(vec![]).origin
        },
        port,
        allow: vec![policy(allow)],
        routes: vec![],
        audit: false,
    }
}

fn at(path: &str, allow: Vec<PolicyRule>) -> GateRoute {
    GateRoute {
        origin: RuleRef {
            object: policy(vec![]).origin,
            rule: 0,
            matched: 0,
            name: "".into(),
        },
        matches: RequestMatch {
            path: Some(PathMatch::Prefix(path.into())),
            ..RequestMatch::default()
        },
        allow: vec![policy(allow)],
    }
}

fn behind(gates: Vec<Gate>) -> Inbound {
    let mut inbound = inbound(vec![], None);
    inbound.authorization.gates = gates;
    inbound
}

/// Whether a known peer's request for a path is let in.
fn passes(inbound: &Inbound, path: &str) -> bool {
    let headers = headers();
    let request = request(path, &headers);
    matches!(
        inbound.authorize(&connection(true), Some(&request), &mut NoTrace),
        AuthorizationDecision::Allowed { .. }
    )
}

#[test]
fn the_gate_that_names_a_port_counts_before_the_one_of_all_others() {
    let open = || vec![PolicyRule::default()];
    assert!(passes(
        &behind(vec![of(None, vec![]), of(Some(8080), open())]),
        "/"
    ));
    assert!(!passes(
        &behind(vec![of(None, open()), of(Some(8080), vec![])]),
        "/"
    ));
    assert!(!passes(&behind(vec![of(None, vec![]), of(Some(1), open())]), "/"));
    assert!(passes(&behind(vec![of(Some(1), vec![])]), "/"));
}

#[test]
fn a_refusal_names_the_gate() {
    let inbound = behind(vec![of(Some(8080), vec![])]);
    let decision = inbound.authorize(&connection(true), None, &mut NoTrace);
    let AuthorizationDecision::Refused {
        reason: Reason::PolicyNotAllowed,
        policy: Some(gate),
        rule: None,
    } = decision
    else {
        panic!("{decision:?}")
    };
    assert_eq!(&*gate.name, "server");
}

#[test]
fn each_reading_of_a_path_has_to_be_let_in_by_its_route() {
    let mut gate = of(Some(8080), vec![]);
    gate.routes = vec![at("/admin", vec![]), at("/", vec![PolicyRule::default()])];
    let inbound = behind(vec![gate]);
    for (path, expected) in [
        ("/", true),
        ("/a//b", true),
        ("/admin", false),
        ("/x/../admin", false),
        ("//admin", false),
        ("/x%2f..%2fadmin", false),
        ("/administration", true),
    ] {
        assert_eq!(passes(&inbound, path), expected, "{path}");
    }
}

#[test]
fn each_of_several_values_may_be_the_one_that_an_application_reads() {
    let mut guarded = at("/", vec![]);
    guarded.matches.headers = vec![crate::HeaderMatch {
        name: http::HeaderName::from_static("x-role"),
        value: TextMatch::Exact("admin".into()),
        inverted: false,
    }];
    let mut asked = at("/", vec![]);
    asked.matches.query = vec![crate::QueryMatch {
        name: "debug".into(),
        value: TextMatch::Exact("1".into()),
    }];
    let open = || at("/", vec![PolicyRule::default()]);
    let let_in = |routes: Vec<GateRoute>, query| {
        let mut gate = of(Some(8080), vec![]);
        gate.routes = routes;
        let (inbound, headers) = (behind(vec![gate]), headers());
        let request = RequestFacts {
            query,
            ..request("/", &headers)
        };
        matches!(
            inbound.authorize(&connection(true), Some(&request), &mut NoTrace),
            AuthorizationDecision::Allowed { .. }
        )
    };
    // The request has the roles guest and admin.
    assert!(!let_in(vec![guarded, open()], None));
    for (query, expected) in [("debug=1", false), ("debug=0&debug=1", false), ("debug=0", true)] {
        assert_eq!(
            let_in(vec![asked.clone(), open()], Some(query)),
            expected,
            "{query}"
        );
    }
}

#[test]
fn a_request_without_a_route_is_refused_even_where_its_gate_audits() {
    let mut gate = of(Some(8080), vec![PolicyRule::default()]);
    gate.audit = true;
    gate.routes = vec![at("/a", vec![])];
    let inbound = behind(vec![gate]);
    assert!(passes(&inbound, "/a/b"));
    assert!(!passes(&inbound, "/b"));
}

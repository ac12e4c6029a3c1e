#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use http::HeaderMap;

use super::*;
use crate::{
    NoTrace, ObjectRef, PathMatch, Protocol, RequestMatch, RouteTable, RuleRef, ServicePort, Timeouts,
};

fn backend(id: &str) -> Backend {
    Backend {
        id: id.into(),
        service: None,
        protocol: Protocol::Http1,
        ..Backend::default()
    }
}

fn rule(number: u32, path: Option<PathMatch>, action: Action) -> RouteRule {
    let object = ObjectRef {
        kind: "HTTPRoute".into(),
        namespace: "default".into(),
        name: "r".into(),
        file: "r.yaml".into(),
        line: 3,
    };
    RouteRule {
        origin: RuleRef {
            object,
            rule: number,
            matched: 0,
            name: "".into(),
        },
        matches: RequestMatch {
            path,
            ..Default::default()
        },
        filters: Arc::default(),
        action: Arc::new(action),
        timeouts: Timeouts::default(),
        retry: None,
        session: None,
    }
}

fn weighted(backend: Option<u32>, weight: u32) -> WeightedBackend {
    WeightedBackend {
        backend,
        written: "b".into(),
        weight,
        filters: None,
    }
}

fn destination(rules: Vec<RouteRule>) -> Destination {
    Destination {
        name: "10.0.0.1:8080".into(),
        service: Some(ServicePort {
            namespace: "default".into(),
            name: "a".into(),
            host: "a".into(),
            port: 8080,
        }),
        protocol: Protocol::Http1,
        routes: RouteTable::new(rules),
        backends: vec![backend("a"), backend("b")],
        default_backend: Some(0),
        ..Destination::default()
    }
}

fn request<'a>(path: &'a str, headers: &'a HeaderMap) -> RequestFacts<'a> {
    RequestFacts {
        method: "GET",
        scheme: "http",
        authority: "a",
        path,
        query: None,
        headers,
        caller: crate::CallerFacts::default(),
        remote_ip: None,
        token: None,
    }
}

fn forwarded(decision: &RouteDecision<'_>) -> Option<u32> {
    match decision.outcome {
        Outcome::Forward { index, .. } => Some(index),
        _ => None,
    }
}

#[test]
fn without_rules_everything_goes_to_the_default_backend() {
    let headers = HeaderMap::new();
    let plain = destination(vec![]);
    assert_eq!(
        forwarded(&plain.route(&request("/x", &headers), 0, &mut NoTrace)),
        Some(0)
    );
    let closed = Destination {
        default_backend: None,
        ..plain
    };
    let decision = closed.route(&request("/x", &headers), 0, &mut NoTrace);
    assert_eq!(decision.outcome, Outcome::Refuse(Reason::NoBackend));
}

#[test]
fn with_rules_what_matches_none_is_refused_and_the_trace_says_why() {
    let headers = HeaderMap::new();
    let api = Some(PathMatch::Prefix("/api".into()));
    let there = destination(vec![rule(0, api, Action::Forward(vec![weighted(Some(1), 1)]))]);
    assert_eq!(
        forwarded(&there.route(&request("/api/x", &headers), 0, &mut NoTrace)),
        Some(1)
    );
    let mut steps = Vec::new();
    let decision = there.route(&request("/x", &headers), 0, &mut steps);
    assert_eq!(decision.outcome, Outcome::Refuse(Reason::NoRoute));
    assert_eq!(steps[0].subject, "HTTPRoute default/r (r.yaml:3) rule 0");
    assert_eq!(steps[0].detail, "path /x does not start with /api");
    assert_eq!(steps[1].verdict, Verdict::Refused);
}

#[test]
fn the_first_rule_that_matches_is_taken() {
    let headers = HeaderMap::new();
    let first = rule(0, None, Action::Forward(vec![weighted(Some(1), 1)]));
    let second = rule(1, None, Action::Forward(vec![weighted(Some(0), 1)]));
    let there = destination(vec![first, second]);
    let decision = there.route(&request("/", &headers), 0, &mut NoTrace);
    assert_eq!(
        (decision.rule.unwrap().origin.rule, forwarded(&decision)),
        (0, Some(1))
    );
}

#[test]
fn weights_share_the_whole_range_of_random_numbers() {
    let backends = [weighted(Some(0), 90), weighted(Some(1), 10), weighted(None, 0)];
    let steps = 10_000u64;
    let at = |step: u64| u64::MAX / steps * step;
    let second = (0..steps)
        .filter(|step| choose(&backends, at(*step)).unwrap().backend == Some(1))
        .count();
    assert!((999..=1001).contains(&second), "{second}");
    assert_eq!(choose(&backends, u64::MAX).unwrap().backend, Some(1));
    assert_eq!(choose(&backends, 0).unwrap().backend, Some(0));
}

#[test]
fn weights_of_zero_get_nothing_and_a_sum_of_zero_is_refused() {
    let zero_first = [weighted(Some(0), 0), weighted(Some(1), 1)];
    assert_eq!(choose(&zero_first, 0).unwrap().backend, Some(1));
    assert!(choose(&[weighted(Some(0), 0)], 7).is_none());
    assert!(choose(&[], 7).is_none());
    let all = [weighted(Some(0), u32::MAX), weighted(Some(1), u32::MAX)];
    assert_eq!(choose(&all, u64::MAX).unwrap().backend, Some(1));
}

#[test]
fn an_unresolved_backend_refuses_its_share_only() {
    let headers = HeaderMap::new();
    let action = Action::Forward(vec![weighted(None, 1), weighted(Some(1), 1)]);
    let there = destination(vec![rule(0, None, action)]);
    let low = there.route(&request("/", &headers), 0, &mut NoTrace);
    assert_eq!(low.outcome, Outcome::Refuse(Reason::NoBackend));
    let high = there.route(&request("/", &headers), u64::MAX, &mut NoTrace);
    assert_eq!(forwarded(&high), Some(1));
    let shares = there.shares(high.rule);
    assert_eq!(
        shares.iter().map(|share| share.percent).collect::<Vec<_>>(),
        [50.0, 50.0]
    );
    assert!(shares[0].backend.is_none());
}

#[test]
fn an_index_beyond_the_backends_is_refused() {
    let headers = HeaderMap::new();
    let there = destination(vec![rule(0, None, Action::Forward(vec![weighted(Some(9), 1)]))]);
    let decision = there.route(&request("/", &headers), 0, &mut NoTrace);
    assert_eq!(decision.outcome, Outcome::Refuse(Reason::NoBackend));
}

#[test]
fn a_redirect_uses_the_dialled_port() {
    let headers = HeaderMap::new();
    let redirect = Redirect {
        scheme: None,
        host: None,
        port: crate::RedirectPort::Listener,
        path: None,
        status: 301,
    };
    let there = destination(vec![rule(0, None, Action::Redirect(redirect))]);
    let decision = there.route(&request("/x", &headers), 0, &mut NoTrace);
    let expected = Outcome::Redirect {
        status: 301,
        location: "http://a:8080/x".to_owned(),
    };
    assert_eq!(decision.outcome, expected);
}

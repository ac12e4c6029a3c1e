//! What a routing decision costs in tables of a given size: `routes RULES SHAPE DECISIONS` decides so many times and
//! prints the CPU time of one decision in nanoseconds. `bench/run routes` runs it, also under callgrind.
#![allow(clippy::expect_used)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, HeaderName, HeaderValue};
use wattle_model::{
    Action, Backend, Destination, HeaderMatch, HostMatch, NoTrace, ObjectRef, PathMatch, RequestFacts,
    RequestMatch, RouteRule, RouteTable, RuleRef, TextMatch, Timeouts, WeightedBackend,
};

/// What tells the rules of a table apart.
#[derive(Clone, Copy)]
enum Shape {
    /// Exact paths below one host.
    Exact,
    /// Prefixes of paths below one host.
    Prefix,
    /// Hosts, each with one prefix.
    Hosts,
    /// A header; nothing but looking at each rule helps.
    Header,
}

fn rule(number: u32, shape: Shape) -> RouteRule {
    let matches = match shape {
        Shape::Exact => RequestMatch {
            path: Some(PathMatch::Exact(format!("/service-{number}/item").into())),
            ..RequestMatch::default()
        },
        Shape::Prefix => RequestMatch {
            path: Some(PathMatch::Prefix(format!("/service-{number}").into())),
            ..RequestMatch::default()
        },
        Shape::Hosts => RequestMatch {
            hosts: vec![HostMatch::parse(&format!("service-{number}.example.com"))],
            path: Some(PathMatch::Prefix(format!("/service-{number}").into())),
            ..RequestMatch::default()
        },
        Shape::Header => RequestMatch {
            headers: vec![HeaderMatch {
                name: HeaderName::from_static("x-tenant"),
                value: TextMatch::Exact(format!("tenant-{number}").into()),
                inverted: false,
            }],
            ..RequestMatch::default()
        },
    };
    RouteRule {
        origin: RuleRef {
            object: ObjectRef {
                kind: "HTTPRoute".into(),
                namespace: "default".into(),
                name: "bench".into(),
                file: "".into(),
                line: 0,
            },
            rule: number,
            matched: 0,
            name: "".into(),
        },
        matches,
        filters: Arc::default(),
        action: Arc::new(Action::Forward(vec![WeightedBackend {
            backend: Some(0),
            written: "a:80".into(),
            weight: 1,
            filters: None,
        }])),
        timeouts: Timeouts::default(),
        retry: None,
        session: None,
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| words.get(at).and_then(|word| word.parse::<u32>().ok());
    let (rules, decisions) = (number(0).expect("RULES"), number(2).expect("DECISIONS"));
    let shape = match words.get(1).map(String::as_str) {
        Some("exact") => Shape::Exact,
        Some("prefix") => Shape::Prefix,
        Some("hosts") => Shape::Hosts,
        _ => Shape::Header,
    };
    let destination = Destination {
        routes: RouteTable::new((0..rules).map(|number| rule(number, shape)).collect()),
        backends: vec![Backend::default()],
        ..Destination::default()
    };
    // The rule in the middle: neither the first nor the last that is looked at.
    let wanted = rules / 2;
    let mut headers = HeaderMap::new();
    headers.insert("user-agent", HeaderValue::from_static("bench"));
    headers.insert("accept", HeaderValue::from_static("*/*"));
    let tenant = HeaderValue::from_str(&format!("tenant-{wanted}")).expect("ascii");
    headers.insert("x-tenant", tenant);
    let (authority, path) = (
        format!("service-{wanted}.example.com:80"),
        format!("/service-{wanted}/item"),
    );
    let request = RequestFacts {
        method: "GET",
        scheme: "http",
        authority: &authority,
        path: &path,
        query: None,
        headers: &headers,
        caller: wattle_model::CallerFacts::default(),
        remote_ip: None,
        token: None,
    };
    let begun = Instant::now();
    for random in 0..u64::from(decisions) {
        let decision = destination.route(black_box(&request), random, &mut NoTrace);
        assert!(black_box(decision).rule.is_some(), "no rule matched");
    }
    println!(
        "{:.1}",
        begun.elapsed().as_nanos() as f64 / f64::from(decisions.max(1))
    );
}

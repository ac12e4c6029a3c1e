//! The compiled table against an oracle that is written from the Gateway API's text and shares no code with it.

#![allow(clippy::unwrap_used)]

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use proptest::prelude::*;
use wattle_api::{
    BackendRef, ClusterIp, Exposure, HeaderMatch, HttpRoute, HttpRule, Labels, Match, Meta, Object, Origin,
    ParentRef, PathMatch, Port, Protocol, QueryMatch, Resource, Service, ServicePort, ServiceTraffic,
    TargetPort, Timeouts, ValueMatch,
};
use wattle_compile::{Mesh, Settings};
use wattle_model::{NoTrace, RequestFacts};

fn resource<S>(meta: Meta, spec: S) -> Resource<S> {
    Resource {
        meta,
        spec,
        origin: Origin::program("test"),
    }
}

fn service() -> Object {
    let port = Port::new(80).unwrap();
    let port = ServicePort {
        name: None,
        port,
        target_port: TargetPort::Number(port),
        protocol: Protocol::Tcp,
        app_protocol: Some("http".to_owned()),
    };
    let spec = Service {
        exposure: Exposure::ClusterIp,
        cluster_ip: ClusterIp::Assigned,
        selector: Labels::new(),
        ports: vec![port],
        external_name: None,
        traffic: ServiceTraffic::default(),
    };
    Object::Service(resource(Meta::new("default", "a"), spec))
}

fn paths() -> impl Strategy<Value = PathMatch> {
    let path = prop::sample::select(vec!["/", "/a", "/a/", "/a/b", "/a/b/", "/ab", "/b"]);
    (path, any::<bool>()).prop_map(|(path, exact)| match exact {
        true => PathMatch::Exact(path.to_owned()),
        false => PathMatch::PathPrefix(path.to_owned()),
    })
}

fn matches() -> impl Strategy<Value = Match> {
    let method = prop::sample::select(vec![None, None, Some("GET"), Some("POST")]);
    let headers = prop::sample::subsequence(vec!["x-a", "x-b"], 0..=2);
    let query = prop::sample::subsequence(vec!["p", "q"], 0..=2);
    let value = |name: &str| (name.to_owned(), ValueMatch::Exact("1".to_owned()));
    (paths(), method, headers, query).prop_map(move |(path, method, headers, query)| Match {
        path,
        method,
        headers: headers
            .into_iter()
            .map(value)
            .map(|(name, value)| HeaderMatch { name, value })
            .collect(),
        query_params: query
            .into_iter()
            .map(value)
            .map(|(name, value)| QueryMatch { name, value })
            .collect(),
    })
}

fn rule(matches: Vec<Match>) -> HttpRule {
    let backend = BackendRef {
        group: String::new(),
        kind: "Service".to_owned(),
        namespace: None,
        name: "a".to_owned(),
        port: Port::new(80),
        weight: 1,
        filters: vec![],
    };
    HttpRule {
        name: None,
        matches,
        filters: vec![],
        backend_refs: vec![backend],
        timeouts: Timeouts::default(),
        retry: None,
        session_persistence: None,
    }
}

type Written = (u8, Option<i64>, Vec<Vec<Match>>);

fn routes() -> impl Strategy<Value = Vec<Written>> {
    let created = prop::sample::select(vec![None, Some(1), Some(2)]);
    let rules = prop::collection::vec(prop::collection::vec(matches(), 1..3), 1..3);
    let routes = prop::collection::btree_map(0u8..4, (created, rules), 1..4);
    let flat = |(name, (created, rules))| (name, created, rules);
    routes
        .prop_map(move |routes| routes.into_iter().map(flat).collect::<Vec<_>>())
        .prop_shuffle()
}

fn object((name, created, rules): &Written) -> Object {
    let parent = ParentRef {
        group: String::new(),
        kind: "Service".to_owned(),
        namespace: None,
        name: "a".to_owned(),
        section_name: None,
        port: None,
    };
    let mut meta = Meta::new("default", format!("r{name}"));
    meta.creation_timestamp = created.map(|second| Timestamp::from_second(second).unwrap());
    let rules = rules.iter().cloned().map(rule).collect();
    Object::HttpRoute(resource(
        meta,
        HttpRoute {
            parent_refs: vec![parent],
            hostnames: vec![],
            rules,
        },
    ))
}

#[derive(Clone, Debug)]
struct Asked {
    method: &'static str,
    path: &'static str,
    headers: Vec<&'static str>,
    query: Vec<&'static str>,
}

fn requests() -> impl Strategy<Value = Asked> {
    (
        prop::sample::select(vec!["GET", "POST", "PUT"]),
        prop::sample::select(vec![
            "/", "/a", "/a/", "/a/b", "/a/b/", "/a/b/c", "/ab", "/abc", "/b", "/c",
        ]),
        prop::sample::subsequence(vec!["x-a", "x-b"], 0..=2),
        prop::sample::subsequence(vec!["p", "q"], 0..=2),
    )
        .prop_map(|(method, path, headers, query)| Asked {
            method,
            path,
            headers,
            query,
        })
}

/// The specification, step by step: of the matches that hold, keep those that are best by each criterion in turn.
fn oracle(routes: &[Written], asked: &Asked) -> Option<(String, u32, u32)> {
    let mut left = Vec::new();
    for (name, created, rules) in routes {
        for (rule, matches) in rules.iter().enumerate() {
            for (index, matched) in matches.iter().enumerate() {
                if holds(matched, asked) {
                    left.push((*name, *created, rule, index, matched));
                }
            }
        }
    }
    let exact = |matched: &Match| matches!(matched.path, PathMatch::Exact(_));
    if left.iter().any(|candidate| exact(candidate.4)) {
        left.retain(|candidate| exact(candidate.4));
    } else {
        let length = |matched: &Match| match &matched.path {
            PathMatch::PathPrefix(prefix) => prefix.trim_end_matches('/').chars().count(),
            _ => 0,
        };
        let longest = left.iter().map(|candidate| length(candidate.4)).max()?;
        left.retain(|candidate| length(candidate.4) == longest);
    }
    if left.iter().any(|candidate| candidate.4.method.is_some()) {
        left.retain(|candidate| candidate.4.method.is_some());
    }
    let headers = left.iter().map(|candidate| candidate.4.headers.len()).max()?;
    left.retain(|candidate| candidate.4.headers.len() == headers);
    let query = left
        .iter()
        .map(|candidate| candidate.4.query_params.len())
        .max()?;
    left.retain(|candidate| candidate.4.query_params.len() == query);
    let oldest = left
        .iter()
        .map(|candidate| candidate.1.unwrap_or(i64::MAX))
        .min()?;
    left.retain(|candidate| candidate.1.unwrap_or(i64::MAX) == oldest);
    let first = left.iter().map(|candidate| candidate.0).min()?;
    left.retain(|candidate| candidate.0 == first);
    let (name, _, rule, index, _) = left
        .into_iter()
        .min_by_key(|candidate| (candidate.2, candidate.3))?;
    Some((
        format!("r{name}"),
        u32::try_from(rule).unwrap(),
        u32::try_from(index).unwrap(),
    ))
}

fn holds(matched: &Match, asked: &Asked) -> bool {
    let path = match &matched.path {
        PathMatch::Exact(path) => asked.path == path,
        PathMatch::PathPrefix(prefix) => {
            let elements = |path: &str| path.split('/').skip(1).map(str::to_owned).collect::<Vec<_>>();
            elements(asked.path).starts_with(&elements(prefix.trim_end_matches('/')))
        }
        PathMatch::RegularExpression(_) => false,
    };
    path && matched.method.is_none_or(|method| method == asked.method)
        && matched
            .headers
            .iter()
            .all(|header| asked.headers.contains(&&*header.name))
        && matched
            .query_params
            .iter()
            .all(|query| asked.query.contains(&&*query.name))
}

fn found(mesh: &mut Mesh, asked: &Asked) -> Option<(String, u32, u32)> {
    let mut headers = HeaderMap::new();
    for name in &asked.headers {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static("1"));
    }
    let query = asked
        .query
        .iter()
        .map(|name| format!("{name}=1"))
        .collect::<Vec<_>>()
        .join("&");
    let request = RequestFacts {
        method: asked.method,
        scheme: "http",
        authority: "a",
        path: asked.path,
        query: Some(&query).filter(|query| !query.is_empty()).map(String::as_str),
        headers: &headers,
        caller: wattle_model::CallerFacts::default(),
        remote_ip: None,
        token: None,
    };
    let destination = mesh.destination("a:80", "default").unwrap();
    let decision = destination.route(&request, 0, &mut NoTrace);
    let mut steps = Vec::new();
    assert_eq!(
        decision,
        destination.route(&request, 0, &mut steps),
        "a trace changes nothing"
    );
    assert!(!steps.is_empty());
    let rule = decision.rule?;
    Some((
        rule.origin.object.name.to_string(),
        rule.origin.rule,
        rule.origin.matched,
    ))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn the_table_takes_the_rule_that_the_specification_takes(
        routes in routes(),
        asked in prop::collection::vec(requests(), 4),
    ) {
        let mut mesh = Mesh::new(Settings::default());
        mesh.apply(service());
        for route in &routes {
            mesh.apply(object(route));
        }
        for asked in &asked {
            prop_assert_eq!(found(&mut mesh, asked), oracle(&routes, asked), "{:?}", asked);
        }
    }
}

//! The compiled table of a GRPCRoute against an oracle that is written from the Gateway API's text and shares no code
//! with it.

#![allow(clippy::unwrap_used)]

use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use proptest::prelude::*;
use wattle_api::{
    GrpcMatch, GrpcRoute, GrpcRule, HeaderMatch, Meta, MethodMatch, Object, Origin, ParentRef, Resource,
    ValueMatch,
};
use wattle_compile::{Mesh, Settings};
use wattle_model::{NoTrace, RequestFacts};

fn matches() -> impl Strategy<Value = GrpcMatch> {
    let service = prop::sample::select(vec![None, Some("a.B"), Some("a.BC"), Some("c")]);
    let method = prop::sample::select(vec![None, Some("Get"), Some("GetAll"), Some("Put")]);
    let headers = prop::sample::subsequence(vec!["x-a", "x-b"], 0..=2);
    (service, method, headers).prop_map(|(service, method, headers)| {
        let exact = |text: Option<&str>| text.map(|text| ValueMatch::Exact(text.to_owned()));
        let method = (service.is_some() || method.is_some()).then(|| MethodMatch {
            service: exact(service),
            method: exact(method),
        });
        let header = |name: &str| HeaderMatch {
            name: name.to_owned(),
            value: ValueMatch::Exact("1".to_owned()),
        };
        GrpcMatch {
            method,
            headers: headers.into_iter().map(header).collect(),
        }
    })
}

type Written = (u8, Option<i64>, Vec<Vec<GrpcMatch>>);

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
    let mut meta = Meta::new("default", format!("r{name}"));
    meta.creation_timestamp = created.map(|second| Timestamp::from_second(second).unwrap());
    let rule = |matches: &Vec<GrpcMatch>| GrpcRule {
        name: None,
        matches: matches.clone(),
        filters: vec![],
        backend_refs: vec![],
        session_persistence: None,
    };
    let parent = ParentRef {
        group: String::new(),
        kind: "Service".to_owned(),
        namespace: None,
        name: "a".to_owned(),
        section_name: None,
        port: None,
    };
    Object::GrpcRoute(Resource {
        meta,
        spec: GrpcRoute {
            parent_refs: vec![parent],
            hostnames: vec![],
            rules: rules.iter().map(rule).collect(),
        },
        origin: Origin::program("test"),
    })
}

#[derive(Clone, Debug)]
struct Call {
    service: &'static str,
    method: &'static str,
    headers: Vec<&'static str>,
}

fn calls() -> impl Strategy<Value = Call> {
    (
        prop::sample::select(vec!["a.B", "a.BC", "c", "d"]),
        prop::sample::select(vec!["Get", "GetAll", "Put", "Other"]),
        prop::sample::subsequence(vec!["x-a", "x-b"], 0..=2),
    )
        .prop_map(|(service, method, headers)| Call {
            service,
            method,
            headers,
        })
}

fn written(part: Option<&ValueMatch>) -> Option<&str> {
    match part {
        Some(ValueMatch::Exact(text)) => Some(text),
        _ => None,
    }
}

fn parts(matched: &GrpcMatch) -> (Option<&str>, Option<&str>) {
    match &matched.method {
        Some(method) => (written(method.service.as_ref()), written(method.method.as_ref())),
        None => (None, None),
    }
}

fn holds(matched: &GrpcMatch, call: &Call) -> bool {
    let (service, method) = parts(matched);
    service.is_none_or(|service| service == call.service)
        && method.is_none_or(|method| method == call.method)
        && matched
            .headers
            .iter()
            .all(|header| call.headers.contains(&&*header.name))
}

/// The specification, step by step: of the matches that hold, keep those that are best by each criterion in turn.
fn oracle(routes: &[Written], call: &Call) -> Option<(String, u32, u32)> {
    let mut left = Vec::new();
    for (name, created, rules) in routes {
        for (rule, matches) in rules.iter().enumerate() {
            for (index, matched) in matches.iter().enumerate() {
                if holds(matched, call) {
                    left.push((*name, *created, rule, index, matched));
                }
            }
        }
    }
    let characters = |part: Option<&str>| part.map_or(0, |part| part.chars().count());
    let criteria: [&dyn Fn(&GrpcMatch) -> usize; 3] = [
        &|matched| characters(parts(matched).0),
        &|matched| characters(parts(matched).1),
        &|matched| matched.headers.len(),
    ];
    for criterion in criteria {
        let most = left.iter().map(|candidate| criterion(candidate.4)).max()?;
        left.retain(|candidate| criterion(candidate.4) == most);
    }
    let age = |created: Option<i64>| created.unwrap_or(i64::MAX);
    let oldest = left.iter().map(|candidate| age(candidate.1)).min()?;
    left.retain(|candidate| age(candidate.1) == oldest);
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

fn found(mesh: &mut Mesh, call: &Call) -> Option<(String, u32, u32)> {
    let mut headers = HeaderMap::new();
    for name in &call.headers {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static("1"));
    }
    let path = format!("/{}/{}", call.service, call.method);
    let request = RequestFacts {
        method: "POST",
        scheme: "http",
        authority: "a",
        path: &path,
        query: None,
        headers: &headers,
        caller: wattle_model::CallerFacts::default(),
        remote_ip: None,
        token: None,
    };
    let destination = mesh.destination("a:80", "default").unwrap();
    let rule = destination.route(&request, 0, &mut NoTrace).rule?;
    Some((
        rule.origin.object.name.to_string(),
        rule.origin.rule,
        rule.origin.matched,
    ))
}

/// Tables that are tried: all of them where time does not matter.
fn cases() -> u32 {
    match std::env::var_os("WATTLE_TEST_ALL") {
        Some(_) => 100_000,
        None => 20_000,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn the_table_takes_the_rule_that_the_specification_takes(
        routes in routes(),
        calls in prop::collection::vec(calls(), 4),
    ) {
        let mut mesh = Mesh::new(Settings::default());
        let service = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80, appProtocol: grpc}]}\n";
        for object in wattle_api::parse(service, "t.yaml").objects {
            mesh.apply(object);
        }
        for route in &routes {
            mesh.apply(object(route));
        }
        for call in &calls {
            prop_assert_eq!(found(&mut mesh, call), oracle(&routes, call), "{:?}", call);
        }
    }
}

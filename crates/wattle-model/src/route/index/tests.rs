use std::sync::Arc;

use http::HeaderMap;
use proptest::prelude::*;

use super::*;
use crate::{
    Action, NoTrace, ObjectRef, Pattern, RequestMatch, RouteTable, RuleRef, Step, TextMatch, Timeouts,
};

fn rule(number: u32, matches: RequestMatch) -> RouteRule {
    RouteRule {
        origin: RuleRef {
            object: ObjectRef {
                kind: "HTTPRoute".into(),
                namespace: "default".into(),
                name: "r".into(),
                file: "".into(),
                line: 0,
            },
            rule: number,
            matched: 0,
            name: "".into(),
        },
        matches,
        filters: Arc::default(),
        action: Arc::new(Action::Forward(Vec::new())),
        timeouts: Timeouts::default(),
        retry: None,
        session: None,
    }
}

fn path() -> impl Strategy<Value = String> {
    "(/[abA]{0,2}){1,3}/?"
}

fn host() -> impl Strategy<Value = String> {
    prop_oneof!["[abA]\\.[ab]", "[ab]", "[ab]\\.[ab]\\.[ab]"]
}

fn path_match() -> impl Strategy<Value = Option<PathMatch>> {
    let text = || path().prop_map(String::into_boxed_str);
    prop_oneof![
        Just(None),
        text().prop_map(|path| Some(PathMatch::Exact(path))),
        text().prop_map(|path| Some(PathMatch::Prefix(path))),
        text().prop_map(|path| Some(PathMatch::StartsWith(path))),
        text().prop_map(|path| Some(PathMatch::ExactAnyCase(path))),
        text().prop_map(|path| Some(PathMatch::StartsWithAnyCase(path))),
        Just(Pattern::new("/a.*").ok().map(PathMatch::Regex)),
    ]
}

fn request_match() -> impl Strategy<Value = RequestMatch> {
    let hosts = prop_oneof![
        host().prop_map(|host| HostMatch::parse(&host)),
        "\\*\\.[ab]".prop_map(|host| HostMatch::parse(&host)),
        Just(HostMatch::Any)
    ];
    let method = proptest::option::of(Just(TextMatch::Exact("GET".into())));
    (proptest::collection::vec(hosts, 0..3), path_match(), method).prop_map(|(hosts, path, method)| {
        RequestMatch {
            hosts,
            path,
            method,
            ..RequestMatch::default()
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn the_index_finds_the_rule_that_a_look_through_all_of_them_finds(
        matches in proptest::collection::vec(request_match(), 9..40), path in path(), host in host(),
        get in any::<bool>(), port in any::<bool>()
    ) {
        let rules = (0u32..).zip(matches).map(|(number, matches)| rule(number, matches)).collect();
        let table = RouteTable::new(rules);
        let headers = HeaderMap::new();
        let authority = if port { format!("{host}:80") } else { host };
        let request = RequestFacts {
            method: if get { "GET" } else { "POST" },
            authority: &authority,
            path: &path,
            ..RequestFacts::example(&headers)
        };
        let by_index = table.first_match(&request, &mut NoTrace).map(|rule| rule.origin.rule);
        let mut steps: Vec<Step> = Vec::new();
        let by_looking = table.first_match(&request, &mut steps).map(|rule| rule.origin.rule);
        prop_assert_eq!(by_index, by_looking);
    }
}

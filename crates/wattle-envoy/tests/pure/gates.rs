//! Ports that let in only what is authorized there.

use std::collections::BTreeMap;

use envoy_types::pb::envoy::config::listener::v3 as xds;
use envoy_types::pb::envoy::config::rbac::v3 as rbac;
use envoy_types::pb::envoy::extensions::filters::http::rbac::v3::Rbac as HttpRbac;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use envoy_types::pb::envoy::extensions::filters::network::rbac::v3::Rbac as NetworkRbac;
use prost::Message as _;
use rbac::permission::Rule;
use wattle_envoy::{Kind, Resources};
use wattle_model::{
    Authorization, Gate, GateRoute, Inbound, InboundPort, MtlsMode, PathMatch, Policy, PolicyRule, Protocol,
    QueryMatch, RequestMatch, RuleRef, Source, TextMatch,
};

use crate::support::decoded;
use crate::support::mesh::{Mesh, object};

fn policy(name: &str, account: &str) -> Policy {
    let from = Source {
        principals: vec![TextMatch::Exact(format!("td/ns/shop/sa/{account}").into())],
        ..Source::default()
    };
    Policy {
        origin: object(name),
        rules: vec![PolicyRule {
            from: vec![from],
            ..PolicyRule::default()
        }],
    }
}

fn gate(port: Option<u16>, allow: Vec<Policy>, routes: Vec<GateRoute>) -> Gate {
    Gate {
        origin: object("server"),
        port,
        allow,
        routes,
        audit: false,
    }
}

fn route(matches: RequestMatch, allow: Vec<Policy>) -> GateRoute {
    GateRoute {
        origin: RuleRef {
            object: object("route"),
            rule: 0,
            matched: 0,
            name: "".into(),
        },
        matches,
        allow,
    }
}

fn below(path: &str) -> RequestMatch {
    RequestMatch {
        path: Some(PathMatch::Prefix(path.into())),
        ..RequestMatch::default()
    }
}

fn resources(gates: Vec<Gate>) -> Resources {
    let port = |port, protocol| InboundPort {
        port,
        protocol,
        mtls: MtlsMode::Permissive,
        mtls_origin: None,
        service: None,
        target: None,
    };
    let inbound = Inbound {
        name: "shop/web".into(),
        ports: vec![port(80, Protocol::Http1), port(90, Protocol::Tcp)],
        authorization: Authorization {
            gates,
            ..Authorization::default()
        },
        ..Inbound::default()
    };
    Mesh {
        inbound: Some(inbound),
        ..Mesh::default()
    }
    .encode()
}

/// The policies of the gate's filter in a chain, by their names without the number; `None` without the filter.
fn gated(told: &Resources, chain: &str) -> Option<BTreeMap<String, rbac::Policy>> {
    let listener: xds::Listener = decoded(told, Kind::Listener, "inbound");
    let chain = listener
        .filter_chains
        .iter()
        .find(|found| found.name == chain)
        .unwrap();
    let rules = chain.filters.iter().find_map(|filter| {
        let Some(xds::filter::ConfigType::TypedConfig(config)) = &filter.config_type else {
            return None;
        };
        if filter.name == "wattle.authorization.gate" {
            return NetworkRbac::decode(&*config.value).unwrap().rules;
        }
        let manager = hcm::HttpConnectionManager::decode(&*config.value).ok()?;
        let mut filters = manager.http_filters.iter();
        let found = filters.find(|filter| filter.name == "wattle.authorization.gate")?;
        match &found.config_type {
            Some(hcm::http_filter::ConfigType::TypedConfig(config)) => {
                HttpRbac::decode(&*config.value).unwrap().rules
            }
            _ => None,
        }
    })?;
    assert_eq!(rules.action, i32::from(rbac::rbac::Action::Allow));
    let named = rules.policies.into_iter().map(|(name, policy)| {
        (
            name.split_once('/').map_or("", |(_, name)| name).to_owned(),
            policy,
        )
    });
    Some(named.collect())
}

fn names(told: &Resources, chain: &str) -> Option<Vec<String>> {
    let policies = gated(told, chain)?;
    Some(policies.into_keys().collect())
}

fn own(names: &[&str]) -> Option<Vec<String>> {
    Some(names.iter().map(|name| format!("{name} rule 0000")).collect())
}

/// How many parts a permission has, and how many of them must not hold.
fn parts(permission: &rbac::Permission) -> (usize, usize) {
    match permission.rule.as_ref().unwrap() {
        Rule::AndRules(set) => {
            let not = |part: &&rbac::Permission| matches!(part.rule, Some(Rule::NotRule(_)));
            (set.rules.len(), set.rules.iter().filter(not).count())
        }
        _ => (1, 0),
    }
}

#[test]
fn a_gate_is_on_the_chains_of_its_port_alone() {
    let told = resources(vec![gate(Some(90), vec![policy("p", "web")], vec![])]);
    assert_eq!(names(&told, "90|tcp"), own(&["p"]));
    assert_eq!(names(&told, "90|mesh-tcp"), own(&["p"]));
    assert_eq!(names(&told, "80|http"), None);
    assert_eq!(names(&told, "other|tcp"), None);
    assert_eq!(told.gaps, []);
}

#[test]
fn the_gate_of_all_other_ports_is_on_those_without_one() {
    let told = resources(vec![
        gate(Some(90), vec![policy("p", "web")], vec![]),
        gate(None, vec![policy("q", "web")], vec![]),
    ]);
    assert_eq!(names(&told, "90|tcp"), own(&["p"]));
    assert_eq!(names(&told, "80|http"), own(&["q"]));
    assert_eq!(names(&told, "other|tcp"), own(&["q"]));
}

#[test]
fn the_gate_of_a_port_that_nothing_declares_has_chains_of_its_own() {
    let told = resources(vec![gate(Some(7), vec![], vec![])]);
    assert_eq!(names(&told, "7|tcp"), own(&[]));
    assert_eq!(names(&told, "7|http/1"), own(&[]));
}

#[test]
fn a_gate_that_lets_nothing_in_refuses_everything() {
    let told = resources(vec![gate(Some(90), vec![], vec![])]);
    assert_eq!(names(&told, "90|tcp"), own(&[]));
}

#[test]
fn a_route_lets_in_what_no_earlier_one_takes() {
    let told = resources(vec![gate(
        Some(80),
        vec![policy("server", "any")],
        vec![
            route(below("/admin"), vec![policy("first", "alice")]),
            route(below("/a"), vec![]),
            route(RequestMatch::default(), vec![policy("last", "bob")]),
        ],
    )]);
    let policies = gated(&told, "80|http").unwrap();
    let said = policies
        .iter()
        .map(|(name, policy)| (&**name, parts(&policy.permissions[0])));
    // The last route takes every request, so that the Server's own policy has nothing more to ask.
    let expected = [
        ("first rule 0000", (1, 0)),
        ("last rule 0000", (2, 2)),
        ("server rule 0000", (1, 0)),
    ];
    assert_eq!(said.collect::<Vec<_>>(), expected);
    assert_eq!(
        policies["server rule 0000"].permissions[0].rule,
        Some(Rule::Any(true))
    );
}

#[test]
fn what_has_no_route_is_let_in_by_nobody() {
    let told = resources(vec![gate(
        Some(80),
        vec![policy("server", "any")],
        vec![route(below("/a"), vec![]), route(below("/b"), vec![])],
    )]);
    let policies = gated(&told, "80|http").unwrap();
    let permission = &policies["server rule 0000"].permissions[0];
    assert!(
        matches!(&permission.rule, Some(Rule::OrRules(set)) if set.rules.len() == 2),
        "{permission:?}"
    );
}

#[test]
fn connections_know_no_routes() {
    let told = resources(vec![gate(
        Some(90),
        vec![policy("server", "any")],
        vec![route(below("/a"), vec![policy("route", "alice")])],
    )]);
    assert_eq!(names(&told, "90|tcp"), own(&["server"]));
}

#[test]
fn a_route_that_cannot_be_said_lets_nobody_in_nor_does_any_behind_it() {
    let query = QueryMatch {
        name: "q".into(),
        value: TextMatch::Present,
    };
    let asked = RequestMatch {
        query: vec![query],
        ..RequestMatch::default()
    };
    let told = resources(vec![gate(
        Some(80),
        vec![policy("server", "any")],
        vec![
            route(below("/a"), vec![policy("before", "alice")]),
            route(asked, vec![policy("asked", "bob")]),
            route(RequestMatch::default(), vec![policy("behind", "carol")]),
        ],
    )]);
    assert_eq!(names(&told, "80|http"), own(&["before", "server"]));
    let said = told
        .gaps
        .iter()
        .any(|gap| gap.reason.contains("a query parameter"));
    assert!(said, "{:?}", told.gaps);
}

#[test]
fn an_auditing_gate_lets_everything_in_that_has_a_route_and_says_that_it_marks_nothing() {
    let audited = |routes| Gate {
        audit: true,
        ..gate(Some(80), vec![policy("p", "web")], routes)
    };
    let told = resources(vec![audited(vec![])]);
    assert_eq!(names(&told, "80|http"), None);
    assert!(told.gaps.iter().any(|gap| gap.reason.contains("not marked")));
    let told = resources(vec![audited(vec![route(below("/a"), vec![])])]);
    assert_eq!(gated(&told, "80|http").unwrap().len(), 1);
    assert_eq!(names(&told, "80|mesh-tcp").map(|_| ()), None);
}

#[test]
fn paths_of_routes_reach_the_application_as_they_were_compared() {
    let told = resources(vec![gate(
        Some(80),
        vec![],
        vec![route(below("/a"), vec![policy("p", "web")])],
    )]);
    let listener: xds::Listener = decoded(&told, Kind::Listener, "inbound");
    let chain = listener
        .filter_chains
        .iter()
        .find(|chain| chain.name == "80|http");
    let Some(xds::filter::ConfigType::TypedConfig(config)) = &chain.unwrap().filters[0].config_type else {
        panic!()
    };
    let manager = hcm::HttpConnectionManager::decode(&*config.value).unwrap();
    assert!(manager.merge_slashes && manager.normalize_path.unwrap().value);
}

//! Routes.

use std::sync::Arc;
use std::time::Duration;

use envoy_types::pb::envoy::config::route::v3 as xds;
use wattle_envoy::{Kind, Resources};
use wattle_model::traffic::{Balance, HashKey, HashTable};
use wattle_model::{
    Action, BackendPolicy, Filters, HeaderModifier, HostMatch, Mirror, PathRewrite, Pattern, Protocol,
    RequestMatch, RetryConditions, RetryOn, RetryPolicy, RouteRule, TextMatch, Timeouts, UrlRewrite,
    WeightedBackend,
};
use xds::route::Action as Done;
use xds::route_action::ClusterSpecifier;

use crate::support::decoded;
use crate::support::mesh::{Mesh, backend, destination, governed, routed, rule, to};

const AT: ([u8; 4], u16) = ([10, 0, 0, 1], 80);

fn resources(rules: Vec<RouteRule>) -> Resources {
    let mut mesh = Mesh {
        labels: vec![("app".into(), "web".into())],
        ..Mesh::default()
    };
    let by_header = Balance::Hash {
        key: HashKey::Header("x-user".parse().unwrap()),
        table: HashTable::Ring(1024),
    };
    let hashing = governed(
        "c:80",
        BackendPolicy {
            balance: by_header,
            ..BackendPolicy::default()
        },
    );
    let backends = vec![backend("a:80"), backend("b:80"), hashing];
    mesh.add(routed(destination(AT.into(), Protocol::Http1, backends), rules));
    mesh.encode()
}

fn hosts(rules: Vec<RouteRule>) -> Vec<xds::VirtualHost> {
    let told: xds::RouteConfiguration = decoded(&resources(rules), Kind::Route, "10.0.0.1:80|http/1");
    told.virtual_hosts
}

fn routes(rules: Vec<RouteRule>) -> Vec<xds::Route> {
    hosts(rules).remove(0).routes
}

fn forwarded(route: &xds::Route) -> &xds::RouteAction {
    match route.action.as_ref().unwrap() {
        Done::Route(action) => action,
        other => panic!("{other:?}"),
    }
}

fn to_host(host: &str, backend: u32) -> RouteRule {
    let hosts = vec![HostMatch::parse(host)];
    rule(
        RequestMatch {
            hosts,
            ..RequestMatch::default()
        },
        Action::Forward(vec![to(backend, 1)]),
    )
}

fn forwarding(backends: Vec<WeightedBackend>) -> RouteRule {
    rule(RequestMatch::default(), Action::Forward(backends))
}

#[test]
fn a_host_that_a_rule_names_has_every_rule_that_covers_it_in_order() {
    let rules = vec![
        to_host("*.test", 0),
        to_host("a.test", 1),
        forwarding(vec![to(0, 1)]),
    ];
    let told: Vec<_> = hosts(rules)
        .into_iter()
        .map(|host| (host.domains[0].clone(), host.routes.len()))
        .collect();
    assert_eq!(
        told,
        [
            ("*".to_owned(), 1),
            ("*.test".to_owned(), 2),
            ("a.test".to_owned(), 3)
        ]
    );
}

#[test]
fn rules_of_other_callers_are_left_out() {
    let mut of_other = forwarding(vec![to(0, 1)]);
    of_other.matches.caller_labels = vec![("app".into(), "other".into())];
    let mut of_this = forwarding(vec![to(1, 1)]);
    of_this.matches.caller_labels = vec![("app".into(), "web".into())];
    let told = routes(vec![of_other, of_this]);
    let to: Vec<_> = told
        .iter()
        .map(|route| forwarded(route).cluster_specifier.clone().unwrap())
        .collect();
    assert_eq!(to, [ClusterSpecifier::Cluster("b:80|http/1".into())]);
}

#[test]
fn without_a_time_limit_envoys_own_is_turned_off() {
    let limited = |timeouts| {
        routes(vec![RouteRule {
            timeouts,
            ..forwarding(vec![to(0, 1)])
        }])
        .remove(0)
    };
    let none = limited(Timeouts::default());
    assert_eq!(forwarded(&none).timeout.map(|time| time.seconds), Some(0));
    let second = Some(Duration::from_secs(1));
    let one = limited(Timeouts {
        request: second,
        backend_request: Some(Duration::from_secs(3)),
        response: second,
        idle: None,
    });
    let action = forwarded(&one);
    let per_try = action.retry_policy.as_ref().unwrap().per_try_timeout.unwrap();
    assert_eq!((action.timeout.unwrap().seconds, per_try.seconds), (1, 1));
}

#[test]
fn what_the_rule_changes_is_changed_before_what_the_backend_changes() {
    let set = |value: &str| HeaderModifier {
        set: vec![("x-a".parse().unwrap(), value.parse().unwrap())],
        ..Default::default()
    };
    let own = |headers: HeaderModifier| {
        Some(Arc::new(Filters {
            request_headers: headers,
            ..Filters::default()
        }))
    };
    let removing = HeaderModifier {
        remove: vec!["x-a".parse().unwrap()],
        ..Default::default()
    };
    let changed = |own| {
        let mut rule = forwarding(vec![WeightedBackend {
            filters: own,
            ..to(0, 1)
        }]);
        rule.filters = Arc::new(Filters {
            request_headers: set("rule"),
            ..Filters::default()
        });
        let route = routes(vec![rule]).remove(0);
        let values = route
            .request_headers_to_add
            .into_iter()
            .map(|option| option.header.unwrap().value);
        (values.collect::<Vec<_>>(), route.request_headers_to_remove)
    };
    assert_eq!(changed(own(set("50%"))), (vec!["50%%".to_owned()], vec![]));
    assert_eq!(changed(own(removing)), (vec![], vec!["x-a".to_owned()]));
}

#[test]
fn backends_that_change_what_envoy_changes_by_route_alone_become_routes_by_part() {
    let rewriting = Filters {
        rewrite: UrlRewrite {
            host: None,
            path: Some(PathRewrite::Full("/x".into())),
        },
        ..Filters::default()
    };
    let own = WeightedBackend {
        filters: Some(Arc::new(rewriting)),
        ..to(0, 1)
    };
    let told = routes(vec![forwarding(vec![own, to(1, 3)])]);
    let part = |route: &xds::Route| {
        let fraction = route.r#match.as_ref().unwrap().runtime_fraction.as_ref();
        fraction.map(|fraction| fraction.default_value.as_ref().unwrap().numerator)
    };
    assert_eq!(told.iter().map(part).collect::<Vec<_>>(), [Some(250_000), None]);
    let by_hash = routes(vec![forwarding(vec![to(0, 1), to(2, 1)])]);
    let hashed: Vec<_> = by_hash
        .iter()
        .map(|route| forwarded(route).hash_policy.len())
        .collect();
    assert_eq!(hashed, [0, 1]);
}

#[test]
fn a_share_that_cannot_be_resolved_gets_500_and_others_their_part() {
    let lost = WeightedBackend {
        backend: None,
        ..to(0, 1)
    };
    let told = routes(vec![forwarding(vec![to(0, 3), lost, to(1, 0)])]);
    let action = forwarded(&told[0]);
    let Some(ClusterSpecifier::WeightedClusters(weighted)) = &action.cluster_specifier else {
        panic!("{action:?}")
    };
    let names: Vec<_> = weighted
        .clusters
        .iter()
        .map(|cluster| (&*cluster.name, cluster.weight.unwrap().value))
        .collect();
    assert_eq!(names, [("a:80|http/1", 3), ("unresolved", 1)]);
    assert_eq!(action.cluster_not_found_response_code, 2);
}

#[test]
fn what_a_backend_may_have_acted_on_is_repeated_for_idempotent_methods_alone() {
    let conditions = RetryConditions {
        reset: true,
        ..RetryConditions::default()
    };
    let on = RetryOn {
        conditions,
        statuses: vec![(502, 503)],
        grpc: 1 << 14 | 1 << 2,
    };
    let policy = RetryPolicy {
        attempts: 2,
        on,
        backoff: Duration::ZERO,
        max_backoff: Duration::ZERO,
        unsafe_methods: false,
        hedge_after: None,
        another_endpoint: false,
    };
    let repeated = |policy: RetryPolicy, method: Option<&str>| {
        let mut rule = RouteRule {
            retry: Some(Arc::new(policy)),
            ..forwarding(vec![to(0, 1)])
        };
        rule.matches.method = method.map(|method| TextMatch::Exact(method.into()));
        let told = routes(vec![rule]);
        told.iter()
            .map(|route| forwarded(route).retry_policy.as_ref().unwrap().retry_on.clone())
            .collect::<Vec<_>>()
    };
    let safe = "connect-failure,refused-stream,unavailable,retriable-headers";
    let all = "connect-failure,refused-stream,reset,retriable-status-codes,unavailable,retriable-headers";
    assert_eq!(repeated(policy.clone(), None), [all, safe]);
    assert_eq!(repeated(policy.clone(), Some("POST")), [safe]);
    assert_eq!(repeated(policy.clone(), Some("PUT")), [all]);
    let mut timed = policy.clone();
    timed.on.conditions = RetryConditions {
        timeout: true,
        ..RetryConditions::default()
    };
    assert_eq!(repeated(timed, None), [all, safe]);
    assert_eq!(
        repeated(
            RetryPolicy {
                attempts: 0,
                ..policy
            },
            None
        ),
        [""]
    );
    let unasked = routes(vec![forwarding(vec![to(0, 1)])]);
    assert_eq!(
        forwarded(&unasked[0]).retry_policy.as_ref().unwrap().retry_on,
        "connect-failure,refused-stream"
    );
}

#[test]
fn a_mirror_gets_its_part_and_one_that_cannot_be_resolved_nothing() {
    let mirror = |backend| Mirror {
        backend,
        written: "m".into(),
        chance: wattle_model::Chance::of(1, 4),
    };
    let mut rule = forwarding(vec![to(0, 1)]);
    rule.filters = Arc::new(Filters {
        mirrors: vec![mirror(Some(1)), mirror(None)],
        ..Filters::default()
    });
    let told = routes(vec![rule]);
    let copies = &forwarded(&told[0]).request_mirror_policies;
    assert_eq!(
        copies.iter().map(|copy| &*copy.cluster).collect::<Vec<_>>(),
        ["b:80|http/1"]
    );
}

#[test]
fn a_rule_by_an_expression_of_another_dialect_is_left_out_and_written_down() {
    let mut odd = forwarding(vec![to(0, 1)]);
    odd.matches.path = Some(wattle_model::PathMatch::Regex(
        Pattern::new("/[a-z&&[^b]]").unwrap(),
    ));
    let told = resources(vec![odd]);
    assert_eq!(told.gaps.len(), 1);
    assert_eq!(&*told.gaps[0].place, "10.0.0.1:80");
    assert_eq!(&*told.gaps[0].origin.as_ref().unwrap().name, "routes");
}

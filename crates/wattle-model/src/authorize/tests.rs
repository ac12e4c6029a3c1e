#![allow(clippy::unwrap_used)]

mod fields;

use std::net::IpAddr;

use http::{HeaderMap, HeaderValue};

use super::*;
use crate::{
    Attribute, Authorization, Claim, Condition, IpBlock, MtlsMode, NoTrace, Operation, PeerFacts, PolicyRule,
    Source, TextMatch, TokenFacts, TokenPrincipal, Workload,
};

fn text(text: &str) -> TextMatch {
    match (text, text.strip_suffix('*'), text.strip_prefix('*')) {
        ("*", ..) => TextMatch::Present,
        (_, Some(prefix), _) => TextMatch::Prefix(prefix.into()),
        (_, _, Some(suffix)) => TextMatch::Suffix(suffix.into()),
        _ => TextMatch::Exact(text.into()),
    }
}

fn texts(list: &[&str]) -> Vec<TextMatch> {
    list.iter().map(|entry| text(entry)).collect()
}

fn policy(rules: Vec<PolicyRule>) -> Policy {
    let origin = ObjectRef {
        kind: "AuthorizationPolicy".into(),
        namespace: "shop".into(),
        name: "p".into(),
        file: "p.yaml".into(),
        line: 1,
    };
    Policy { origin, rules }
}

fn inbound(deny: Vec<PolicyRule>, allow: Option<Vec<PolicyRule>>) -> Inbound {
    let deny = if deny.is_empty() {
        vec![]
    } else {
        vec![policy(deny)]
    };
    let authorization = Authorization {
        deny,
        allow: allow.map(policy).into_iter().collect(),
        ..Authorization::default()
    };
    Inbound {
        name: "shop/a-0".into(),
        workload: Workload::default(),
        ports: vec![],
        mtls: MtlsMode::Permissive,
        mtls_origin: None,
        authorization,
        ..Inbound::default()
    }
}

fn from(source: Source) -> PolicyRule {
    PolicyRule {
        from: vec![source],
        ..Default::default()
    }
}

fn to(operation: Operation) -> PolicyRule {
    PolicyRule {
        to: vec![operation],
        ..Default::default()
    }
}

fn when(key: &str, values: &[&str], not_values: &[&str]) -> PolicyRule {
    let attribute = Attribute::parse(key);
    let ranges = |list: &[&str]| list.iter().map(|text| IpBlock::parse(text).unwrap()).collect();
    let (words, blocks) = match attribute.is_address() {
        true => ([vec![], vec![]], [ranges(values), ranges(not_values)]),
        false => ([texts(values), texts(not_values)], [vec![], vec![]]),
    };
    let ([values, not_values], [blocks, not_blocks]) = (words, blocks);
    let condition = Condition {
        attribute,
        values,
        not_values,
        blocks,
        not_blocks,
    };
    PolicyRule {
        when: vec![condition],
        ..Default::default()
    }
}

fn connection(peer: bool) -> ConnectionFacts<'static> {
    let web = PeerFacts {
        principal: "td/ns/shop/sa/web",
        namespace: "shop",
        service_account: "web",
    };
    ConnectionFacts {
        peer: peer.then_some(web),
        peer_ip: IpAddr::from([10, 1, 2, 3]),
        local_ip: IpAddr::from([10, 9, 9, 9]),
        port: 8080,
        sni: peer.then_some("shop.test"),
    }
}

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.append("x-role", HeaderValue::from_static("guest"));
    headers.append("x-role", HeaderValue::from_static("admin"));
    headers
}

/// `accounts.test/alice`, for two audiences.
fn token() -> TokenFacts {
    let texts = |list: &[&str]| Claim::Texts(list.iter().map(|text| (*text).into()).collect());
    TokenFacts {
        principal: Some(TokenPrincipal {
            issuer: "accounts.test".into(),
            subject: "alice".into(),
        }),
        audiences: vec!["shop".into(), "mail".into()],
        presenter: Some("app".into()),
        claims: vec![("groups".into(), texts(&["staff", "admin"]))],
    }
}

fn request<'a>(path: &'a str, headers: &'a HeaderMap) -> RequestFacts<'a> {
    RequestFacts {
        method: "GET",
        scheme: "http",
        authority: "Shop.test:8080",
        path,
        query: None,
        headers,
        caller: crate::CallerFacts::default(),
        remote_ip: Some(IpAddr::from([192, 0, 2, 7])),
        token: None,
    }
}

/// Whether one rule matches a request to /a/b from an identified peer, as DENY and as ALLOW.
fn matches(rule: &PolicyRule, peer: bool, http: bool, path: &str) -> (bool, bool) {
    let headers = headers();
    let token = token();
    let request = RequestFacts {
        token: peer.then_some(&token),
        ..request(path, &headers)
    };
    let request = http.then_some(&request);
    let connection = connection(peer);
    let (denying, allowing) = (
        inbound(vec![rule.clone()], None),
        inbound(vec![], Some(vec![rule.clone()])),
    );
    let deny = denying.authorize(&connection, request, &mut NoTrace);
    let allow = allowing.authorize(&connection, request, &mut NoTrace);
    (
        matches!(
            deny,
            AuthorizationDecision::Refused {
                reason: Reason::PolicyDenied,
                rule: Some(0),
                ..
            }
        ),
        matches!(allow, AuthorizationDecision::Allowed { policy: Some(_) }),
    )
}

#[test]
fn without_policies_everything_is_allowed() {
    let open = inbound(vec![], None);
    let decision = open.authorize(&connection(false), None, &mut NoTrace);
    assert_eq!(decision, AuthorizationDecision::Allowed { policy: None });
}

#[test]
fn a_policy_without_rules_matches_nothing() {
    let there = inbound(vec![], Some(vec![]));
    let decision = there.authorize(&connection(true), None, &mut NoTrace);
    assert!(matches!(
        decision,
        AuthorizationDecision::Refused {
            reason: Reason::PolicyNotAllowed,
            policy: Some(_),
            rule: None
        }
    ));
}

#[test]
fn an_empty_rule_matches_everything_and_deny_comes_first() {
    let any = PolicyRule::default();
    assert_eq!(matches(&any, false, false, "/"), (true, true));
    let both = inbound(vec![any.clone()], Some(vec![any]));
    let decision = both.authorize(&connection(true), None, &mut NoTrace);
    assert!(matches!(
        decision,
        AuthorizationDecision::Refused {
            reason: Reason::PolicyDenied,
            ..
        }
    ));
}

#[test]
fn on_tcp_http_fields_never_match_in_allow_and_are_dropped_in_deny() {
    let fields = [
        Operation {
            methods: texts(&["POST"]),
            ..Default::default()
        },
        Operation {
            not_paths: texts(&["/x"]),
            ..Default::default()
        },
        Operation {
            hosts: texts(&["x"]),
            ..Default::default()
        },
    ];
    for operation in fields {
        assert_eq!(
            matches(&to(operation.clone()), true, false, ""),
            (true, false),
            "{operation:?}"
        );
        let other_port = Operation {
            ports: vec![1],
            ..operation
        };
        assert_eq!(matches(&to(other_port), true, false, ""), (false, false));
    }
    assert_eq!(
        matches(&when("request.headers[x-a]", &["1"], &[]), true, false, ""),
        (true, false)
    );
}

#[test]
fn odd_spelling_of_a_path_is_no_way_around_a_deny_and_no_way_into_an_allow() {
    let admin = to(Operation {
        paths: texts(&["/admin*"]),
        ..Default::default()
    });
    for path in ["/x/../admin", "/%61dmin", "/%2e/admin", "\\admin"] {
        assert_eq!(matches(&admin, true, true, path), (true, true), "{path}");
    }
    for path in ["//admin", "/%2Fadmin", "/x/..%2fadmin"] {
        assert_eq!(matches(&admin, true, true, path), (true, false), "{path}");
    }
    let public = to(Operation {
        paths: texts(&["/public/*"]),
        ..Default::default()
    });
    assert!(!matches(&public, true, true, "/public/../admin").1);
}

#[test]
fn odd_spelling_is_no_way_around_what_an_allow_rule_excludes() {
    let others = to(Operation {
        not_paths: texts(&["/admin*"]),
        ..Default::default()
    });
    let table = [
        ("/public", (true, true)),
        ("/admin", (false, false)),
        ("/%61dmin", (false, false)),
        ("//admin", (true, false)),
        ("/%2Fadmin", (true, false)),
        ("/x/..%2fadmin", (true, false)),
        ("//public", (true, true)),
    ];
    for (path, expected) in table {
        assert_eq!(matches(&others, true, true, path), expected, "{path}");
    }
}

#[test]
fn what_cannot_be_evaluated_fails_closed() {
    let mut rule = from(Source {
        namespaces: texts(&["shop"]),
        ..Default::default()
    });
    rule.unsupported = Some("from.source.requestPrincipals".into());
    assert_eq!(matches(&rule, true, true, "/"), (true, false));
    assert_eq!(matches(&rule, false, true, "/"), (false, false));
}

#[test]
fn the_trace_names_policy_rule_and_what_was_missing() {
    let there = inbound(
        vec![],
        Some(vec![from(Source {
            principals: texts(&["td/ns/x/sa/y"]),
            ..Default::default()
        })]),
    );
    let mut steps = Vec::new();
    there.authorize(&connection(true), None, &mut steps);
    assert_eq!(steps[0].subject, "AuthorizationPolicy shop/p (p.yaml:1) rule 0");
    assert_eq!(
        steps[0].detail,
        "principal td/ns/shop/sa/web is none of \"td/ns/x/sa/y\""
    );
    assert_eq!(steps[1].verdict, Verdict::Refused);
}

//! A proof agrees with asking: where it says that nothing gets in, no request does.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::{Authorization, MtlsMode, ObjectRef, Operation, Pattern, Policy, PolicyRule, Source};

const DOMAINS: &[&str] = &["td"];

fn claim() -> Claim<'static> {
    Claim {
        trust_domains: DOMAINS,
        namespace: Some("a"),
        service_account: None,
        port: Some(80),
        method: None,
        path: None,
    }
}

fn exact(text: &str) -> TextMatch {
    TextMatch::Exact(text.into())
}

fn policy(rules: Vec<PolicyRule>) -> Policy {
    Policy {
        origin: ObjectRef {
            kind: "AuthorizationPolicy".into(),
            namespace: "n".into(),
            name: "p".into(),
            file: "".into(),
            line: 0,
        },
        rules,
    }
}

fn strict(authorization: Authorization) -> Inbound {
    Inbound {
        mtls: MtlsMode::Strict,
        authorization,
        ..Inbound::default()
    }
}

fn from_namespace(namespace: &str) -> PolicyRule {
    PolicyRule {
        from: vec![Source {
            namespaces: vec![exact(namespace)],
            ..Source::default()
        }],
        ..PolicyRule::default()
    }
}

fn allowing(rules: Vec<PolicyRule>) -> Inbound {
    strict(Authorization {
        allow: vec![policy(rules)],
        ..Authorization::default()
    })
}

#[test]
fn nothing_of_a_namespace_that_no_rule_names_gets_in() {
    let proof = allowing(vec![from_namespace("b")]).prove(&claim());
    assert_eq!((proof.verdict, proof.assumed), (ProofVerdict::Holds, Vec::new()));
}

#[test]
fn what_gets_in_is_shown_by_a_request() {
    let mut rule = from_namespace("a");
    rule.to = vec![Operation {
        methods: vec![exact("PUT")],
        paths: vec![TextMatch::Prefix("/in/".into())],
        not_paths: vec![TextMatch::Suffix("/x".into())],
        ..Operation::default()
    }];
    let inbound = allowing(vec![rule]);
    let ProofVerdict::Reached(witness) = inbound.prove(&claim()).verdict else {
        panic!("a witness")
    };
    let (method, path) = witness.request.unwrap();
    assert_eq!(method, "PUT");
    assert!(path.starts_with("/in/") && !path.ends_with("/x"), "{path}");
    assert!(witness.principal.unwrap().starts_with("td/ns/a/sa/"));
    let get = Claim {
        method: Some("GET"),
        ..claim()
    };
    assert_eq!(inbound.prove(&get).verdict, ProofVerdict::Holds);
}

#[test]
fn a_caller_in_plaintext_is_thought_of_where_the_port_takes_it() {
    let open = Inbound {
        mtls: MtlsMode::Permissive,
        authorization: Authorization {
            deny: vec![policy(vec![from_namespace("a")])],
            ..Authorization::default()
        },
        ..Inbound::default()
    };
    let ProofVerdict::Reached(witness) = open.prove(&claim()).verdict else {
        panic!("a witness")
    };
    assert_eq!(witness.principal, None);
    assert_eq!(
        strict(open.authorization).prove(&claim()).verdict,
        ProofVerdict::Holds
    );
}

#[test]
fn an_expression_is_taken_to_hold_and_said() {
    let mut rule = from_namespace("a");
    rule.to = vec![Operation {
        paths: vec![TextMatch::Regex(Pattern::new("/never").unwrap())],
        ..Operation::default()
    }];
    let proof = allowing(vec![rule]).prove(&claim());
    assert!(
        matches!(proof.verdict, ProofVerdict::MayBeReached(_)),
        "{proof:?}"
    );
    assert_eq!(
        proof.assumed,
        ["expression for a path of rule 0 of AuthorizationPolicy n/p"]
    );
}

fn text(alphabet: &'static [&'static str]) -> impl Strategy<Value = TextMatch> {
    (prop::sample::select(alphabet), 0..4_u8).prop_map(|(text, kind)| match kind {
        0 | 3 => TextMatch::Exact(text.into()),
        1 => TextMatch::Prefix(text.into()),
        _ => TextMatch::Suffix(text.into()),
    })
}

fn texts(alphabet: &'static [&'static str]) -> impl Strategy<Value = Vec<TextMatch>> {
    prop::collection::vec(text(alphabet), 0..3)
}

const PRINCIPALS: &[&str] = &[
    "td/ns/a/sa/x",
    "td/ns/a",
    "/sa/x",
    "y",
    "td/ns/a/sa/",
    "/ns/a/sa/xy",
    "td/ns/b/sa/x",
    "xy",
];
const PATHS: &[&str] = &[
    "/", "/a", "/a/", "/a/b", "/b", "b", "//a", "/a%2Fb", "/a/../b", "a/b",
];
const METHODS: &[&str] = &["GET", "PUT", "G", "T"];

fn rule() -> impl Strategy<Value = PolicyRule> {
    let source = (texts(PRINCIPALS), texts(PRINCIPALS), texts(&["a", "b"])).prop_map(
        |(principals, not_principals, namespaces)| Source {
            principals,
            not_principals,
            namespaces,
            ..Source::default()
        },
    );
    let operation = (
        texts(METHODS),
        texts(PATHS),
        texts(PATHS),
        prop::collection::vec(80..82_u16, 0..2),
    )
        .prop_map(|(methods, paths, not_paths, ports)| Operation {
            methods,
            paths,
            not_paths,
            ports,
            ..Operation::default()
        });
    (
        prop::collection::vec(source, 0..3),
        prop::collection::vec(operation, 0..3),
    )
        .prop_map(|(from, to)| PolicyRule {
            from,
            to,
            ..PolicyRule::default()
        })
}

fn policies() -> impl Strategy<Value = Vec<Policy>> {
    prop::collection::vec(prop::collection::vec(rule(), 0..3).prop_map(policy), 0..3)
}

/// Requests as somebody could send them, some of them oddly spelled.
const SENT: &[&str] = &[
    "/", "/a", "/a/", "/a/b", "/a/c", "/b", "/c", "/xb", "//a", "/a%2Fb", "/a/../b", "/%61", "/a//b",
    "/c/a/b", "/ab",
];

proptest! {
    #[test]
    fn where_nothing_is_said_to_get_in_nothing_that_is_tried_does(
        deny in policies(), allow in policies(), permissive: bool
    ) {
        let mut inbound = strict(Authorization { deny, allow, ..Authorization::default() });
        if permissive {
            inbound.mtls = MtlsMode::Permissive;
        }
        match inbound.prove(&claim()).verdict {
            ProofVerdict::Holds => {
                for account in ["x", "y", "xy", "z", "ax"] {
                    let identity = Identity {
                        principal: format!("td/ns/a/sa/{account}"),
                        namespace: "a".to_owned(),
                        service_account: account.to_owned(),
                    };
                    for who in [Some(&identity), None] {
                        prop_assert!(!lets_in(&inbound, who, 80, None));
                        for method in ["GET", "PUT", "POST", "GT", "G"] {
                            for path in SENT {
                                let request = (method.to_owned(), (*path).to_owned());
                                prop_assert!(!lets_in(&inbound, who, 80, Some(&request)), "{request:?}");
                            }
                        }
                    }
                }
            }
            ProofVerdict::TooLarge => prop_assert!(false, "a small claim is decided"),
            ProofVerdict::Reached(_) | ProofVerdict::MayBeReached(_) => {}
        }
    }
}

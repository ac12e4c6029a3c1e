#![allow(clippy::unwrap_used)]
use super::*;

fn policy() -> Cors {
    Cors {
        origins: vec![
            TextMatch::Exact("https://a.example".into()),
            TextMatch::Suffix(".b.example".into()),
        ],
        methods: CorsList::These("GET, PUT".into()),
        headers: CorsList::Any,
        expose: CorsList::These("x-seen".into()),
        max_age: Some(Duration::from_secs(5)),
        credentials: true,
        forwards_unmatched: true,
    }
}

fn decide(policy: &Cors, method: &str, headers: &[(&'static str, &'static str)]) -> CorsVerdict {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
    policy.decide(&RequestFacts {
        method,
        headers: &headers,
        ..RequestFacts::example(&headers)
    })
}

fn shown(reply: &CorsReply) -> Vec<String> {
    reply
        .iter()
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect()
}

#[test]
fn a_preflight_of_an_allowed_origin_is_answered_with_what_it_may_do() {
    let verdict = decide(
        &policy(),
        "OPTIONS",
        &[
            ("origin", "https://x.b.example"),
            ("access-control-request-method", "PUT"),
            ("access-control-request-headers", "x-one"),
        ],
    );
    let CorsVerdict::Preflight(reply) = verdict else {
        panic!("{verdict:?}");
    };
    assert_eq!(
        shown(&reply),
        [
            "access-control-allow-origin: https://x.b.example",
            "access-control-allow-credentials: true",
            "access-control-allow-methods: GET, PUT",
            "access-control-allow-headers: x-one",
            "access-control-max-age: 5",
        ]
    );
}

#[test]
fn a_call_of_an_allowed_origin_goes_on_and_its_answer_says_so() {
    let verdict = decide(&policy(), "GET", &[("origin", "https://a.example")]);
    let CorsVerdict::Allow(reply) = verdict else {
        panic!("{verdict:?}");
    };
    assert_eq!(
        shown(&reply),
        [
            "access-control-allow-origin: https://a.example",
            "access-control-allow-credentials: true",
            "access-control-expose-headers: x-seen",
        ]
    );
}

#[test]
fn another_origin_gets_no_permission_and_its_preflight_goes_where_the_policy_says() {
    let preflight = [
        ("origin", "https://evil.example"),
        ("access-control-request-method", "PUT"),
    ];
    assert_eq!(decide(&policy(), "OPTIONS", &preflight), CorsVerdict::Pass);
    assert_eq!(decide(&policy(), "GET", &preflight[..1]), CorsVerdict::Pass);
    let answering = Cors {
        forwards_unmatched: false,
        ..policy()
    };
    assert_eq!(
        decide(&answering, "OPTIONS", &preflight),
        CorsVerdict::Preflight(Vec::new())
    );
}

#[test]
fn what_comes_from_no_web_page_and_what_asks_no_permission_are_no_preflights() {
    assert_eq!(decide(&policy(), "GET", &[]), CorsVerdict::Pass);
    let verdict = decide(&policy(), "OPTIONS", &[("origin", "https://a.example")]);
    assert!(matches!(verdict, CorsVerdict::Allow(_)));
}

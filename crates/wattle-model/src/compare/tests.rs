#![allow(clippy::unwrap_used)]
use http::HeaderValue;

use super::*;
use crate::Pattern;

fn facts<'a>(
    method: &'a str,
    path: &'a str,
    query: Option<&'a str>,
    headers: &'a HeaderMap,
) -> RequestFacts<'a> {
    RequestFacts {
        method,
        scheme: "http",
        authority: "a",
        path,
        query,
        headers,
        caller: crate::CallerFacts::default(),
        remote_ip: None,
        token: None,
    }
}

#[test]
fn texts_compare_as_written() {
    let table = [
        (TextMatch::Exact("ab".into()), "ab", true),
        (TextMatch::Exact("ab".into()), "AB", false),
        (TextMatch::Prefix("ab".into()), "abc", true),
        (TextMatch::Prefix("ab".into()), "xab", false),
        (TextMatch::Suffix("ab".into()), "xab", true),
        (TextMatch::Suffix("ab".into()), "abx", false),
        (TextMatch::Present, "", true),
        (TextMatch::Regex(Pattern::new("a.|b").unwrap()), "ax", true),
        (TextMatch::Regex(Pattern::new("a.|b").unwrap()), "axe", false),
        (TextMatch::Regex(Pattern::new("a.|b").unwrap()), "bb", false),
    ];
    for (wanted, text, expected) in table {
        assert_eq!(wanted.matches(text), expected, "{wanted} and {text}");
    }
}

#[test]
fn hosts_compare_without_case() {
    assert!(TextMatch::Exact("Ab.c".into()).matches_ignoring_case("aB.C"));
    assert!(TextMatch::Prefix("AB".into()).matches_ignoring_case("abc"));
    assert!(TextMatch::Suffix(".C".into()).matches_ignoring_case("ab.c"));
    assert!(!TextMatch::Suffix("long.c".into()).matches_ignoring_case(".c"));
    assert!(!TextMatch::Prefix("é".into()).matches_ignoring_case("e"));
}

#[test]
fn several_values_of_a_header_are_joined() {
    let mut headers = HeaderMap::new();
    headers.append("x-a", HeaderValue::from_static("one"));
    headers.append("x-a", HeaderValue::from_static("two"));
    let wanted = |value: &str| HeaderMatch {
        name: HeaderName::from_static("x-a"),
        value: TextMatch::Exact(value.into()),
        inverted: false,
    };
    assert!(wanted("one,two").matches(&headers));
    assert!(!wanted("one").matches(&headers));
}

#[test]
fn the_first_query_value_counts_and_is_decoded() {
    let wanted = QueryMatch {
        name: "a b".into(),
        value: TextMatch::Exact("x/y".into()),
    };
    assert!(wanted.matches(Some("z=1&a%20b=x%2Fy&a%20b=other")));
    assert!(!wanted.matches(Some("a%20b=other&a%20b=x%2Fy")));
    assert!(!wanted.matches(Some("A%20B=x/y")));
    assert!(!wanted.matches(None));
    let present = QueryMatch {
        name: "flag".into(),
        value: TextMatch::Present,
    };
    assert!(present.matches(Some("flag")));
}

#[test]
fn a_mismatch_says_what_was_wanted_and_found() {
    let headers = HeaderMap::new();
    let request = facts("GET", "/x", Some("q=1"), &headers);
    let path = RequestMatch {
        path: Some(PathMatch::Prefix("/api".into())),
        ..Default::default()
    };
    assert_eq!(
        path.mismatch(&request).unwrap().explain(&request),
        "path /x does not start with /api"
    );
    let method = RequestMatch {
        method: Some(TextMatch::Exact("POST".into())),
        ..Default::default()
    };
    assert_eq!(
        method.mismatch(&request).unwrap().explain(&request),
        "method GET is not POST"
    );
    let header = HeaderMatch {
        name: HeaderName::from_static("x-a"),
        value: TextMatch::Exact("1".into()),
        inverted: false,
    };
    let header = RequestMatch {
        headers: vec![header],
        ..Default::default()
    };
    assert_eq!(
        header.mismatch(&request).unwrap().explain(&request),
        "header x-a is absent, wanted \"1\""
    );
    let query = QueryMatch {
        name: "q".into(),
        value: TextMatch::Exact("2".into()),
    };
    let query = RequestMatch {
        query: vec![query],
        ..Default::default()
    };
    assert_eq!(
        query.mismatch(&request).unwrap().explain(&request),
        "query parameter q is \"1\", wanted \"2\""
    );
    assert!(RequestMatch::default().matches(&request));
}

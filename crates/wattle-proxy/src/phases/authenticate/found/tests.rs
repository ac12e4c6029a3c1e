//! Tokens in heads.
#![allow(clippy::unwrap_used)]

use http::Method;

use super::*;

fn head(target: &str, headers: &[(&'static str, &str)]) -> RequestHead {
    let mut head = RequestHead::new(Method::GET, "a", target);
    for (name, value) in headers {
        head.headers.append(*name, value.parse().unwrap());
    }
    head
}

fn found(head: &RequestHead, location: &TokenLocation) -> Vec<String> {
    let mut all = Vec::new();
    let visited: Result<(), ()> = each(head, location, |text| {
        all.push(text.unwrap_or("?").to_owned());
        Ok(())
    });
    visited.unwrap();
    all
}

fn bearer() -> TokenLocation {
    TokenLocation::usual().remove(0)
}

#[test]
fn a_bearer_token_is_found_whatever_the_case_and_blanks_of_its_scheme() {
    let table: [(&str, &[&str]); 9] = [
        ("Bearer a.b.c", &["a.b.c"]),
        ("bearer a.b.c", &["a.b.c"]),
        ("BEARER   a.b.c", &["a.b.c"]),
        ("Bearer\ta.b.c", &["a.b.c"]),
        ("Bearer a.b.c, Bearer d", &["a.b.c, Bearer d"]),
        ("Bearer", &[""]),
        ("Bearera.b.c", &[]),
        ("Basic a.b.c", &[]),
        ("a.b.c", &[]),
    ];
    for (value, expected) in table {
        let head = head("/", &[("authorization", value)]);
        assert_eq!(found(&head, &bearer()), expected, "{value}");
    }
}

#[test]
fn every_one_of_several_tokens_is_found() {
    let twice = head(
        "/p?t=a&x=1&t=b&%74=c&t=%64%2e",
        &[
            ("authorization", "Bearer a"),
            ("authorization", "Bearer b"),
            ("cookie", "t=a; u=x; t=\"b\""),
            ("cookie", "t = c=d"),
            ("x-t", "a"),
            ("x-t", "pre-b"),
        ],
    );
    let header = |prefix: &str| TokenLocation::Header(HeaderName::from_static("x-t"), prefix.into());
    assert_eq!(found(&twice, &bearer()), ["a", "b"]);
    assert_eq!(
        found(&twice, &TokenLocation::Query("t".into())),
        ["a", "b", "c", "d."]
    );
    assert_eq!(
        found(&twice, &TokenLocation::Cookie("t".into())),
        ["a", "b", "c=d"]
    );
    assert_eq!(found(&twice, &header("")), ["a", "pre-b"]);
    assert_eq!(found(&twice, &header("pre-")), ["b"]);
}

#[test]
fn what_is_no_text_is_found_as_such() {
    let mut binary = head("/?t=%ff", &[]);
    let value = HeaderValue::from_bytes(b"Bearer \xff").unwrap();
    binary.headers.insert("authorization", value);
    assert_eq!(found(&binary, &bearer()), ["?"]);
    assert_eq!(found(&binary, &TokenLocation::Query("t".into())), ["?"]);
}

#[test]
fn what_is_taken_out_leaves_everything_else_as_it_was() {
    let targets = [
        ("/p?t=a", "/p"),
        ("/p?x=1&t=a&y", "/p?x=1&y"),
        ("/p?%74=a&x=%20+&&z=", "/p?x=%20+&&z="),
        ("/p?tt=a", "/p?tt=a"),
        ("/p", "/p"),
    ];
    for (before, after) in targets {
        let mut head = head(before, &[]);
        remove(&mut head, &TokenLocation::Query("t".into()));
        assert_eq!(head.path_and_query, after);
    }
    let cookies: [(&str, &[&str]); 3] = [("t=a", &[]), ("x=1; t=a;y=2", &["x=1; y=2"]), ("x=1", &["x=1"])];
    for (before, after) in cookies {
        let mut head = head("/", &[("cookie", before)]);
        remove(&mut head, &TokenLocation::Cookie("t".into()));
        let left: Vec<_> = head.headers.get_all("cookie").iter().collect();
        assert_eq!(left, after);
    }
    let mut both = head(
        "/",
        &[("authorization", "Bearer a"), ("authorization", "Basic b")],
    );
    remove(&mut both, &bearer());
    let left: Vec<_> = both.headers.get_all("authorization").iter().collect();
    assert_eq!(left, ["Basic b"]);
}

#[test]
fn a_reserved_header_cannot_be_spelled_another_way() {
    let mut spoofed = head("/", &[("x-user-id", "a"), ("x_user-id", "b"), ("x_other", "c")]);
    remove_reserved(&mut spoofed.headers, &[HeaderName::from_static("x-user-id")]);
    let left: Vec<_> = spoofed.headers.keys().map(HeaderName::as_str).collect();
    assert_eq!(left, ["x_other"]);
}

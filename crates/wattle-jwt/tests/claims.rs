//! What is read of a verified token.
#![allow(clippy::unwrap_used)]

mod common;

use common::*;
use wattle_jwt::{Claim, Claims, SPACE_DELIMITED};

fn claims(more: &str) -> Claims {
    accept(&ED25519.token("EdDSA", "", &format!(r#"{{"iss":"{ISSUER}",{more}}}"#))).unwrap()
}

fn texts(claims: &Claims, path: &[&str]) -> Vec<String> {
    let split = path.len() == 1 && SPACE_DELIMITED.contains(&path[0]);
    claims.texts(path, split).map(Into::into).collect()
}

#[test]
fn the_principal_is_issuer_and_subject() {
    let found = claims(r#""sub":"alice","azp":"app","aud":["a","b"]"#);
    assert_eq!(found.principal().as_deref(), Some("https://issuer.example/alice"));
    assert_eq!(
        (found.issuer(), found.subject(), found.presenter()),
        (Some(ISSUER), Some("alice"), Some("app"))
    );
    assert_eq!(found.audiences().collect::<Vec<_>>(), ["a", "b"]);
    let found = claims(r#""aud":"a b","azp":1"#);
    assert_eq!((found.principal(), found.presenter()), (None, None));
    assert_eq!(found.audiences().collect::<Vec<_>>(), ["a b"]);
    assert_eq!(claims(r#""sub":"""#).principal(), None);
}

#[test]
fn strings_and_lists_of_strings_match_alike() {
    let found =
        claims(r#""group":"a b","groups":["a",1,"b",["c"],null],"count":3,"on":true,"none":null,"empty":[]"#);
    assert_eq!(texts(&found, &["group"]), ["a b"]);
    assert_eq!(texts(&found, &["groups"]), ["a", "b"]);
    for name in ["count", "on", "none", "empty", "missing", ""] {
        assert!(texts(&found, &[name]).is_empty(), "{name}");
    }
    assert!(texts(&found, &[]).is_empty());
}

#[test]
fn scope_and_permission_are_words_between_spaces() {
    let found = claims(r#""scope":" read  write","permission":"a","nested":{"scope":"a b"},"scopes":"a b""#);
    assert_eq!(texts(&found, &["scope"]), ["read", "write"]);
    assert_eq!(texts(&found, &["permission"]), ["a"]);
    assert_eq!(texts(&found, &["nested", "scope"]), ["a b"]);
    assert_eq!(texts(&found, &["scopes"]), ["a b"]);
    assert_eq!(found.texts(&["scopes"], true).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(texts(&claims(r#""scope":["a b","c"]"#), &["scope"]), ["a b", "c"]);
}

#[test]
fn nested_claims_are_reached_by_their_path() {
    let found =
        claims(r#""a":{"b":{"c":"x","d":["y","z"]},"e":"f"},"a.b":"dotted","https://x/y":{"k.l":"m"}"#);
    assert_eq!(texts(&found, &["a", "b", "c"]), ["x"]);
    assert_eq!(texts(&found, &["a", "b", "d"]), ["y", "z"]);
    assert_eq!(texts(&found, &["https://x/y", "k.l"]), ["m"]);
    for path in [["a", "e", "f"], ["a", "b", "x"], ["iss", "a", "b"]] {
        assert!(found.at(&path).is_none(), "{path:?}");
    }
    let named = |name: &str| found.named(name).and_then(Claim::text);
    assert_eq!(named("a.b.c"), Some("x"));
    assert_eq!(
        named("a.b"),
        Some("dotted"),
        "a name with a dot comes before a path"
    );
    assert_eq!(
        (named("a.e"), named("a.e.f"), named("a."), named(".")),
        (Some("f"), None, None, None)
    );
}

#[test]
fn strings_numbers_and_booleans_become_headers() {
    let found = claims(
        r#""text":"a b","umlaut":"ä","big":18446744073709551615,"negative":-7,"half":1.5,"yes":true,"no":false,
        "line":"a\r\nx-admin: 1","zero":"a\u0000","empty":"","list":["a"],"object":{},"null":null"#,
    );
    let header = |name: &str| found.named(name).and_then(Claim::header_value);
    for (name, value) in [
        ("text", "a b"),
        ("umlaut", "ä"),
        ("big", "18446744073709551615"),
        ("negative", "-7"),
        ("half", "1.5"),
        ("yes", "true"),
        ("no", "false"),
    ] {
        assert_eq!(header(name).as_deref(), Some(value), "{name}");
    }
    for name in ["line", "zero", "empty", "list", "object", "null", "missing"] {
        assert_eq!(header(name), None, "{name}");
    }
}

#[test]
fn the_payload_is_passed_on_as_it_was_sent() {
    let payload = format!("{{ \"iss\" : \"{ISSUER}\",\r\n \"n\": 1.50, \"t\": \"\\u0041\"}}\n");
    let text = ED25519.token("EdDSA", "", &payload);
    let found = accept(&text).unwrap();
    assert_eq!(found.json(), payload);
    assert_eq!(Some(&*found.encoded_payload()), text.split('.').nth(1));
}

#[test]
fn lists_and_objects_can_be_walked() {
    let found = claims(r#""a":{"z":1,"b":[true,"x"]}"#);
    let Some(Claim::Object(object)) = found.at(&["a"]) else {
        panic!("a is an object");
    };
    assert_eq!(
        object.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        ["b", "z"]
    );
    let list = object.member("b").and_then(Claim::list).unwrap();
    assert_eq!((list.len(), list.is_empty(), list.texts().count()), (2, false, 1));
}

//! Issuer, audience and times of tokens whose signature is right.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::Arc;

use common::*;
use wattle_jwt::{Audience, KeySet, Rejection, Requirements, Token, verify, verify_any};

fn signed(payload: &str) -> String {
    ED25519.token("EdDSA", "", payload)
}

/// Why a payload with these claims beside the issuer's name is refused.
fn outcome(claims: &str, requirements: &Requirements) -> Result<(), &'static str> {
    let text = signed(&format!(r#"{{"iss":"{ISSUER}"{claims}}}"#));
    let outcome = accept_by(&text, requirements).map(drop);
    outcome.map_err(|rejection| rejection.id())
}

#[test]
fn the_issuer_is_compared_letter_by_letter() {
    for issuer in [
        "\"https://issuer.example/\"",
        "\"https://Issuer.example\"",
        "\"https://issuer.example \"",
        "\"https://issuer.example\\u0000\"",
        "\"https://issuer.example.attacker.example\"",
        "\"http://issuer.example\"",
        "\"\"",
    ] {
        assert_eq!(
            refusal(&signed(&format!(r#"{{"iss":{issuer}}}"#))),
            "jwt-issuer",
            "{issuer}"
        );
    }
    assert_eq!(refusal(&signed("{}")), "jwt-issuer");
    assert_eq!(
        refusal(&signed(r#"{"ISS":"https://issuer.example"}"#)),
        "jwt-issuer"
    );
    for issuer in ["null", "1", r#"["https://issuer.example"]"#, "{}"] {
        assert_eq!(
            refusal(&signed(&format!(r#"{{"iss":{issuer}}}"#))),
            "jwt-claim-type",
            "{issuer}"
        );
    }
    assert!(accept(&signed(r#"{"iss":"https:\/\/issuer.e\u0078ample"}"#)).is_ok());
}

#[test]
fn without_an_issuer_the_keys_decide() {
    let requirements = Requirements {
        issuer: None,
        ..REQUIREMENTS.clone()
    };
    assert!(accept_by(&signed("{}"), &requirements).is_ok());
    assert!(accept_by(&signed(r#"{"iss":"whoever"}"#), &requirements).is_ok());
    assert_eq!(
        refusal_by(&edwards().token("EdDSA", "", "{}"), &requirements),
        "jwt-signature"
    );
}

#[test]
fn one_of_the_audiences_is_enough() {
    let exact = |name: &str| Audience::Exact(name.into());
    let requirements = Requirements {
        audiences: vec![exact("shop"), exact("desk")],
        ..REQUIREMENTS.clone()
    };
    for aud in [r#""shop""#, r#""desk""#, r#"["other","desk"]"#, r#"["shop"]"#] {
        assert_eq!(
            outcome(&format!(r#","aud":{aud}"#), &requirements),
            Ok(()),
            "{aud}"
        );
    }
    for aud in [
        r#""Shop""#,
        r#""shop desk""#,
        r#""""#,
        "[]",
        r#"["sho","shops"]"#,
        r#""https://shop""#,
    ] {
        assert_eq!(
            outcome(&format!(r#","aud":{aud}"#), &requirements),
            Err("jwt-audience"),
            "{aud}"
        );
    }
    assert_eq!(outcome("", &requirements), Err("jwt-audience"));
    for aud in ["null", "1", r#"["shop",1]"#, r#"[["shop"]]"#, r#"{"shop":1}"#] {
        assert_eq!(
            outcome(&format!(r#","aud":{aud}"#), &requirements),
            Err("jwt-claim-type"),
            "{aud}"
        );
    }
    assert_eq!(
        outcome(r#","aud":"whoever""#, &REQUIREMENTS),
        Ok(()),
        "no audience is asked for"
    );
}

#[test]
fn an_audience_that_is_a_host_may_come_with_scheme_and_slash() {
    let audiences = vec![Audience::Host("https://shop.example/".into())];
    let requirements = Requirements {
        audiences,
        ..REQUIREMENTS.clone()
    };
    for aud in [
        "shop.example",
        "shop.example/",
        "http://shop.example",
        "https://shop.example/",
    ] {
        assert_eq!(
            outcome(&format!(r#","aud":"{aud}""#), &requirements),
            Ok(()),
            "{aud}"
        );
    }
    for aud in [
        "shop.example//",
        "ftp://shop.example",
        "HTTPS://shop.example",
        "shop.example/a",
        "",
    ] {
        assert_eq!(
            outcome(&format!(r#","aud":"{aud}""#), &requirements),
            Err("jwt-audience"),
            "{aud}"
        );
    }
}

#[test]
fn times_count_with_a_minute_of_leeway() {
    let later = |seconds: i64| NOW.checked_add_signed(seconds).unwrap();
    for (claims, expected) in [
        (format!(r#","exp":{}"#, later(-59)), Ok(())),
        (format!(r#","exp":{}"#, later(-60)), Err("jwt-expired")),
        (format!(r#","exp":{}.5"#, later(-60)), Ok(())),
        (format!(r#","exp":{}.5"#, later(-61)), Err("jwt-expired")),
        (r#","exp":1.8e9"#.into(), Ok(())),
        (r#","exp":0"#.into(), Err("jwt-expired")),
        (format!(r#","nbf":{}"#, later(60)), Ok(())),
        (format!(r#","nbf":{}.5"#, later(60)), Err("jwt-not-yet-valid")),
        (format!(r#","nbf":{}"#, later(61)), Err("jwt-not-yet-valid")),
        (format!(r#","nbf":{},"exp":{}"#, later(10), later(-10)), Ok(())),
        (format!(r#","iat":{}"#, later(999_999)), Ok(())),
        (r#","exp":9007199254740992"#.into(), Ok(())),
    ] {
        assert_eq!(outcome(&claims, &REQUIREMENTS), expected, "{claims}");
    }
}

#[test]
fn the_leeway_can_be_chosen() {
    let strict = Requirements {
        leeway_secs: 0,
        ..REQUIREMENTS.clone()
    };
    assert_eq!(outcome(&format!(r#","exp":{}"#, NOW + 1), &strict), Ok(()));
    assert_eq!(outcome(&format!(r#","exp":{NOW}"#), &strict), Err("jwt-expired"));
    assert_eq!(outcome(&format!(r#","nbf":{NOW}"#), &strict), Ok(()));
    assert_eq!(
        outcome(&format!(r#","nbf":{}"#, NOW + 1), &strict),
        Err("jwt-not-yet-valid")
    );
    let endless = Requirements {
        leeway_secs: u64::MAX,
        ..REQUIREMENTS.clone()
    };
    assert_eq!(outcome(r#","exp":0,"nbf":9007199254740992"#, &endless), Ok(()));
}

#[test]
fn what_is_no_date_does_not_pass_for_none() {
    for name in ["exp", "nbf", "iat"] {
        for value in [
            "null",
            "\"1900000000\"",
            "-1",
            "-0.5",
            "9007199254740994",
            "1e300",
            "[]",
            "{}",
            "true",
        ] {
            let claims = format!(r#","{name}":{value}"#);
            assert_eq!(outcome(&claims, &REQUIREMENTS), Err("jwt-claim-type"), "{claims}");
        }
        assert_eq!(
            outcome(&format!(r#","{name}":1e999"#), &REQUIREMENTS),
            Err("jwt-malformed")
        );
    }
    for name in ["sub", "jti"] {
        for value in ["null", "1", "[]"] {
            let claims = format!(r#","{name}":{value}"#);
            assert_eq!(outcome(&claims, &REQUIREMENTS), Err("jwt-claim-type"), "{claims}");
        }
    }
}

#[test]
fn a_token_has_to_expire_only_when_that_is_asked_for() {
    assert_eq!(outcome("", &REQUIREMENTS), Ok(()));
    let expiring = Requirements {
        expiry_required: true,
        ..REQUIREMENTS.clone()
    };
    assert_eq!(outcome("", &expiring), Err("jwt-no-expiry"));
    assert_eq!(outcome(&format!(r#","exp":{}"#, NOW + 1), &expiring), Ok(()));
}

#[test]
fn of_several_requirements_one_is_enough() {
    let (mine, theirs) = (edwards(), edwards());
    let rules = [
        Requirements::new("other", key_set(&[theirs.jwk("")])),
        Requirements::new(ISSUER, key_set(&[theirs.jwk("")])),
        Requirements::new(ISSUER, key_set(&[mine.jwk("")])),
    ];
    let any = |text: &str| verify_any(Token::parse(text)?, &rules, NOW).map(|(place, _)| place);
    assert_eq!(any(&mine.token("EdDSA", "", PAYLOAD)), Ok(2));
    assert_eq!(any(&theirs.token("EdDSA", "", PAYLOAD)), Ok(1));
    assert_eq!(any(&theirs.token("EdDSA", "", r#"{"iss":"other"}"#)), Ok(0));
    assert_eq!(
        any(&mine.token("EdDSA", "", r#"{"iss":"other"}"#)),
        Err(Rejection::Signature)
    );
    assert_eq!(
        any(&mine.token("EdDSA", "", r#"{"iss":"third"}"#)),
        Err(Rejection::Issuer)
    );
    let none: [Requirements; 0] = [];
    let text = mine.token("EdDSA", "", PAYLOAD);
    assert_eq!(
        verify_any(Token::parse(&text).unwrap(), &none, NOW).err(),
        Some(Rejection::Issuer)
    );
}

#[test]
fn keys_are_rotated_by_a_new_set() {
    let (old, new) = (edwards(), edwards());
    let by = |signer: &Signer, kid: &str| signer.token("EdDSA", &format!(r#""kid":"{kid}""#), PAYLOAD);
    let jwk = |signer: &Signer, kid: &str| signer.jwk(&format!(r#""kid":"{kid}""#));
    let before = Requirements::new(ISSUER, key_set(&[jwk(&old, "1")]));
    let during = Requirements::new(ISSUER, key_set(&[jwk(&old, "1"), jwk(&new, "2")]));
    let after = Requirements::new(ISSUER, key_set(&[jwk(&new, "2")]));
    let reused = Requirements::new(ISSUER, key_set(&[jwk(&old, "1"), jwk(&new, "1")]));
    assert!(accept_by(&by(&old, "1"), &before).is_ok());
    assert_eq!(refusal_by(&by(&new, "2"), &before), "jwt-unknown-key");
    assert!(accept_by(&by(&old, "1"), &during).is_ok());
    assert!(accept_by(&by(&new, "2"), &during).is_ok());
    assert_eq!(refusal_by(&by(&old, "2"), &during), "jwt-signature");
    assert_eq!(refusal_by(&by(&old, "1"), &after), "jwt-unknown-key");
    for signer in [&old, &new] {
        assert!(
            accept_by(&by(signer, "1"), &reused).is_ok(),
            "two keys of one name"
        );
    }
}

#[test]
fn a_set_without_keys_refuses_everything() {
    let keys = Arc::new(KeySet::parse(r#"{"keys":[]}"#).unwrap());
    let text = signed(PAYLOAD);
    let outcome = verify(
        Token::parse(&text).unwrap(),
        &Requirements::new(ISSUER, keys),
        NOW,
    );
    assert_eq!(outcome.err(), Some(Rejection::UnknownKey));
}

#[test]
fn the_issuer_can_be_asked_for_before_it_is_proven() {
    let text = signed(PAYLOAD);
    let token = Token::parse(&text).unwrap();
    assert_eq!((token.unverified_issuer(), token.key_id()), (Some(ISSUER), None));
    let text = ED25519.token("EdDSA", r#""kid":"a""#, "{}");
    let token = Token::parse(&text).unwrap();
    assert_eq!((token.unverified_issuer(), token.key_id()), (None, Some("a")));
}

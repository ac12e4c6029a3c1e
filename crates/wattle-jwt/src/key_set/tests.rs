use super::*;
use crate::base64url;

/// RFC 7515 appendix A.3.
const P256: &str = r#""kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#;
/// RFC 7515 appendix A.4.
const P521: &str = r#""kty":"EC","crv":"P-521","x":"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk","y":"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2""#;
/// RFC 8037 appendix A.2.
const ED25519: &str = r#""kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;

fn set(keys: &[&str]) -> KeySet {
    let keys: Vec<String> = keys.iter().map(|key| format!("{{{key}}}")).collect();
    KeySet::parse(&format!(r#"{{"keys":[{}]}}"#, keys.join(","))).unwrap()
}

fn verifies(key: &str, algorithm: Algorithm, signed: &str, signature: &str) -> Option<bool> {
    let signature = base64url::decode(signature).unwrap();
    set(&[key]).verifies(None, algorithm, signed.as_bytes(), &signature)
}

/// An RSA key whose modulus is this long and odd.
fn rsa(bits: usize, exponent: &str) -> String {
    let mut modulus = vec![0xff; bits.div_ceil(8)];
    if !bits.is_multiple_of(8) {
        modulus[0] >>= 8 - bits % 8;
    }
    format!(
        r#""kty":"RSA","n":"{}","e":"{exponent}""#,
        base64url::encode(&modulus)
    )
}

/// The one problem of a set with that key.
fn fault(key: &str) -> Option<KeyFault> {
    let set = set(&[key]);
    assert_eq!(set.len() + set.problems().len(), 1, "{key}");
    set.problems().first().map(|problem| problem.fault.clone())
}

#[test]
fn signatures_of_the_specifications_are_right_with_their_keys_alone() {
    let (signed, signature) = (
        "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA",
        "AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn",
    );
    assert_eq!(verifies(P521, Algorithm::Es512, signed, signature), Some(true));
    assert_eq!(verifies(P521, Algorithm::Es256, signed, signature), None);
    let (signed, signature) = (
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    );
    assert_eq!(verifies(ED25519, Algorithm::EdDsa, signed, signature), Some(true));
    assert_eq!(
        verifies(ED25519, Algorithm::EdDsa, &signed[1..], signature),
        Some(false)
    );
    assert_eq!(verifies(P256, Algorithm::EdDsa, signed, signature), None);
}

#[test]
fn a_bad_key_is_reported_and_leaves_the_others() {
    let set = set(&[P256, r#""kty":"oct","k":"AyM1","kid":"hm\nac""#, ED25519]);
    assert_eq!((set.len(), set.problems().len()), (2, 1));
    assert_eq!(
        set.problems()[0].to_string(),
        "keys[1] (kid hm\\nac): symmetric key (kty oct), expected a public one"
    );
}

#[test]
fn secret_keys_are_refused_by_name() {
    assert_eq!(fault(r#""kty":"oct","k":"AyM1""#), Some(KeyFault::Symmetric));
    assert_eq!(fault(r#""kty":"oct""#), Some(KeyFault::Symmetric));
    for (key, secret) in [
        (P256, "d"),
        (ED25519, "d"),
        (&*rsa(2048, "AQAB"), "p"),
        (P521, "k"),
    ] {
        let key = format!(r#"{key},"{secret}":"AyM1""#);
        assert_eq!(fault(&key), Some(KeyFault::Private), "{key}");
    }
}

#[test]
fn what_a_key_is_for_is_honoured() {
    for (more, expected) in [
        (r#""use":"sig""#, None),
        (r#""key_ops":["sign","verify"]"#, None),
        (r#""alg":"ES256""#, None),
        (
            r#""x5c":["not a certificate"],"x5u":"http://a","x5t":"b","ext":true"#,
            None,
        ),
        (r#""use":"enc""#, Some(KeyFault::Use)),
        (r#""key_ops":["encrypt"]"#, Some(KeyFault::Operations)),
        (r#""key_ops":[]"#, Some(KeyFault::Operations)),
        (
            r#""alg":"ES384""#,
            Some(KeyFault::Unsuitable {
                got: Algorithm::Es384,
            }),
        ),
        (
            r#""alg":"RS256""#,
            Some(KeyFault::Unsuitable {
                got: Algorithm::Rs256,
            }),
        ),
        (r#""alg":"HS256""#, Some(KeyFault::Algorithm { got: "HS256" })),
        (r#""alg":"None""#, Some(KeyFault::Algorithm { got: "none" })),
        (
            r#""alg":"ECDH-ES""#,
            Some(KeyFault::Algorithm {
                got: "one that is not known",
            }),
        ),
    ] {
        assert_eq!(fault(&format!("{P256},{more}")), expected, "{more}");
    }
    for more in [
        r#""use":1"#,
        r#""key_ops":"verify""#,
        r#""alg":null"#,
        r#""kid":7"#,
    ] {
        let found = fault(&format!("{P256},{more}"));
        assert!(
            matches!(found, Some(KeyFault::Member { .. })),
            "{more}: {found:?}"
        );
    }
}

#[test]
fn an_algorithm_in_the_key_leaves_that_one_alone() {
    let bound = set(&[&format!(r#"{},"alg":"PS384""#, rsa(2048, "AQAB"))]);
    let free = set(&[&rsa(2048, "AQAB")]);
    let tried = |set: &KeySet, algorithm| set.verifies(None, algorithm, b"signed", &[7; 256]);
    assert_eq!(tried(&bound, Algorithm::Ps384), Some(false));
    assert_eq!(tried(&bound, Algorithm::Rs384), None);
    assert_eq!(tried(&free, Algorithm::Rs384), Some(false));
    assert_eq!(tried(&free, Algorithm::Es256), None);
}

#[test]
fn rsa_keys_have_bounds() {
    for (bits, usable) in [
        (1024, false),
        (2047, false),
        (2048, true),
        (8192, true),
        (8193, false),
    ] {
        let expected = (!usable).then_some(KeyFault::Modulus { bits });
        assert_eq!(fault(&rsa(bits, "AQAB")), expected, "{bits}");
    }
    // 1, 2, 65536, and one of 40 bits; then 3 and 2^32 + 1.
    for exponent in ["AQ", "Ag", "AQAA", "gAAAAAE"] {
        assert_eq!(
            fault(&rsa(2048, exponent)),
            Some(KeyFault::Exponent),
            "{exponent}"
        );
    }
    for exponent in ["Aw", "AQAAAAE", "AAEAAQ"] {
        assert_eq!(fault(&rsa(2048, exponent)), None, "{exponent}");
    }
    for exponent in ["", "AA", "AQAB=", "AQ AB", "AQB"] {
        let found = fault(&rsa(2048, exponent));
        assert!(
            matches!(found, Some(KeyFault::Member { name: "e", .. })),
            "{exponent}: {found:?}"
        );
    }
    let even = rsa(2048, "AQAB").replace("_w\"", "_g\"");
    assert_eq!(fault(&even), Some(KeyFault::Exponent));
}

#[test]
fn points_lie_on_their_curve_and_have_its_length() {
    let zero = base64url::encode(&[0; 32]);
    for key in [
        // Off the curve, the origin, coordinates exchanged, too short, and of another curve.
        P256.replace("f83O", "f83P"),
        format!(r#""kty":"EC","crv":"P-256","x":"{zero}","y":"{zero}""#),
        P256.replace("\"x\"", "\"z\"")
            .replace("\"y\"", "\"x\"")
            .replace("\"z\"", "\"y\""),
        P256.replace("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0", "x_FE"),
        P256.replace("P-256", "P-384"),
        P521.replace("P-521", "P-256"),
        ED25519.replace("11qYAYKx", "11qY"),
    ] {
        assert_eq!(fault(&key), Some(KeyFault::Point), "{key}");
    }
    for crv in ["secp256k1", "p-256", "X25519", "Ed448"] {
        for key in [P256.replace("P-256", crv), ED25519.replace("Ed25519", crv)] {
            assert!(matches!(fault(&key), Some(KeyFault::Curve { .. })), "{key}");
        }
    }
}

#[test]
fn edwards_points_of_small_order_are_refused_in_both_signs() {
    let point = |text: &str| base64url::decode(text).unwrap();
    let zero = point(&"A".repeat(43));
    let identity = point(&format!("AQ{}", "A".repeat(41)));
    let order_eight = point("JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_AU");
    for point in [zero, identity, order_eight] {
        for sign in [0, 0x80] {
            let mut point = point.clone();
            point[31] |= sign;
            let key = format!(
                r#""kty":"OKP","crv":"Ed25519","x":"{}""#,
                base64url::encode(&point)
            );
            assert_eq!(fault(&key), Some(KeyFault::Point), "{key}");
        }
    }
}

#[test]
fn unknown_types_and_entries_that_are_no_objects_are_reported() {
    assert_eq!(fault(r#""kty":"AKP","alg":"ES256""#), Some(KeyFault::Type));
    assert_eq!(fault(r#""kty":"rsa""#), Some(KeyFault::Type));
    assert!(matches!(
        fault(r#""kid":"a""#),
        Some(KeyFault::Member { name: "kty", .. })
    ));
    let set = KeySet::parse(r#"{"keys":[1,"a",null,[]]}"#).unwrap();
    assert_eq!((set.len(), set.problems().len()), (0, 4));
}

#[test]
fn only_a_bounded_set_is_read() {
    let parse = |json: &str| KeySet::parse(json).err();
    assert_eq!(parse("{}"), Some(KeySetError::NoKeys));
    assert_eq!(parse(&format!("{{{P256}}}")), Some(KeySetError::NoKeys));
    assert_eq!(parse(r#"{"keys":{}}"#), Some(KeySetError::NoKeys));
    assert_eq!(parse("-----BEGIN PUBLIC KEY-----"), Some(KeySetError::NotJson));
    assert_eq!(parse("[]"), Some(KeySetError::NotJson));
    assert_eq!(parse(r#"{"keys":[],"keys":[]}"#), Some(KeySetError::Duplicate));
    assert_eq!(
        parse(r#"{"keys":[{"kty":"EC","kty":"RSA"}]}"#),
        Some(KeySetError::Duplicate)
    );
    assert_eq!(
        parse(&format!(r#"{{"keys":{}"#, "[".repeat(99))),
        Some(KeySetError::TooDeep)
    );
    assert_eq!(
        parse(&" ".repeat(MAX_KEY_SET_BYTES + 1)),
        Some(KeySetError::TooLarge)
    );
    let many = |count: usize| {
        format!(
            r#"{{"keys":[{}]}}"#,
            vec![format!("{{{ED25519}}}"); count].join(",")
        )
    };
    assert_eq!(parse(&many(MAX_KEYS)), None);
    assert_eq!(
        parse(&many(MAX_KEYS + 1)),
        Some(KeySetError::TooManyKeys { got: MAX_KEYS + 1 })
    );
    assert!(KeySet::parse(r#"{"keys":[]}"#).unwrap().is_empty());
}

#[test]
fn a_kid_chooses_keys_of_that_name_and_those_without_one() {
    let (signed, signature) = (
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc".as_bytes(),
        base64url::decode(
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        )
        .unwrap(),
    );
    let named = |id: &str| format!(r#"{ED25519},"kid":"{id}""#);
    let tried = |set: &KeySet, id| set.verifies(id, Algorithm::EdDsa, signed, &signature);
    let both = set(&[&named("a"), &named("b")]);
    assert_eq!(tried(&both, Some("a")), Some(true));
    assert_eq!(tried(&both, Some("A")), None);
    assert_eq!(tried(&both, Some("")), None);
    assert_eq!(tried(&both, None), Some(true));
    let nameless = set(&[ED25519]);
    assert_eq!(tried(&nameless, Some("a")), Some(true));
}

#[test]
fn a_token_without_kid_is_tried_with_a_bounded_number_of_keys() {
    let (signed, signature) = (
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc".as_bytes(),
        base64url::decode(
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        )
        .unwrap(),
    );
    // RFC 8032 section 7.1, test 2: another key.
    let other = r#""kty":"OKP","crv":"Ed25519","x":"PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw""#;
    let at = |place: usize| {
        let mut keys = vec![other; place];
        keys.push(ED25519);
        set(&keys).verifies(None, Algorithm::EdDsa, signed, &signature)
    };
    assert_eq!(at(MAX_TRIES - 1), Some(true));
    assert_eq!(at(MAX_TRIES), Some(false));
}

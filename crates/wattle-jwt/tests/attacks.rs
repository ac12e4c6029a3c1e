//! Tokens that were made to fool a verifier.
#![allow(clippy::unwrap_used)]

mod common;

use aws_lc_rs::hmac;
use common::*;
use wattle_jwt::{MAX_TOKEN_BYTES, Requirements, Token};

#[test]
fn what_the_issuer_signed_is_accepted_with_every_algorithm() {
    for (algorithm, signer) in signers() {
        let claims = accept(&signer.token(algorithm, "", PAYLOAD)).expect(algorithm);
        assert_eq!(claims.subject(), Some("alice"));
    }
    let claims = accept(&ED25519.signed("EdDSA", r#"{"alg":"Ed25519"}"#, PAYLOAD));
    assert!(claims.is_ok(), "the name of RFC 9864");
}

#[test]
fn no_algorithm_is_no_signature_however_it_is_spelled() {
    for name in ["none", "None", "NONE", "nOnE", "none ", "", "\\u006eone"] {
        let header = format!(r#"{{"alg":"{name}"}}"#);
        for signature in ["", "AA", &encode([0; 64])] {
            let text = format!("{}.{}.{signature}", encode(&header), encode(PAYLOAD));
            assert_eq!(refusal(&text), "jwt-algorithm", "{name}");
        }
    }
    for header in ["{}", r#"{"typ":"JWT"}"#] {
        assert_eq!(refusal(&RSA.signed("RS256", header, PAYLOAD)), "jwt-algorithm");
    }
    for header in [
        r#"{"alg":null}"#,
        r#"{"alg":["RS256"]}"#,
        r#"{"alg":256}"#,
        r#"{"alg":true}"#,
    ] {
        assert_eq!(refusal(&RSA.signed("RS256", header, PAYLOAD)), "jwt-malformed");
    }
}

#[test]
fn a_public_key_is_never_a_secret() {
    let modulus = RSA.jwk.split('"').nth(7).unwrap();
    for secret in [
        RSA.jwk("").into_bytes(),
        decode(modulus),
        modulus.as_bytes().to_vec(),
    ] {
        for (name, algorithm) in [
            ("HS256", hmac::HMAC_SHA256),
            ("HS384", hmac::HMAC_SHA384),
            ("HS512", hmac::HMAC_SHA512),
        ] {
            let signed = format!("{}.{}", encode(format!(r#"{{"alg":"{name}"}}"#)), encode(PAYLOAD));
            let tag = hmac::sign(&hmac::Key::new(algorithm, &secret), signed.as_bytes());
            assert_eq!(refusal(&format!("{signed}.{}", encode(tag))), "jwt-algorithm");
        }
    }
}

#[test]
fn algorithms_that_are_not_known_are_refused() {
    for name in [
        "hs256",
        "rs256",
        "RS256 ",
        "RS257",
        "ES256K",
        "RSA-OAEP",
        "dir",
        "eddsa",
        "Ed448",
        "ML-DSA-44",
    ] {
        assert_eq!(
            refusal(&RSA.signed("RS256", format!(r#"{{"alg":"{name}"}}"#), PAYLOAD)),
            "jwt-algorithm"
        );
    }
}

#[test]
fn a_signature_counts_for_the_algorithm_in_the_header_alone() {
    for (stated, by, signer) in [
        ("RS256", "PS256", &*RSA),
        ("RS512", "RS256", &*RSA),
        ("PS256", "PS512", &*RSA),
        ("PS256", "RS256", &*RSA),
    ] {
        let header = format!(r#"{{"alg":"{stated}"}}"#);
        assert_eq!(
            refusal(&signer.signed(by, header, PAYLOAD)),
            "jwt-signature",
            "{stated} by {by}"
        );
    }
    let only_rsa = Requirements::new(ISSUER, key_set(&[RSA.jwk(r#""kid":"a""#)]));
    for algorithm in ["ES256", "ES384", "ES512", "EdDSA"] {
        let text = RSA.signed("RS256", format!(r#"{{"alg":"{algorithm}","kid":"a"}}"#), PAYLOAD);
        assert_eq!(refusal_by(&text, &only_rsa), "jwt-unknown-key", "{algorithm}");
    }
}

#[test]
fn kid_is_a_word_to_look_up_and_nothing_else() {
    let requirements = Requirements::new(ISSUER, key_set(&[P256.jwk(r#""kid":"a""#)]));
    for kid in [
        "../../../../dev/null",
        "/proc/sys/kernel/randomize_va_space",
        "' UNION SELECT 'secret' --",
        "a' OR '1'='1",
        "a\\u0000",
        "https://attacker.example/jwks.json",
        "$(id)",
        "A",
        " a",
        "",
    ] {
        let text = P256.token("ES256", &format!(r#""kid":"{kid}""#), PAYLOAD);
        assert_eq!(refusal_by(&text, &requirements), "jwt-unknown-key", "{kid}");
    }
    assert!(accept_by(&P256.token("ES256", r#""kid":"a""#, PAYLOAD), &requirements).is_ok());
    for kid in ["7", "null", r#"["a"]"#, r#"{"a":1}"#] {
        let text = P256.token("ES256", &format!(r#""kid":{kid}"#), PAYLOAD);
        assert_eq!(refusal_by(&text, &requirements), "jwt-malformed", "{kid}");
    }
}

#[test]
fn keys_that_a_token_brings_along_are_not_used() {
    let attacker = edwards();
    for more in [
        format!(r#""jwk":{}"#, attacker.jwk("")),
        r#""jku":"https://attacker.example/jwks.json""#.into(),
        r#""x5u":"https://attacker.example/cert.pem""#.into(),
        r#""x5c":["MIIB"],"x5t":"AAAA","x5t#S256":"AAAA""#.into(),
    ] {
        assert_eq!(
            refusal(&attacker.token("EdDSA", &more, PAYLOAD)),
            "jwt-signature",
            "{more}"
        );
        assert!(accept(&ED25519.token("EdDSA", &more, PAYLOAD)).is_ok(), "{more}");
    }
}

#[test]
fn extensions_that_must_be_understood_are_not() {
    for more in [
        r#""crit":["exp"],"exp":1"#,
        r#""crit":[]"#,
        r#""crit":null"#,
        r#""crit":["b64"],"b64":false"#,
        r#""b64":false"#,
        r#""\u0063rit":["x"]"#,
    ] {
        assert_eq!(
            refusal(&P256.token("ES256", more, PAYLOAD)),
            "jwt-critical",
            "{more}"
        );
    }
}

#[test]
fn a_token_in_a_token_is_refused() {
    for cty in ["JWT", "jwt", "application/jwt"] {
        assert_eq!(
            refusal(&P256.token("ES256", &format!(r#""cty":"{cty}""#), PAYLOAD)),
            "jwt-nested"
        );
    }
    assert!(accept(&P256.token("ES256", r#""cty":"json","typ":"at+jwt""#, PAYLOAD)).is_ok());
    assert_eq!(
        refusal(&P256.token("ES256", r#""typ":1"#, PAYLOAD)),
        "jwt-malformed"
    );
}

#[test]
fn names_twice_are_refused_whatever_their_spelling() {
    for header in [
        r#"{"alg":"none","alg":"ES256"}"#,
        r#"{"alg":"ES256","alg":"ES256"}"#,
        r#"{"alg":"ES256","\u0061lg":"none"}"#,
        r#"{"alg":"ES256","kid":"a","kid":"b"}"#,
        r#"{"alg":"ES256","jwk":{"kty":"EC","kty":"RSA"}}"#,
    ] {
        assert_eq!(
            refusal(&P256.signed("ES256", header, PAYLOAD)),
            "jwt-duplicate-header",
            "{header}"
        );
    }
    for more in [
        r#""sub":"admin""#,
        r#""s\u0075b":"admin""#,
        r#""realm":{"roles":[1],"roles":[2]}"#,
    ] {
        let payload = PAYLOAD.replace(r#""sub""#, &format!(r#"{more},"sub""#));
        assert_eq!(
            refusal(&P256.token("ES256", "", &payload)),
            "jwt-duplicate-claim",
            "{more}"
        );
    }
}

#[test]
fn signatures_of_nothing_are_refused() {
    for (algorithm, signer) in signers() {
        let text = signer.token(algorithm, "", PAYLOAD);
        let (signed, signature) = text.rsplit_once('.').unwrap();
        let length = decode(signature).len();
        for made_up in [
            vec![0; length],
            vec![0xff; length],
            vec![0; 1],
            vec![1; length + 1],
            vec![0; 1024],
        ] {
            let text = format!("{signed}.{}", encode(made_up));
            assert_eq!(refusal(&text), "jwt-signature", "{algorithm}");
        }
        for cut in [1, length / 2, length - 1] {
            let text = format!("{signed}.{}", encode(&decode(signature)[..cut]));
            assert_eq!(refusal(&text), "jwt-signature", "{algorithm} {cut}");
        }
        let longer = [decode(signature), vec![0]].concat();
        assert_eq!(
            refusal(&format!("{signed}.{}", encode(longer))),
            "jwt-signature",
            "{algorithm}"
        );
        assert_eq!(refusal(&format!("{signed}.")), "jwt-malformed");
        assert_eq!(
            refusal(&format!("{signed}.{}", encode([0; 1025]))),
            "jwt-malformed"
        );
        assert_eq!(refusal(signed), "jwt-malformed");
    }
}

/// CVE-2022-21449: r and s of zero, of the order, and either alone.
#[test]
fn psychic_signatures_are_refused() {
    let order = decode("_____wAAAAD__________7zm-q2nF56E87nKwvxjJVE");
    let zero = vec![0; 32];
    let one = [vec![0; 31], vec![1]].concat();
    let signed = format!("{}.{}", encode(r#"{"alg":"ES256"}"#), encode(PAYLOAD));
    for (r, s) in [
        (&zero, &zero),
        (&zero, &one),
        (&one, &zero),
        (&order, &order),
        (&one, &order),
        (&zero, &order),
    ] {
        let text = format!("{signed}.{}", encode([r.clone(), s.clone()].concat()));
        assert_eq!(refusal(&text), "jwt-signature");
    }
}

#[test]
fn an_ecdsa_signature_has_two_numbers_of_fixed_length_and_is_not_der() {
    let text = P256.token("ES256", "", PAYLOAD);
    let (signed, signature) = text.rsplit_once('.').unwrap();
    let raw = decode(signature);
    let integer = |number: &[u8]| {
        let body = if number[0] > 0x7f {
            [&[0], number].concat()
        } else {
            number.to_vec()
        };
        [vec![2, u8::try_from(body.len()).unwrap()], body].concat()
    };
    let body = [integer(&raw[..32]), integer(&raw[32..])].concat();
    let der = [vec![0x30, u8::try_from(body.len()).unwrap()], body].concat();
    assert_eq!(refusal(&format!("{signed}.{}", encode(der))), "jwt-signature");
}

#[test]
fn parts_of_two_tokens_do_not_make_a_third() {
    let admin = PAYLOAD.replace("alice", "admin");
    let (mine, other) = (
        P256.token("ES256", "", PAYLOAD),
        P256.token("ES256", r#""kid":"a""#, PAYLOAD),
    );
    let signature = mine.rsplit_once('.').unwrap().1;
    let header = mine.split_once('.').unwrap().0;
    assert_eq!(
        refusal(&format!("{header}.{}.{signature}", encode(admin))),
        "jwt-signature"
    );
    let payload = encode(PAYLOAD);
    let other_header = other.split_once('.').unwrap().0;
    assert_eq!(
        refusal(&format!("{other_header}.{payload}.{signature}")),
        "jwt-signature"
    );
    let respelled = encode(r#"{"alg": "ES256"}"#);
    assert_eq!(
        refusal(&format!("{respelled}.{payload}.{signature}")),
        "jwt-signature"
    );
}

#[test]
fn only_one_spelling_of_three_parts_is_read() {
    let good = P256.token("ES256", "", PAYLOAD);
    let [header, payload, signature] = [0, 1, 2].map(|part| good.split('.').nth(part).unwrap());
    assert!(accept(&good).is_ok());
    for text in [
        format!("{header}.{payload}.{signature}="),
        format!("{header}.{payload}.{signature}\n"),
        format!(" {header}.{payload}.{signature}"),
        format!("{header}.{payload}\r\n.{signature}"),
        format!("{header}\0.{payload}.{signature}"),
        format!("{header}.{payload}.{signature}\0"),
        format!("{header}.{payload}.{signature}."),
        format!(".{header}.{payload}.{signature}"),
        format!("{header}..{payload}.{signature}"),
        format!("{header}.{payload}.{signature}.{signature}"),
        format!("{header}.{payload}.{signature}.a.b.c"),
        format!("{header}.{signature}"),
        format!("..{signature}"),
        format!("{header}..{signature}"),
        format!(".{payload}.{signature}"),
        format!("{header}.{payload}.{}", signature.replace(['-', '_'], "/")) + "+",
        format!("Bearer {good}"),
        "..".into(),
        ".".into(),
        String::new(),
        "é.é.é".into(),
    ] {
        assert_eq!(refusal(&text), "jwt-malformed", "{text:?}");
    }
    assert_eq!(
        refusal(&format!("{header}.{payload}.{signature}.{signature}.{signature}")),
        "jwt-encrypted"
    );
    assert_eq!(refusal("...."), "jwt-encrypted");
}

/// 64 bytes leave four bits of the last letter that say nothing; only zeros are accepted there.
#[test]
fn bits_that_say_nothing_are_zero() {
    const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let good = P256.token("ES256", "", PAYLOAD);
    let (start, last) = good.split_at(good.len() - 1);
    for letter in LETTERS.chars().filter(|letter| !last.starts_with(*letter)) {
        let id = refusal(&format!("{start}{letter}"));
        let spare = LETTERS.find(letter).unwrap() % 16 != 0;
        assert_eq!(
            id,
            if spare { "jwt-malformed" } else { "jwt-signature" },
            "{letter}"
        );
    }
}

#[test]
fn what_is_not_json_in_utf8_is_refused() {
    for payload in [
        b"".as_slice(),
        b"null",
        b"[]",
        b"\"a\"",
        b"{\"a\":\"\xff\"}",
        b"\xef\xbb\xbf{}",
        b"{}{}",
        b"{}\0",
        b"{\"a\":1,}",
        b"{a:1}",
        b"{\"a\":\"\0\"}",
        b"{\"exp\":1e999}",
        b"{\"exp\":NaN}",
        b"{\"a\":\"\\ud800\"}",
    ] {
        let text = P256.signed("ES256", r#"{"alg":"ES256"}"#, payload);
        assert_eq!(
            refusal(&text),
            "jwt-malformed",
            "{}",
            String::from_utf8_lossy(payload)
        );
        let text = P256.signed("ES256", payload, PAYLOAD);
        assert_eq!(
            refusal(&text),
            "jwt-malformed",
            "{}",
            String::from_utf8_lossy(payload)
        );
    }
}

#[test]
fn size_and_depth_are_bounded() {
    let long = |length: usize| {
        let payload = PAYLOAD.replace("alice", &"a".repeat(length));
        P256.token("ES256", "", &payload)
    };
    assert!(accept(&long(11_000)).is_ok());
    assert_eq!(refusal(&long(13_000)), "jwt-too-large");
    assert_eq!(refusal(&"a".repeat(MAX_TOKEN_BYTES + 1)), "jwt-too-large");
    assert_eq!(refusal(&".".repeat(MAX_TOKEN_BYTES)), "jwt-malformed");
    for levels in [40, 3000] {
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(levels), "]".repeat(levels));
        assert_eq!(refusal(&P256.token("ES256", "", &deep)), "jwt-too-deep");
        let open = format!(r#"{{"alg":"ES256","a":{}"#, "{\"a\":".repeat(levels / 2 + 20));
        assert_eq!(refusal(&P256.signed("ES256", open, PAYLOAD)), "jwt-too-deep");
    }
}

#[test]
fn debug_shows_no_secret() {
    let text = P256.token("ES256", r#""kid":"my-kid""#, PAYLOAD);
    let token = Token::parse(&text).unwrap();
    let shown = format!("{token:?}");
    assert_eq!(shown, "Token { algorithm: Es256, .. }");
    let claims = accept(&text).unwrap();
    let shown = format!("{claims:?} {:?} {:?}", claims.at(&["sub"]), claims.at(&["aud"]));
    assert_eq!(shown, "Claims { .. } Some(Text) Some(List)");
}

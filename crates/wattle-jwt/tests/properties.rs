//! A token with one bit changed is another token, and no bytes make a parser panic.
#![allow(clippy::unwrap_used)]

mod common;

use std::sync::LazyLock;

use common::*;
use proptest::prelude::*;
use wattle_jwt::{KeySet, Token, fuzz::ENTRIES};

/// One token of each algorithm.
static TOKENS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let token = |(algorithm, signer): (&str, &Signer)| signer.token(algorithm, "", PAYLOAD);
    signers().into_iter().map(token).collect()
});

/// A set with one key of each kind.
static KEYS: LazyLock<String> = LazyLock::new(|| {
    let keys = [&RSA, &P256, &P384, &P521, &ED25519].map(|signer| signer.jwk(r#""kid":"a","use":"sig""#));
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
});

fn refused(text: &str) -> bool {
    accept(text).is_err()
}

/// Every bit of the text, one after the other; what is no longer UTF-8 does not reach us.
#[test]
fn a_token_with_any_bit_of_its_text_changed_is_refused() {
    for text in &*TOKENS {
        assert!(!refused(text));
        for bit in 0..text.len() * 8 {
            let mut bytes = text.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            if let Ok(changed) = String::from_utf8(bytes) {
                assert!(refused(&changed), "bit {bit} of {text}");
            }
        }
    }
}

/// Every bit of what the text spells.
#[test]
fn a_token_with_any_bit_of_a_part_changed_is_refused() {
    for text in &*TOKENS {
        let parts: Vec<Vec<u8>> = text.split('.').map(decode).collect();
        for (changing, part) in parts.iter().enumerate() {
            for bit in 0..part.len() * 8 {
                let mut changed = parts.clone();
                changed[changing][bit / 8] ^= 1 << (bit % 8);
                let changed: Vec<String> = changed.iter().map(encode).collect();
                assert!(
                    refused(&changed.join(".")),
                    "bit {bit} of part {changing} of {text}"
                );
            }
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        ENTRIES.iter().for_each(|(_, parse)| parse(&bytes));
    }

    #[test]
    fn no_header_and_payload_make_the_parser_panic(header in "\\PC{0,80}", payload in "[\\[\\]{}\",:0-9a-e.\\\\ ]{0,120}") {
        for header in [&*header, r#"{"alg":"ES256"}"#] {
            let text = format!("{}.{}.AAAA", encode(header), encode(&payload));
            ENTRIES.iter().for_each(|(_, parse)| parse(text.as_bytes()));
        }
        ENTRIES.iter().for_each(|(_, parse)| parse(payload.as_bytes()));
    }

    #[test]
    fn a_cut_token_is_refused(which in 0_usize..10, cut in 0_usize..1000) {
        let text = &TOKENS[which];
        prop_assert!(refused(&text[..cut % text.len()]));
    }

    #[test]
    fn a_damaged_key_set_makes_no_parser_panic(at in any::<prop::sample::Index>(), with in any::<char>()) {
        let mut letters: Vec<char> = KEYS.chars().collect();
        *at.get_mut(&mut letters) = with;
        let text: String = letters.into_iter().collect();
        if let Ok(set) = KeySet::parse(&text) {
            prop_assert!(set.len() + set.problems().len() <= 5);
        }
    }

    #[test]
    fn what_is_signed_is_accepted_whatever_it_says(name in "[a-h]{1,8}", value in "\\PC{0,200}") {
        let value = value.replace(['\\', '"'], "");
        let payload = format!(r#"{{"iss":"{ISSUER}","x{name}":"{value}"}}"#);
        let text = ED25519.token("EdDSA", "", &payload);
        let claims = accept(&text).unwrap();
        let path = [format!("x{name}")];
        prop_assert_eq!(claims.at(&path).and_then(|claim| claim.text()), Some(&*value));
        prop_assert!(Token::parse(&text).is_ok());
    }
}

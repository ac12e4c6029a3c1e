//! Names and tokens print as they were read, and no bytes make a parser panic.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{HOUR, Mesh};
use proptest::prelude::*;
use wattle_identity::{
    JoinToken, SpiffeError, SpiffeId, TokenError, TokenHash, TokenRecord, TrustDomain, fuzz::ENTRIES,
};

proptest! {
    #[test]
    fn a_name_is_read_back_as_it_was_built(
        domain in "[a-z0-9._-]{1,255}",
        namespace in "[a-zA-Z0-9_-][a-zA-Z0-9._-]{0,62}",
        account in "[a-zA-Z0-9_-][a-zA-Z0-9._-]{0,252}",
    ) {
        let trust_domain = TrustDomain::new(&domain).unwrap();
        let id = SpiffeId::new(&trust_domain, &namespace, &account).unwrap();
        prop_assert_eq!((id.trust_domain(), id.namespace(), id.service_account()), (&*domain, &*namespace, &*account));
        prop_assert_eq!(id.principal(), format!("{domain}/ns/{namespace}/sa/{account}"));
        prop_assert_eq!(id.to_string().parse::<SpiffeId>(), Ok(id.clone()));
        prop_assert!(id.is_in(&trust_domain));
    }

    #[test]
    fn what_is_accepted_as_a_name_prints_as_it_came(text in "(spiffe://)?[a-zA-Z.]{0,4}(/(ns|sa|[a-z.%]{0,3})){0,6}") {
        if let Ok(id) = text.parse::<SpiffeId>() {
            prop_assert_eq!(id.as_str(), text);
        }
    }

    #[test]
    fn no_bytes_make_a_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        ENTRIES.iter().for_each(|(_, parse)| parse(&bytes));
    }

    #[test]
    fn a_damaged_certificate_makes_no_parser_panic(at in 0_usize..600, flip in 1_u8.., cut in 0_usize..600) {
        let mut der = WORN.chain()[0].to_vec();
        let at = at % der.len();
        der[at] ^= flip;
        wattle_identity::fuzz::peer_certificate(&der);
        wattle_identity::fuzz::peer_certificate(&der[..cut.min(der.len())]);
    }

    #[test]
    fn a_damaged_text_makes_no_parser_panic(at in 0_usize..4000, with in any::<u8>()) {
        for text in TEXTS.iter() {
            let mut bytes = text.clone().into_bytes();
            let at = at % bytes.len();
            bytes[at] = with;
            ENTRIES.iter().for_each(|(_, parse)| parse(&bytes));
        }
    }
}

static WORN: std::sync::LazyLock<wattle_identity::Svid> =
    std::sync::LazyLock::new(|| Mesh::new("cluster.local").svid("web"));

static TEXTS: std::sync::LazyLock<[String; 3]> = std::sync::LazyLock::new(|| {
    let mesh = Mesh::new("cluster.local");
    let request = wattle_identity::SvidRequest::new(&mesh.id("web")).unwrap();
    [
        mesh.authority.to_pem().to_string(),
        mesh.svid("web").to_pem().to_string(),
        request.csr_pem().into(),
    ]
});

#[test]
fn names_outside_the_rules_are_refused() {
    let long = "a".repeat(256);
    for text in [
        "",
        "spiffe://",
        "spiffe://td",
        "spiffe://td/",
        "spiffe://td/ns/a/sa",
        "spiffe://td/ns/a/sa/",
        "spiffe://td/ns//sa/b",
        "spiffe://td/ns/a/sa/b/",
        "spiffe://td/ns/a/sa/b/c",
        "spiffe://td/sa/a/ns/b",
        "spiffe:///ns/a/sa/b",
        "spiffe://TD/ns/a/sa/b",
        "SPIFFE://td/ns/a/sa/b",
        "https://td/ns/a/sa/b",
        "spiffe://td/ns/a/sa/b?q",
        "spiffe://td/ns/a/sa/b#f",
        "spiffe://td/ns/../sa/b",
        "spiffe://td/ns/./sa/b",
        "spiffe://td/ns/a/sa/..",
        "spiffe://td/ns/a%2fb/sa/c",
        "spiffe://user@td/ns/a/sa/b",
        "spiffe://td:80/ns/a/sa/b",
        "spiffe://td/ns/ä/sa/b",
        "spiffe://td/ns/a/sa/b\n",
        " spiffe://td/ns/a/sa/b",
        &format!("spiffe://{long}/ns/a/sa/b"),
        &format!("spiffe://td/ns/{}/sa/b", "a".repeat(64)),
        &format!("spiffe://td/ns/a/sa/{}", "b".repeat(254)),
    ] {
        assert!(text.parse::<SpiffeId>().is_err(), "{text:?}");
    }
    assert_eq!(TrustDomain::new("Cluster.Local"), Err(SpiffeError::TrustDomain));
}

#[test]
fn a_join_token_is_known_by_its_hash_until_it_expires() {
    let mesh = Mesh::new("cluster.local");
    let (token, other) = (JoinToken::generate().unwrap(), JoinToken::generate().unwrap());
    let now = mesh.clock.now();
    let record = TokenRecord {
        hash: token.hash(),
        id: mesh.id("web"),
        expires_at: now + HOUR,
    };
    assert_eq!(record.verify(&token, now), Ok(&mesh.id("web")));
    assert_eq!(record.verify(&token, now + HOUR), Ok(&mesh.id("web")));
    let late = record.verify(&token, now + HOUR + Duration::from_secs(1));
    assert!(matches!(late, Err(TokenError::Expired { .. })));
    assert_eq!(record.verify(&other, now), Err(TokenError::Unknown));
}

#[test]
fn a_join_token_and_its_hash_are_read_back_as_they_were_written() {
    let token = JoinToken::generate().unwrap();
    assert!(token.expose().starts_with("wattle-join-"));
    assert_eq!(token.expose().parse::<JoinToken>().unwrap().hash(), token.hash());
    assert_eq!(token.hash().to_string().parse::<TokenHash>(), Ok(token.hash()));
    assert!(!format!("{token:?}").contains(&token.expose()[12..]));
    for text in [
        "",
        "wattle-join-",
        "wattle-join-AAAA",
        &token.expose()[1..],
        &format!("{}A", token.expose()),
    ] {
        assert!(text.parse::<JoinToken>().is_err(), "{text:?}");
    }
}

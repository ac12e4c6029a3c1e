//! Every parser of bytes that a peer, a user or a file can bring here, as a plain function; none may panic on any input.

use std::sync::{Arc, LazyLock};

use crate::{KeySet, Requirements, Token, verify};

/// A parser that keeps nothing and panics on nothing.
pub type Entry = fn(&[u8]);

/// The parsers by name, for fuzz targets and the property test.
pub const ENTRIES: [(&str, Entry); 3] = [("key_set", key_set), ("token", token), ("verified", verified)];

/// The public keys of RFC 7515 appendices A.2 and A.3: nothing that is found can be signed with them but what is printed
/// there.
const KEYS: &str = r#"{"keys":[{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"},{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#;
/// What is signed there.
const SIGNED: [&str; 2] = [
    "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
];
/// Before those expired.
const NOW_SECS: u64 = 1_300_000_000;

static REQUIREMENTS: LazyLock<Option<Requirements>> =
    LazyLock::new(|| Some(Requirements::new("joe", Arc::new(KeySet::parse(KEYS).ok()?))));

/// [`KeySet`] from JSON.
pub fn key_set(bytes: &[u8]) {
    let Ok(json) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(keys) = KeySet::parse(json) {
        assert!(keys.len() + keys.problems().len() <= crate::MAX_KEYS);
        let _ = format!("{keys:?}");
        keys.problems()
            .iter()
            .for_each(|problem| drop(problem.to_string()));
    }
}

/// [`Token`] from text; what is accepted is spelled in one way.
pub fn token(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(token) = Token::parse(text) {
        let payload = crate::base64url::encode(token.payload().json().as_bytes());
        assert_eq!(text.split('.').nth(1), Some(&*payload));
        assert!(!format!("{token:?}").contains(&payload));
    }
}

/// A token against known keys: nothing verifies but what their owner signed.
pub fn verified(bytes: &[u8]) {
    let (Ok(text), Some(requirements)) = (std::str::from_utf8(bytes), &*REQUIREMENTS) else {
        return;
    };
    let Ok(token) = Token::parse(text) else {
        return;
    };
    if verify(token, requirements, NOW_SECS).is_ok() {
        assert!(SIGNED.iter().any(|signed| text.starts_with(signed)), "{text}");
    }
}

//! The examples of the specifications, with their keys.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use wattle_jwt::{KeySet, Requirements, Token, fuzz, verify};

const RSA_KEY: &str = r#"{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}"#;
const EC_KEY: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
const SYMMETRIC_KEY: &str = r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;
/// The same in appendices A.1 to A.3 and in RFC 7519 section 3.1.
const PAYLOAD: &str =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const EXPIRY: u64 = 1_300_819_380;

fn requirements(key: &str) -> Requirements {
    Requirements::new(
        "joe",
        Arc::new(KeySet::parse(&format!(r#"{{"keys":[{key}]}}"#)).unwrap()),
    )
}

fn outcome(header: &str, signature: &str, key: &str, now: u64) -> Result<(), &'static str> {
    let text = format!("{header}.{PAYLOAD}.{signature}");
    let verified = Token::parse(&text).and_then(|token| verify(token, &requirements(key), now));
    fuzz::ENTRIES.iter().for_each(|(_, parse)| parse(text.as_bytes()));
    let claims = verified.map_err(|rejection| rejection.id())?;
    assert_eq!(claims.issuer(), Some("joe"));
    assert_eq!(claims.encoded_payload(), PAYLOAD);
    assert_eq!(
        claims
            .at(&["http://example.com/is_root"])
            .unwrap()
            .header_value()
            .as_deref(),
        Some("true")
    );
    Ok(())
}

#[test]
fn rfc_7515_a2_is_accepted_until_it_expires() {
    let (header, signature) = (
        "eyJhbGciOiJSUzI1NiJ9",
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
    );
    assert_eq!(outcome(header, signature, RSA_KEY, EXPIRY - 1), Ok(()));
    assert_eq!(outcome(header, signature, RSA_KEY, EXPIRY + 59), Ok(()));
    assert_eq!(
        outcome(header, signature, RSA_KEY, EXPIRY + 60),
        Err("jwt-expired")
    );
    assert_eq!(
        outcome(header, signature, EC_KEY, EXPIRY - 1),
        Err("jwt-unknown-key")
    );
}

#[test]
fn rfc_7515_a3_is_accepted() {
    let (header, signature) = (
        "eyJhbGciOiJFUzI1NiJ9",
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    );
    assert_eq!(outcome(header, signature, EC_KEY, EXPIRY - 1), Ok(()));
    assert_eq!(
        outcome(header, signature, RSA_KEY, EXPIRY - 1),
        Err("jwt-unknown-key")
    );
}

/// Also RFC 7519 section 3.1.
#[test]
fn rfc_7515_a1_is_refused_since_it_is_symmetric() {
    let (header, signature) = (
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9",
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    );
    assert_eq!(
        outcome(header, signature, SYMMETRIC_KEY, EXPIRY - 1),
        Err("jwt-algorithm")
    );
}

/// Also RFC 7519 section 6.1.
#[test]
fn rfc_7515_a5_is_refused_since_nobody_signed_it() {
    assert_eq!(
        outcome("eyJhbGciOiJub25lIn0", "", RSA_KEY, EXPIRY - 1),
        Err("jwt-algorithm")
    );
}

/// RFC 7516 appendix A.1: encrypted.
#[test]
fn an_encrypted_token_is_refused() {
    let text = "eyJhbGciOiJSU0EtT0FFUCIsImVuYyI6IkEyNTZHQ00ifQ.a2V5.aXY.Y2lwaGVy.dGFn";
    assert_eq!(Token::parse(text).unwrap_err().id(), "jwt-encrypted");
}

//! From a token to claims that may be believed.

use crate::claims::{Claim, Claims, Object};
use crate::rejection::Rejection;
use crate::requirements::Requirements;
use crate::token::Token;

/// Verifies a token at a time in seconds since 1970; only what this returns may be believed.
///
/// The cheap questions come first, so that an expired token costs no signature. `iss` is compared letter by letter, `aud`
/// has to name one of the audiences, `exp` and `nbf` are read with the leeway. `iat` has to be a date and is not compared
/// with the time: it says when a token was made, not when it is valid (RFC 7519 section 4.1.6), and Envoy does the same.
pub fn verify(token: Token<'_>, requirements: &Requirements, now_secs: u64) -> Result<Claims, Rejection> {
    check(&token, requirements, now_secs)?;
    Ok(Claims::new(token.into_payload()))
}

/// The same against several requirements, of which one is enough; the answer says which, by its place. Refused is with
/// the reason of the last whose issuer is the token's.
pub fn verify_any<'r>(
    token: Token<'_>,
    requirements: impl IntoIterator<Item = &'r Requirements>,
    now_secs: u64,
) -> Result<(usize, Claims), Rejection> {
    let mut reason = Rejection::Issuer;
    for (place, requirements) in requirements.into_iter().enumerate() {
        match check(&token, requirements, now_secs) {
            Ok(()) => return Ok((place, Claims::new(token.into_payload()))),
            Err(Rejection::Issuer) => {}
            Err(rejection) => reason = rejection,
        }
    }
    Err(reason)
}

fn check(token: &Token<'_>, requirements: &Requirements, now_secs: u64) -> Result<(), Rejection> {
    let claims = Object::root(token.payload());
    check_issuer(claims, requirements)?;
    check_audience(claims, requirements)?;
    check_times(claims, requirements, now_secs)?;
    check_signature(token, requirements)
}

fn check_issuer(claims: Object<'_>, requirements: &Requirements) -> Result<(), Rejection> {
    let Some(wanted) = &requirements.issuer else {
        return Ok(());
    };
    match claims.member("iss") {
        Some(Claim::Text(issuer)) if issuer == &**wanted => Ok(()),
        _ => Err(Rejection::Issuer),
    }
}

fn check_audience(claims: Object<'_>, requirements: &Requirements) -> Result<(), Rejection> {
    let wanted = |named: &str| requirements.audiences.iter().any(|audience| audience.is(named));
    let found = requirements.audiences.is_empty()
        || match claims.member("aud") {
            Some(Claim::Text(audience)) => wanted(audience),
            Some(Claim::List(audiences)) => audiences.texts().any(wanted),
            _ => false,
        };
    found.then_some(()).ok_or(Rejection::Audience)
}

/// `exp` is the first moment at which a token must not be accepted, `nbf` the first at which it may (RFC 7519 sections
/// 4.1.4 and 4.1.5).
#[allow(clippy::cast_precision_loss)]
fn check_times(claims: Object<'_>, requirements: &Requirements, now_secs: u64) -> Result<(), Rejection> {
    let date = |name| claims.member(name).and_then(Claim::date);
    let leeway = requirements.leeway_secs;
    match date("exp") {
        None if requirements.expiry_required => return Err(Rejection::NoExpiry),
        Some(expiry) if now_secs as f64 >= expiry + leeway as f64 => return Err(Rejection::Expired),
        _ => {}
    }
    match date("nbf") {
        Some(start) if now_secs.saturating_add(leeway) as f64 >= start => Ok(()),
        Some(_) => Err(Rejection::NotYetValid),
        None => Ok(()),
    }
}

fn check_signature(token: &Token<'_>, requirements: &Requirements) -> Result<(), Rejection> {
    let signed = token.signed().as_bytes();
    let verified = requirements
        .keys
        .verifies(token.key_id(), token.algorithm(), signed, token.signature());
    match verified {
        Some(true) => Ok(()),
        Some(false) => Err(Rejection::Signature),
        None => Err(Rejection::UnknownKey),
    }
}

//! What a verified token says, in the terms of policies and of the application.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use wattle_jwt::{Claim, Claims, SPACE_DELIMITED};
use wattle_model::{TokenFacts, TokenPrincipal};

use crate::worker::PreparedRule;

/// A token that a rule accepts.
pub(crate) struct Verified {
    pub(crate) facts: TokenFacts,
    /// Which rule.
    pub(super) rule: usize,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// When it was verified, and from when on it would not be, in seconds since 1970.
    times: (u64, u64),
}

impl Verified {
    pub(super) fn new(rule: usize, by: &PreparedRule, claims: &Claims, now_secs: u64) -> Self {
        let expiry = claims.expiry_secs().unwrap_or(u64::MAX);
        Self {
            facts: facts(claims, &by.space_delimited),
            rule,
            headers: headers(by, claims),
            times: (now_secs, expiry.saturating_add(by.requirements.leeway_secs)),
        }
    }

    /// Is it still valid? Before it was verified, after the clock was set back, nobody knows.
    pub(super) fn holds(&self, now_secs: u64) -> bool {
        (self.times.0..self.times.1).contains(&now_secs)
    }

    /// Tells the application. Of several tokens the first has the word.
    pub(super) fn tell(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.headers {
            headers.entry(name).or_insert_with(|| value.clone());
        }
    }
}

fn headers(by: &PreparedRule, claims: &Claims) -> Vec<(HeaderName, HeaderValue)> {
    let payload = by.payload_header.iter().filter_map(|name| {
        let value = HeaderValue::try_from(claims.encoded_payload()).ok()?;
        Some((name.clone(), value))
    });
    let told = by.claim_headers.iter().filter_map(|(header, name)| {
        let text = claims.named(name)?.header_value()?;
        let value = HeaderValue::from_bytes(text.as_bytes()).ok()?;
        Some((header.clone(), value))
    });
    payload.chain(told).collect()
}

fn facts(claims: &Claims, space_delimited: &[Arc<str>]) -> TokenFacts {
    let splits = |name: &str| {
        SPACE_DELIMITED.contains(&name) || space_delimited.iter().any(|listed| **listed == *name)
    };
    let compared = |(name, claim): (&str, Claim<'_>)| Some((name.into(), of(claim, splits(name))?));
    TokenFacts {
        principal: principal(claims),
        audiences: claims.audiences().map(Into::into).collect(),
        presenter: claims.presenter().map(Into::into),
        claims: claims.iter().filter_map(compared).collect(),
    }
}

fn principal(claims: &Claims) -> Option<TokenPrincipal> {
    let named = |text: &&str| !text.is_empty();
    Some(TokenPrincipal {
        issuer: claims.issuer().filter(named)?.into(),
        subject: claims.subject().filter(named)?.into(),
    })
}

/// A claim as policies compare it; `None` for one that they cannot.
fn of(claim: Claim<'_>, split: bool) -> Option<wattle_model::Claim> {
    use wattle_model::Claim::{Members, Texts};
    match claim {
        Claim::Text(text) if split => Some(Texts(text.split_ascii_whitespace().map(Into::into).collect())),
        Claim::Text(text) => Some(Texts(vec![text.into()])),
        Claim::List(list) => Some(Texts(list.texts().map(Into::into).collect())),
        // Nesting is bounded by the reader of tokens.
        Claim::Object(object) => {
            let inner = object.iter();
            let inner = inner.filter_map(|(name, claim)| Some((name.into(), of(claim, false)?)));
            Some(Members(inner.collect()))
        }
        Claim::Null | Claim::Bool(_) | Claim::Number(_) => None,
    }
}

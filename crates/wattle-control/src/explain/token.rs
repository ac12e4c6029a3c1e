//! A token that is assumed to be valid, by its claims.

use std::sync::Arc;

use serde_json::{Map, Value};
use wattle_model::{Claim, Inbound, Step, TokenFacts, TokenPrincipal, Trace, Verdict};

use super::ExplainError;

/// Claims that are lists whatever a rule says (Istio).
const SPACE_DELIMITED: [&str; 2] = ["scope", "permission"];

/// The claims of a token, as they were asked about.
#[derive(Clone)]
pub(super) struct Claims(Map<String, Value>);

/// What a workload makes of a token.
pub(super) enum Taken {
    /// Nobody looks at it.
    Ignored,
    /// It is of an issuer whose tokens are taken.
    Verified(TokenFacts),
    /// It is of none.
    Refused,
}

impl Claims {
    /// Reads a JSON object.
    pub(super) fn read(text: &str) -> Result<Self, ExplainError> {
        match serde_json::from_str(text) {
            Ok(Value::Object(members)) => Ok(Self(members)),
            Ok(_) => Err(ExplainError::Claims("it is not an object".to_owned())),
            Err(error) => Err(ExplainError::Claims(error.to_string())),
        }
    }

    /// What the workload's rules make of it, if its signature and times are good.
    pub(super) fn taken(&self, inbound: &Inbound, trace: &mut impl Trace) -> Taken {
        if inbound.tokens.is_empty() {
            return Taken::Ignored;
        }
        for rule in &inbound.tokens {
            let unmet = self.unmet(rule.issuer.as_deref(), &rule.audiences);
            trace.note(|| {
                let (verdict, detail) = match unmet {
                    None => (Verdict::Matched, "it takes the token"),
                    Some(unmet) => (Verdict::Skipped, unmet),
                };
                Step::new(rule.origin.to_string(), verdict, detail)
            });
            if unmet.is_none() {
                return Taken::Verified(self.facts(&rule.space_delimited));
            }
        }
        Taken::Refused
    }

    /// Why a rule does not take it. Audiences are compared without scheme and slash at the end, as proxies do.
    fn unmet(&self, issuer: Option<&str>, audiences: &[Arc<str>]) -> Option<&'static str> {
        if issuer.is_some() && self.text("iss") != issuer {
            return Some("the token is of another issuer");
        }
        let bare = |audience: &str| {
            let schemes = ["https://", "http://"];
            let rest = schemes.iter().find_map(|scheme| audience.strip_prefix(scheme));
            let rest = rest.unwrap_or(audience);
            rest.strip_suffix('/').unwrap_or(rest).to_owned()
        };
        let named: Vec<_> = self
            .texts("aud", false)
            .iter()
            .map(|audience| bare(audience))
            .collect();
        let wanted = audiences.iter().any(|audience| named.contains(&bare(audience)));
        (!audiences.is_empty() && !wanted).then_some("the token is for none of its audiences")
    }

    fn facts(&self, space_delimited: &[Arc<str>]) -> TokenFacts {
        let splits = |name: &str| {
            SPACE_DELIMITED.contains(&name) || space_delimited.iter().any(|listed| **listed == *name)
        };
        let named = |name: &str| self.text(name).filter(|text| !text.is_empty());
        let members = self.0.iter();
        TokenFacts {
            principal: named("iss")
                .zip(named("sub"))
                .map(|(issuer, subject)| TokenPrincipal {
                    issuer: issuer.into(),
                    subject: subject.into(),
                }),
            audiences: self.texts("aud", false),
            presenter: self.text("azp").map(Into::into),
            claims: members
                .filter_map(|(name, value)| Some((name.as_str().into(), claim(value, splits(name))?)))
                .collect(),
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    fn texts(&self, name: &str, split: bool) -> Vec<Box<str>> {
        match self.0.get(name).and_then(|value| claim(value, split)) {
            Some(Claim::Texts(texts)) => texts,
            _ => Vec::new(),
        }
    }
}

/// A claim as policies compare it. Nesting is bounded by the reader of JSON.
fn claim(value: &Value, split: bool) -> Option<Claim> {
    match value {
        Value::String(text) if split => Some(Claim::Texts(
            text.split_ascii_whitespace().map(Into::into).collect(),
        )),
        Value::String(text) => Some(Claim::Texts(vec![text.as_str().into()])),
        Value::Array(list) => {
            let texts = list.iter().filter_map(Value::as_str);
            Some(Claim::Texts(texts.map(Into::into).collect()))
        }
        Value::Object(members) => {
            let inner = members.iter();
            let inner = inner.filter_map(|(name, value)| Some((name.as_str().into(), claim(value, false)?)));
            Some(Claim::Members(inner.collect()))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

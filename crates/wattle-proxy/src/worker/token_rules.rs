//! Whose tokens the workload takes, with the keys read: made by the main thread, shared by all workers.

use std::collections::HashMap;
use std::sync::Arc;

use http::HeaderName;
use wattle_jwt::{Audience, DEFAULT_LEEWAY_SECS, KeySet, Requirements};
use wattle_model::{TokenLocation, TokenRule};

/// All rules.
#[derive(Debug, Default)]
pub(crate) struct TokenRules {
    pub(crate) rules: Vec<PreparedRule>,
    pub(crate) places: Vec<Place>,
    /// Headers that only a verified token fills.
    pub(crate) reserved: Vec<HeaderName>,
}

/// A rule with its keys.
#[derive(Debug)]
pub(crate) struct PreparedRule {
    pub(crate) requirements: Requirements,
    pub(crate) forward: bool,
    pub(crate) payload_header: Option<HeaderName>,
    /// Header and name of the claim, with dots between the names of nested ones.
    pub(crate) claim_headers: Vec<(HeaderName, String)>,
    pub(crate) space_delimited: Vec<Arc<str>>,
}

/// Where tokens are looked for, and the rules of which one has to accept what is found there.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) location: TokenLocation,
    pub(crate) rules: Vec<usize>,
}

impl TokenRules {
    /// Of these; `None` without any.
    pub(crate) fn of(rules: &[TokenRule]) -> Option<Arc<Self>> {
        if rules.is_empty() {
            return None;
        }
        let mut made = Self::default();
        let mut sets = HashMap::new();
        for (number, rule) in rules.iter().enumerate() {
            let text = rule.keys.as_deref().unwrap_or_default();
            let keys = sets.entry(text).or_insert_with(|| keys(rule)).clone();
            made.rules.push(PreparedRule::of(rule, keys));
            for location in &rule.locations {
                made.place(location, number);
            }
        }
        for rule in &made.rules {
            let claims = rule.claim_headers.iter().map(|(header, _)| header);
            for header in rule.payload_header.iter().chain(claims) {
                if !made.reserved.contains(header) {
                    made.reserved.push(header.clone());
                }
            }
        }
        Some(Arc::new(made))
    }

    fn place(&mut self, location: &TokenLocation, rule: usize) {
        match self.places.iter_mut().find(|place| place.location == *location) {
            Some(place) => place.rules.push(rule),
            None => self.places.push(Place {
                location: location.clone(),
                rules: vec![rule],
            }),
        }
    }
}

impl PreparedRule {
    fn of(rule: &TokenRule, keys: Arc<KeySet>) -> Self {
        let requirements = Requirements {
            issuer: rule.issuer.as_deref().map(Into::into),
            audiences: rule
                .audiences
                .iter()
                .map(|audience| Audience::Host((&**audience).into()))
                .collect(),
            keys,
            leeway_secs: DEFAULT_LEEWAY_SECS,
            expiry_required: false,
        };
        let claims = rule.claim_headers.iter();
        Self {
            requirements,
            forward: rule.forward,
            payload_header: rule.payload_header.clone(),
            claim_headers: claims
                .map(|claim| (claim.header.clone(), claim.claim.join(".")))
                .collect(),
            space_delimited: rule.space_delimited.clone(),
        }
    }
}

/// The keys of a rule; without any that can be used, a set that refuses every token.
fn keys(rule: &TokenRule) -> Arc<KeySet> {
    let origin = &rule.origin;
    let Some(text) = &rule.keys else {
        tracing::warn!(%origin, "there are no keys yet: tokens of this rule are refused");
        return Arc::default();
    };
    match KeySet::parse(text) {
        Ok(set) => {
            for problem in set.problems() {
                tracing::warn!(%origin, %problem, "key is not used");
            }
            Arc::new(set)
        }
        Err(error) => {
            tracing::warn!(%origin, %error, "keys cannot be used: tokens of this rule are refused");
            Arc::default()
        }
    }
}

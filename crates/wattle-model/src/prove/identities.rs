//! Callers, one for each class that policies can tell apart.

use super::Claim;
use super::classes::{TextClasses, representatives};
use crate::{Attribute, PolicyRule, TextMatch};

/// Who calls.
pub(super) struct Identity {
    pub(super) principal: String,
    pub(super) namespace: String,
    pub(super) service_account: String,
}

/// What each part of `TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT` is compared with.
#[derive(Default)]
struct Parts {
    namespace: TextClasses,
    account: TextClasses,
}

/// One caller of each class, and nobody: a caller of any namespace may come in plaintext.
pub(super) fn of(rules: &[&PolicyRule], claim: &Claim<'_>) -> Vec<Option<Identity>> {
    let mut parts = Parts::default();
    for rule in rules {
        parts.add(rule);
    }
    let chosen = |fixed: Option<&str>, classes: &TextClasses, usual: &str| match fixed {
        Some(fixed) => vec![fixed.to_owned()],
        None => representatives(classes, usual, ""),
    };
    let namespaces = chosen(claim.namespace, &parts.namespace, "default");
    let accounts = chosen(claim.service_account, &parts.account, "default");
    let mut all = Vec::new();
    for domain in claim.trust_domains {
        for namespace in &namespaces {
            for account in &accounts {
                all.push(Some(Identity {
                    principal: format!("{domain}/ns/{namespace}/sa/{account}"),
                    namespace: namespace.clone(),
                    service_account: account.clone(),
                }));
            }
        }
    }
    all.push(None);
    all
}

impl Parts {
    fn add(&mut self, rule: &PolicyRule) {
        for source in &rule.from {
            let whole = source.principals.iter().chain(&source.not_principals);
            whole.for_each(|text| self.add_segments(text, true));
            let accounts = source.service_accounts.iter().chain(&source.not_service_accounts);
            accounts.for_each(|text| self.add_segments(text, false));
            let namespaces = source.namespaces.iter().chain(&source.not_namespaces);
            namespaces.for_each(|text| self.namespace.add(text));
        }
        for condition in &rule.when {
            let texts = condition.values.iter().chain(&condition.not_values);
            match condition.attribute {
                Attribute::SourcePrincipal => texts.for_each(|text| self.add_segments(text, true)),
                Attribute::SourceServiceAccount => texts.for_each(|text| self.add_segments(text, false)),
                Attribute::SourceNamespace => texts.for_each(|text| self.namespace.add(text)),
                _ => {}
            }
        }
    }

    /// A text about several parts asks each part for something of its own: all but one of them for the whole.
    fn add_segments(&mut self, text: &TextMatch, principal: bool) {
        let (namespace, account, all) = if principal { (2, 4, 5) } else { (0, 1, 2) };
        let mut place = |at: usize, ask: fn(&mut TextClasses, &str), part: &str| {
            if at == namespace {
                ask(&mut self.namespace, part);
            } else if at == account {
                ask(&mut self.account, part);
            }
        };
        match text {
            TextMatch::Exact(text) => text
                .split('/')
                .enumerate()
                .for_each(|(at, part)| place(at, TextClasses::exact, part)),
            TextMatch::Prefix(text) => {
                let segments: Vec<&str> = text.split('/').collect();
                for (at, part) in segments.iter().enumerate() {
                    let last = at + 1 == segments.len();
                    place(
                        at,
                        if last {
                            TextClasses::prefix
                        } else {
                            TextClasses::exact
                        },
                        part,
                    );
                }
            }
            TextMatch::Suffix(text) => {
                let segments: Vec<&str> = text.split('/').collect();
                let Some(skipped) = usize::checked_sub(all, segments.len()) else {
                    return;
                };
                for (at, part) in segments.iter().enumerate() {
                    place(
                        skipped + at,
                        if at == 0 {
                            TextClasses::suffix
                        } else {
                            TextClasses::exact
                        },
                        part,
                    );
                }
            }
            TextMatch::Present | TextMatch::Regex(_) => {}
        }
    }
}

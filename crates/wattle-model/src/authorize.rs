//! May this request or connection in? The decision of an inbound proxy, as Istio defines it, failing closed.
//!
//! DENY policies come first, then ALLOW; without any ALLOW policy everything else is allowed. A TCP connection has no
//! HTTP attributes: an ALLOW rule that asks for one never matches it, a DENY rule drops them and so matches more.

use crate::{
    ConnectionFacts, Inbound, ObjectRef, Policy, PolicyRule, Reason, RequestFacts, Step, Trace, Verdict,
    path::{lenient_path, normal_path},
};

use unmet::{Unmet, Wanted};

mod condition;
mod operation;
mod source;
#[cfg(test)]
mod tests;
mod unmet;

/// Whether a request or connection may in, and because of which policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorizationDecision<'a> {
    /// It may.
    Allowed {
        /// The ALLOW policy that matched; `None` when there is no ALLOW policy.
        policy: Option<&'a ObjectRef>,
    },
    /// It may not.
    Refused {
        /// [`Reason::PolicyDenied`] or [`Reason::PolicyNotAllowed`].
        reason: Reason,
        /// The DENY policy that matched; the only ALLOW policy when there is just one and it did not match.
        policy: Option<&'a ObjectRef>,
        /// Index of the rule that matched, from 0.
        rule: Option<u32>,
    },
}

/// What a policy does when it matches; decides in which direction a doubt is resolved.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    Deny,
    Allow,
}

/// What is evaluated, with the path in the form that policies compare.
#[derive(Clone, Copy)]
struct Subject<'a> {
    connection: &'a ConnectionFacts<'a>,
    request: Option<&'a RequestFacts<'a>>,
    path: &'a str,
    effect: Effect,
}

impl Inbound {
    /// Decides about a request, or about a TCP connection when `request` is `None`.
    ///
    /// Paths are compared in normal form (see [`normal_path`](crate::normal_path)); DENY policies also with everything
    /// decoded and slashes merged, so that an odd spelling is no way around them.
    pub fn authorize(
        &self,
        connection: &ConnectionFacts<'_>,
        request: Option<&RequestFacts<'_>>,
        trace: &mut impl Trace,
    ) -> AuthorizationDecision<'_> {
        let raw = request.map_or("", |request| request.path);
        if let Some((policy, rule)) = self.denied_by(connection, request, raw, trace) {
            let policy = Some(&policy.origin);
            return AuthorizationDecision::Refused {
                reason: Reason::PolicyDenied,
                policy,
                rule: Some(rule),
            };
        }
        let allow = &self.authorization.allow;
        if allow.is_empty() {
            return AuthorizationDecision::Allowed { policy: None };
        }
        let path = normal_path(raw);
        let subject = Subject {
            connection,
            request,
            path: &path,
            effect: Effect::Allow,
        };
        match allow
            .iter()
            .find(|policy| policy.matching_rule(&subject, trace).is_some())
        {
            Some(policy) => AuthorizationDecision::Allowed {
                policy: Some(&policy.origin),
            },
            None => not_allowed(allow, trace),
        }
    }

    fn denied_by(
        &self,
        connection: &ConnectionFacts<'_>,
        request: Option<&RequestFacts<'_>>,
        raw: &str,
        trace: &mut impl Trace,
    ) -> Option<(&Policy, u32)> {
        let deny = &self.authorization.deny;
        if deny.is_empty() {
            return None;
        }
        let (normal, lenient) = (normal_path(raw), lenient_path(raw));
        let forms = [
            Some(&normal),
            Some(&lenient).filter(|lenient| **lenient != normal),
        ];
        for path in forms.into_iter().flatten() {
            let subject = Subject {
                connection,
                request,
                path,
                effect: Effect::Deny,
            };
            for policy in deny {
                if let Some(rule) = policy.matching_rule(&subject, trace) {
                    return Some((policy, rule));
                }
            }
        }
        None
    }
}

fn not_allowed<'a>(allow: &'a [Policy], trace: &mut impl Trace) -> AuthorizationDecision<'a> {
    trace.note(|| {
        let detail = format!("none of {} ALLOW policies matches", allow.len());
        Step::new("authorization", Verdict::Refused, detail)
    });
    let policy = match allow {
        [only] => Some(&only.origin),
        _ => None,
    };
    AuthorizationDecision::Refused {
        reason: Reason::PolicyNotAllowed,
        policy,
        rule: None,
    }
}

impl Policy {
    /// The first rule that matches.
    fn matching_rule(&self, subject: &Subject<'_>, trace: &mut impl Trace) -> Option<u32> {
        if self.rules.is_empty() {
            trace.note(|| {
                Step::new(
                    self.origin.to_string(),
                    Verdict::Skipped,
                    "it has no rules and matches nothing",
                )
            });
        }
        for (index, rule) in (0u32..).zip(&self.rules) {
            if self.rule_matches(index, rule, subject, trace) {
                return Some(index);
            }
        }
        None
    }

    fn rule_matches(
        &self,
        index: u32,
        rule: &PolicyRule,
        subject: &Subject<'_>,
        trace: &mut impl Trace,
    ) -> bool {
        let unmet = rule.unmet(subject);
        trace.note(|| {
            let name = format!("{} rule {index}", self.origin);
            match (&unmet, subject.effect, &rule.unsupported) {
                (Some(unmet), ..) => Step::new(name, Verdict::Skipped, unmet.explain(subject)),
                (None, Effect::Deny, Some(field)) => Step::new(
                    name,
                    Verdict::Refused,
                    format!("{field} cannot be evaluated here, so it is taken to hold"),
                ),
                (None, Effect::Deny, None) => Step::new(name, Verdict::Refused, "it denies"),
                (None, Effect::Allow, _) => Step::new(name, Verdict::Matched, "it allows"),
            }
        });
        unmet.is_none()
    }
}

impl PolicyRule {
    /// What keeps the rule from matching; `None` when it matches.
    fn unmet(&self, subject: &Subject<'_>) -> Option<Unmet<'_>> {
        if let (Effect::Allow, Some(field)) = (subject.effect, &self.unsupported) {
            return Some(Unmet::new(field, Wanted::Supported));
        }
        let from = none_of(&self.from, |source| source.unmet(subject));
        let to = || none_of(&self.to, |operation| operation.unmet(subject));
        let when = || self.when.iter().find_map(|condition| condition.unmet(subject));
        from.or_else(to).or_else(when)
    }
}

/// Why none of the alternatives holds; `None` when one does or when there are none.
fn none_of<'r, T>(alternatives: &'r [T], unmet: impl Fn(&'r T) -> Option<Unmet<'r>>) -> Option<Unmet<'r>> {
    let mut first = None;
    for alternative in alternatives {
        match unmet(alternative) {
            None => return None,
            Some(why) => first = first.or(Some(why)),
        }
    }
    first
}

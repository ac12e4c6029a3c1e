//! Does a policy match, by which of its rules, and what keeps the others from it?

use super::subject::{Effect, Subject};
use super::unmet::{Unmet, Wanted};
use crate::{Policy, PolicyRule, Step, Trace, Verdict};

impl Policy {
    /// The first rule that matches.
    pub(super) fn matching_rule(&self, subject: &Subject<'_>, trace: &mut impl Trace) -> Option<u32> {
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
            match (&unmet, &rule.unsupported) {
                (Some(unmet), _) => Step::new(name, Verdict::Skipped, unmet.explain(subject)),
                (None, Some(field)) => {
                    let detail = format!("{field} cannot be evaluated here, so it is taken to hold");
                    Step::new(name, subject.effect.verdict(), detail)
                }
                (None, None) => Step::new(name, subject.effect.verdict(), subject.effect.words()),
            }
        });
        unmet.is_none()
    }
}

impl Effect {
    fn verdict(self) -> Verdict {
        match self {
            Self::Deny => Verdict::Refused,
            Self::Ask | Self::Allow | Self::Audit => Verdict::Matched,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Deny => "it denies",
            Self::Ask => "it asks its provider",
            Self::Allow => "it allows",
            Self::Audit => "it marks for auditing",
        }
    }
}

impl PolicyRule {
    /// What keeps the rule from matching; `None` when it matches.
    fn unmet(&self, subject: &Subject<'_>) -> Option<Unmet<'_>> {
        if let (false, Some(field)) = (subject.effect.doubts(), &self.unsupported) {
            return Some(Unmet::new(&**field, Wanted::Supported));
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

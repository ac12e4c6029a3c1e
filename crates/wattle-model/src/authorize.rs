//! May this request or connection in? The decision of an inbound proxy, as Istio and Linkerd define it, failing closed.
//!
//! Who is asked outside comes first, then DENY policies, then the gate of the port, then ALLOW; without any ALLOW policy
//! everything else is allowed. A TCP connection has no HTTP attributes: an ALLOW rule that asks for one never matches it,
//! a DENY rule drops them and so matches more.

use std::borrow::Cow;

use crate::{
    Authorization, ConnectionFacts, ExternalAuthorizer, Gate, Inbound, ObjectRef, Policy, Reason,
    RequestFacts, Step, Trace, Verdict,
    path::{is_plain, lenient_path, normal_path},
};

use subject::{Effect, Subject};

mod condition;
mod gate;
mod operation;
mod rule;
mod source;
mod subject;
#[cfg(test)]
mod tests;
mod unmet;

/// Whether a request or connection may in, and because of which policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorizationDecision<'a> {
    /// It may.
    Allowed {
        /// The ALLOW policy that matched, else what the port's gate let in by; `None` when there is neither.
        policy: Option<&'a ObjectRef>,
    },
    /// It may not.
    Refused {
        /// [`Reason::PolicyDenied`] or [`Reason::PolicyNotAllowed`].
        reason: Reason,
        /// The DENY policy that matched; the gate that lets in nothing of the kind; the only ALLOW policy when there is
        /// just one and it did not match.
        policy: Option<&'a ObjectRef>,
        /// Index of the rule that matched, from 0.
        rule: Option<u32>,
    },
}

/// Somebody outside who must be asked, and why.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ask<'a> {
    /// Who.
    pub authorizer: &'a ExternalAuthorizer,
    /// The CUSTOM policy that matched.
    pub policy: &'a ObjectRef,
    /// Index of its rule that matched, from 0.
    pub rule: u32,
}

impl Inbound {
    /// Decides about a request, or about a TCP connection when `request` is `None`; after everybody in
    /// [`asks`](Self::asks) has agreed.
    ///
    /// Paths are compared in normal form (see [`normal_path`](crate::normal_path)); DENY policies, and what other policies
    /// exclude, also with everything decoded and slashes merged, so that an odd spelling is no way around them.
    pub fn authorize(
        &self,
        connection: &ConnectionFacts<'_>,
        request: Option<&RequestFacts<'_>>,
        trace: &mut impl Trace,
    ) -> AuthorizationDecision<'_> {
        let path = self.path_of(request);
        self.authorization
            .decide(connection, at(request, &path).as_ref(), trace)
    }

    /// The path that is judged: that of the application.
    fn path_of<'a>(&self, request: Option<&RequestFacts<'a>>) -> Cow<'a, str> {
        request.map_or(Cow::Borrowed(""), |request| self.paths.path(request.path))
    }

    /// Who must be asked about the request or connection before [`authorize`](Self::authorize) decides.
    pub fn asks<'a>(
        &'a self,
        connection: &ConnectionFacts<'_>,
        request: Option<&RequestFacts<'_>>,
        trace: &mut impl Trace,
    ) -> Vec<Ask<'a>> {
        let mut asks = Vec::new();
        let path = self.path_of(request);
        let request = at(request, &path);
        let request = request.as_ref();
        for external in &self.authorization.external {
            if let Some((policy, rule)) = matched(&external.policies, Effect::Ask, connection, request, trace)
            {
                asks.push(Ask {
                    authorizer: &external.authorizer,
                    policy: &policy.origin,
                    rule,
                });
            }
        }
        asks
    }

    /// The AUDIT policy that marks the request or connection, or the auditing gate that alone lets it in.
    pub fn audited_by(
        &self,
        connection: &ConnectionFacts<'_>,
        request: Option<&RequestFacts<'_>>,
    ) -> Option<&ObjectRef> {
        let path = self.path_of(request);
        let request = at(request, &path);
        let request = request.as_ref();
        let audit = &self.authorization.audit;
        let trace = &mut crate::NoTrace;
        matched(audit, Effect::Audit, connection, request, trace)
            .map(|(policy, _)| &policy.origin)
            .or_else(|| self.authorization.audited_gate(connection, request))
    }

    /// What the policies that are tried only would decide; `None` when there are none.
    pub fn tried(
        &self,
        connection: &ConnectionFacts<'_>,
        request: Option<&RequestFacts<'_>>,
        trace: &mut impl Trace,
    ) -> Option<AuthorizationDecision<'_>> {
        let dry_run = self.authorization.dry_run.as_deref()?;
        let path = self.path_of(request);
        Some(dry_run.decide(connection, at(request, &path).as_ref(), trace))
    }
}

/// The request with this path.
fn at<'a>(request: Option<&RequestFacts<'a>>, path: &'a str) -> Option<RequestFacts<'a>> {
    request.map(|request| RequestFacts { path, ..*request })
}

impl Authorization {
    fn decide(
        &self,
        connection: &ConnectionFacts<'_>,
        request: Option<&RequestFacts<'_>>,
        trace: &mut impl Trace,
    ) -> AuthorizationDecision<'_> {
        if let Some((policy, rule)) = matched(&self.deny, Effect::Deny, connection, request, trace) {
            return AuthorizationDecision::Refused {
                reason: Reason::PolicyDenied,
                policy: Some(&policy.origin),
                rule: Some(rule),
            };
        }
        let gate = self.gate_of(Some(connection.port));
        let let_in = match gate.map(|gate| gate.lets_in(connection, request, trace)) {
            Some(None) => return refused_by(gate),
            Some(by) => by,
            None => None,
        };
        if self.allow.is_empty() {
            return AuthorizationDecision::Allowed { policy: let_in };
        }
        match matched(&self.allow, Effect::Allow, connection, request, trace) {
            Some((policy, _)) => AuthorizationDecision::Allowed {
                policy: Some(&policy.origin),
            },
            None => not_allowed(&self.allow, trace),
        }
    }
}

/// The first policy that matches, with its rule. What must not be got around by an odd spelling is compared in two forms.
fn matched<'a>(
    policies: &'a [Policy],
    effect: Effect,
    connection: &ConnectionFacts<'_>,
    request: Option<&RequestFacts<'_>>,
    trace: &mut impl Trace,
) -> Option<(&'a Policy, u32)> {
    if policies.is_empty() {
        return None;
    }
    let raw = request.map_or("", |request| request.path);
    let forms = (!is_plain(raw)).then(|| (normal_path(raw), lenient_path(raw)));
    let (normal, lenient) = match &forms {
        Some((normal, lenient)) => (&**normal, Some(&**lenient).filter(|lenient| lenient != normal)),
        None => (raw, None),
    };
    let also = lenient.filter(|_| effect.doubts());
    for path in [Some(normal), also].into_iter().flatten() {
        let subject = Subject {
            connection,
            request,
            path,
            lenient: lenient.filter(|_| !effect.doubts()),
            effect,
        };
        for policy in policies {
            if let Some(rule) = policy.matching_rule(&subject, trace) {
                return Some((policy, rule));
            }
        }
    }
    None
}

fn refused_by(gate: Option<&Gate>) -> AuthorizationDecision<'_> {
    AuthorizationDecision::Refused {
        reason: Reason::PolicyNotAllowed,
        policy: gate.map(|gate| &gate.origin),
        rule: None,
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

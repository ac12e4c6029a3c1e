//! Gates: ports that let in only what is authorized there, as Linkerd's Servers do.

use super::matched;
use super::subject::Effect;
use crate::{
    Authorization, ConnectionFacts, Gate, NoTrace, ObjectRef, Policy, RequestFacts, Step, Trace, Verdict,
};

impl Authorization {
    /// The gate of a port: the one that names it, else the one for all others.
    pub(super) fn gate(&self, port: u16) -> Option<&Gate> {
        let named = self.gates.iter().find(|gate| gate.port == Some(port));
        named.or_else(|| self.gates.iter().find(|gate| gate.port.is_none()))
    }

    /// The gate, when it alone lets the request or connection in, for auditing.
    pub(super) fn audited_gate(
        &self,
        connection: &ConnectionFacts<'_>,
        request: Option<&RequestFacts<'_>>,
    ) -> Option<&ObjectRef> {
        let gate = self.gate(connection.port).filter(|gate| gate.audit)?;
        let authorized = gate.authorized(connection, request, &mut NoTrace);
        authorized.is_none().then_some(&gate.origin)
    }
}

impl Gate {
    /// What lets the request or connection in: a policy, or the gate itself when it only audits. `None` refuses.
    pub(super) fn lets_in<'a>(
        &'a self,
        connection: &ConnectionFacts<'_>,
        request: Option<&RequestFacts<'_>>,
        trace: &mut impl Trace,
    ) -> Option<&'a ObjectRef> {
        if let Some(policy) = self.authorized(connection, request, trace) {
            return Some(&policy.origin);
        }
        trace.note(|| {
            let (verdict, detail) = match self.audit {
                true => (
                    Verdict::Matched,
                    "nothing authorizes it; it is let in and audited",
                ),
                false => (Verdict::Refused, "nothing authorizes it on this port"),
            };
            Step::new(self.origin.to_string(), verdict, detail)
        });
        self.audit.then_some(&self.origin)
    }

    fn authorized<'a>(
        &'a self,
        connection: &ConnectionFacts<'_>,
        request: Option<&RequestFacts<'_>>,
        trace: &mut impl Trace,
    ) -> Option<&'a Policy> {
        let mut by = |policies: &'a [Policy]| {
            matched(policies, Effect::Allow, connection, request, trace).map(|(policy, _)| policy)
        };
        if let Some(policy) = by(&self.allow) {
            return Some(policy);
        }
        let request = request?;
        let route = self.routes.iter().find(|route| route.matches.matches(request))?;
        by(&route.allow)
    }
}

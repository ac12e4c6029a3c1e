//! Gates: ports that let in only what is authorized there, as Linkerd's Servers do.

use super::matched;
use super::subject::Effect;
use crate::path::{lenient_path, normal_path};
use crate::{
    Authorization, ConnectionFacts, Gate, GateRoute, NoTrace, ObjectRef, Policy, RequestFacts, Step, Trace,
    Verdict,
};

/// What a gate makes of a request or connection.
#[derive(Clone, Copy)]
enum Passage<'a> {
    /// This lets it in.
    By(&'a Policy),
    /// Nothing does.
    Unauthorized,
    /// The port has routes, and none is for the request.
    NoRoute,
}

impl Authorization {
    /// The gate, when it alone lets the request or connection in, for auditing.
    pub(super) fn audited_gate(
        &self,
        connection: &ConnectionFacts<'_>,
        request: Option<&RequestFacts<'_>>,
    ) -> Option<&ObjectRef> {
        let gate = self.gate_of(Some(connection.port)).filter(|gate| gate.audit)?;
        let passage = gate.passage(connection, request, &mut NoTrace);
        matches!(passage, Passage::Unauthorized).then_some(&gate.origin)
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
        let passage = self.passage(connection, request, trace);
        if let Passage::By(policy) = passage {
            return Some(&policy.origin);
        }
        let audited = self.audit && matches!(passage, Passage::Unauthorized);
        trace.note(|| {
            let (verdict, detail) = match (audited, passage) {
                (true, _) => (
                    Verdict::Matched,
                    "nothing authorizes it; it is let in and audited",
                ),
                (_, Passage::NoRoute) => (Verdict::Refused, "no route of this port is for it"),
                _ => (Verdict::Refused, "nothing authorizes it on this port"),
            };
            Step::new(self.origin.to_string(), verdict, detail)
        });
        audited.then_some(&self.origin)
    }

    fn passage<'a>(
        &'a self,
        connection: &ConnectionFacts<'_>,
        request: Option<&RequestFacts<'_>>,
        trace: &mut impl Trace,
    ) -> Passage<'a> {
        let by = |policies: &'a [Policy], trace: &mut _| {
            matched(policies, Effect::Allow, connection, request, trace).map(|(policy, _)| policy)
        };
        let Some(request) = request.filter(|_| !self.routes.is_empty()) else {
            return by(&self.allow, trace).map_or(Passage::Unauthorized, Passage::By);
        };
        // Whichever way the application reads the path, the route of that path has to let it in.
        let (normal, lenient) = (normal_path(request.path), lenient_path(request.path));
        let Some(route) = self.route(request, &normal) else {
            return Passage::NoRoute;
        };
        let Some(also) = self.route(request, &lenient) else {
            return Passage::NoRoute;
        };
        if let Some(policy) = by(&self.allow, trace) {
            return Passage::By(policy);
        }
        let own = by(&route.allow, trace);
        let both = own.filter(|_| std::ptr::eq(route, also) || by(&also.allow, trace).is_some());
        both.map_or(Passage::Unauthorized, Passage::By)
    }

    /// The first route for a request, were this its path.
    fn route(&self, request: &RequestFacts<'_>, path: &str) -> Option<&GateRoute> {
        let request = RequestFacts { path, ..*request };
        self.routes.iter().find(|route| route.matches.matches(&request))
    }
}

//! Gates: ports that let in only what is authorized there, as Linkerd's Servers do.

use std::borrow::Cow;

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
        let readings = Readings::of(request);
        let Some(routes) = readings.routes(&self.routes) else {
            return Passage::NoRoute;
        };
        if let Some(policy) = by(&self.allow, trace) {
            return Passage::By(policy);
        }
        let mut found = None;
        for route in routes.iter().filter(|route| readings.may_be_for(route)) {
            match by(&route.allow, trace) {
                Some(policy) => found = Some(policy),
                None => return Passage::Unauthorized,
            }
        }
        found.map_or(Passage::Unauthorized, Passage::By)
    }
}

/// A request in the forms in which an application may read it. Whichever it is, the route of that form has to let it in.
struct Readings<'a> {
    request: &'a RequestFacts<'a>,
    normal: Cow<'a, str>,
    lenient: Cow<'a, str>,
}

impl<'a> Readings<'a> {
    fn of(request: &'a RequestFacts<'a>) -> Self {
        Self {
            request,
            normal: normal_path(request.path),
            lenient: lenient_path(request.path),
        }
    }

    fn at<'s>(&'s self, path: &'s str) -> RequestFacts<'s> {
        RequestFacts {
            path,
            ..*self.request
        }
    }

    /// The routes up to the one that takes the request in each form of its path; `None` when none takes one of them.
    fn routes<'r>(&self, routes: &'r [GateRoute]) -> Option<&'r [GateRoute]> {
        let first = |path| {
            let request = self.at(path);
            routes.iter().position(|route| route.matches.matches(&request))
        };
        let last = first(&self.normal)?.max(first(&self.lenient)?);
        routes.get(..=last)
    }

    fn may_be_for(&self, route: &GateRoute) -> bool {
        let may = |path| route.matches.may_match(&self.at(path));
        may(&self.normal) || (self.lenient != self.normal && may(&self.lenient))
    }
}

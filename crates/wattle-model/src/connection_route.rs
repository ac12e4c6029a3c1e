//! Routes of connections: by TLS server name and address, before any request (Gateway API TLSRoute and TCPRoute, Istio
//! `tls` and `tcp`).

use std::net::IpAddr;

use crate::matching::CallerLabel;
use crate::{
    Backend, CallerFacts, Destination, HostMatch, IpBlock, Reason, RuleRef, Step, Trace, Verdict,
    WeightedBackend,
};

/// One route, in order: the first that matches is taken.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectionRoute {
    /// Where it was written.
    pub origin: RuleRef,
    /// When it applies.
    pub matches: ConnectionMatch,
    /// Where connections go, by weight; none with weight above 0 refuses them.
    pub backends: Vec<WeightedBackend>,
}

/// All of these must hold; an empty one matches every connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionMatch {
    /// Server name of the ClientHello, any of them; empty is any connection, TLS or not.
    pub server_names: Vec<HostMatch>,
    /// Blocks of addresses that are dialled, any of them; empty is any.
    pub destinations: Vec<IpBlock>,
    /// Labels of the caller's workload, all of them.
    pub caller_labels: Vec<CallerLabel>,
}

/// What is known of a connection before it is carried.
#[derive(Clone, Copy, Debug)]
pub struct OutboundFacts<'a> {
    /// Server name of the ClientHello; `None` when there was none.
    pub server_name: Option<&'a str>,
    /// Address that was dialled.
    pub destination: IpAddr,
    /// Who dials.
    pub caller: CallerFacts<'a>,
}

/// Where a connection goes, and because of which route.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectionDecision<'a> {
    /// The route that matched; `None` when the destination has none.
    pub route: Option<&'a ConnectionRoute>,
    /// The backend and its index, or why there is none.
    pub backend: Result<(u32, &'a Backend), Reason>,
}

impl ConnectionMatch {
    /// Does everything hold?
    pub fn matches(&self, facts: &OutboundFacts<'_>) -> bool {
        let named = |wanted: &HostMatch| facts.server_name.is_some_and(|name| wanted.matches(name));
        (self.server_names.is_empty() || self.server_names.iter().any(named))
            && (self.destinations.is_empty()
                || self
                    .destinations
                    .iter()
                    .any(|block| block.contains(facts.destination)))
            && facts.caller.has_labels(&self.caller_labels)
    }
}

impl Destination {
    /// Decides about one opaque connection. `random` is uniform over all of `u64`.
    ///
    /// Without routes it goes to the default backend; with routes, one that matches none is refused.
    pub fn route_connection<'a>(
        &'a self,
        facts: &OutboundFacts<'_>,
        random: u64,
        trace: &mut impl Trace,
    ) -> ConnectionDecision<'a> {
        if self.connections.is_empty() {
            let backend = self.default_backend().ok_or(Reason::NoBackend);
            return ConnectionDecision { route: None, backend };
        }
        let found = self.connections.iter().find(|route| {
            let matched = route.matches.matches(facts);
            trace.note(|| route.step(matched, facts));
            matched
        });
        let backend = match found {
            None => Err(Reason::NoRoute),
            Some(route) => self.weighted(&route.backends, random).ok_or(Reason::NoBackend),
        };
        ConnectionDecision {
            route: found,
            backend: backend.map(|(_, index, backend)| (index, backend)),
        }
    }
}

impl ConnectionRoute {
    fn step(&self, matched: bool, facts: &OutboundFacts<'_>) -> Step {
        let names: Vec<_> = self
            .matches
            .server_names
            .iter()
            .map(ToString::to_string)
            .collect();
        let wanted = match names.is_empty() {
            true => "any server name".to_owned(),
            false => format!("server name {}", names.join(" or ")),
        };
        let found = facts.server_name.unwrap_or("none");
        let verdict = if matched {
            Verdict::Matched
        } else {
            Verdict::Skipped
        };
        Step::new(
            self.origin.to_string(),
            verdict,
            format!("wanted {wanted}, found {found}, dialled {}", facts.destination),
        )
    }
}

//! What of a rule depends on facts that a record does not hold, and the rule with and without it.
//!
//! A rule may hold if it holds without what is not known; it must hold if it holds without anything of it that is not
//! known. Between both nothing is said.

use wattle_model::{
    Attribute, Authorization, Condition, External, Gate, Inbound, Operation, Policy, PolicyRule, Source,
};

use crate::records::{Known, Record};

/// What is known of one record under the rules of one workload.
pub(super) struct Knowledge<'a> {
    record: &'a Record,
    /// Without rules for tokens nobody's token is looked at.
    tokens: bool,
}

/// Which way unknown parts count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// As met.
    Met,
    /// As not met.
    NotMet,
}

impl<'a> Knowledge<'a> {
    pub(super) fn of(record: &'a Record, inbound: &Inbound) -> Self {
        Self {
            record,
            tokens: !inbound.tokens.is_empty(),
        }
    }

    fn is_edge(&self) -> bool {
        self.record.known == Known::Edge
    }

    fn is_cut(&self) -> bool {
        self.record
            .facts
            .request
            .as_ref()
            .is_some_and(|request| request.cut)
    }

    fn attribute(&self, attribute: &Attribute) -> bool {
        match attribute {
            Attribute::RequestHeader(name) => self.header(name.as_str()),
            Attribute::RequestPrincipal | Attribute::RequestAudiences | Attribute::RequestPresenter => {
                self.token()
            }
            claim @ Attribute::RequestClaim(_) => self.claim(claim),
            Attribute::RemoteIp => self.remote(),
            Attribute::SourceIp
            | Attribute::DestinationIp
            | Attribute::DestinationPort
            | Attribute::ConnectionSni => !self.is_edge(),
            Attribute::SourceNamespace
            | Attribute::SourcePrincipal
            | Attribute::SourceServiceAccount
            | Attribute::SourceTrustDomain
            | Attribute::Unknown(_) => true,
        }
    }

    /// A kept value, or a name that was not among those of the request; a connection has none.
    fn header(&self, name: &str) -> bool {
        let Some(request) = &self.record.facts.request else {
            return !self.is_edge();
        };
        // A value that was left empty holds a secret.
        let kept = request
            .headers
            .get(name)
            .is_some_and(|values| values.iter().all(|value| !value.is_empty()));
        let absent = !request.header_names.iter().any(|known| known == name);
        self.record.known == Known::Kept && !request.cut && (kept || absent)
    }

    fn token(&self) -> bool {
        let request = self.record.facts.request.as_ref();
        let said = request.is_some_and(|request| request.token.is_some() && !request.cut);
        !self.tokens || said || self.is_connection()
    }

    fn claim(&self, claim: &Attribute) -> bool {
        let whole = self.record.facts.request.as_ref().filter(|request| !request.cut);
        let token = whole.and_then(|request| request.token.as_ref());
        let kept = token.is_some_and(|token| token.claims.contains_key(&claim.to_string()));
        !self.tokens || kept || self.is_connection()
    }

    /// Kept where a policy compared it.
    fn remote(&self) -> bool {
        let kept = self
            .record
            .facts
            .request
            .as_ref()
            .is_some_and(|request| request.remote_ip.is_some());
        kept || self.header("x-forwarded-for") || self.is_connection()
    }

    fn is_connection(&self) -> bool {
        self.record.facts.request.is_none() && !self.is_edge()
    }
}

/// The rules with unknown parts of what lets in and of what refuses counted as told; what they are is added to `on`.
pub(super) fn counted(
    exact: &Authorization,
    knowledge: &Knowledge<'_>,
    (letting_in, refusing): (Unknown, Unknown),
    on: &mut Vec<String>,
) -> Authorization {
    let mut of = |policies: &[Policy], unknown| changed(policies, knowledge, unknown, on);
    let gate = |gate: &Gate, of: &mut dyn FnMut(&[Policy], Unknown) -> Vec<Policy>| {
        let mut gate = gate.clone();
        gate.allow = of(&gate.allow, letting_in);
        for route in &mut gate.routes {
            route.allow = of(&route.allow, letting_in);
        }
        gate
    };
    Authorization {
        external: exact
            .external
            .iter()
            .map(|external| External {
                policies: of(&external.policies, Unknown::Met),
                ..external.clone()
            })
            .collect(),
        deny: of(&exact.deny, refusing),
        gates: exact.gates.iter().map(|one| gate(one, &mut of)).collect(),
        allow: of(&exact.allow, letting_in),
        audit: Vec::new(),
        dry_run: None,
    }
}

/// Routes of the port's gate that compare what no record holds.
pub(super) fn unknown_routes(exact: &Authorization, record: &Record) -> Vec<String> {
    let port = record.port();
    let concerned = exact
        .gates
        .iter()
        .filter(|gate| port.is_none() || exact.gate_of(port) == Some(gate));
    let routes = concerned.flat_map(|gate| gate.routes.iter().map(move |route| (gate, route)));
    let unknown = routes.filter(|(_, route)| {
        let compares = !route.matches.headers.is_empty() || !route.matches.query.is_empty();
        (compares && record.facts.request.is_some()) || record.known == Known::Edge
    });
    unknown
        .map(|(gate, _)| format!("routes of {}", gate.origin))
        .collect()
}

fn changed(
    policies: &[Policy],
    knowledge: &Knowledge<'_>,
    unknown: Unknown,
    on: &mut Vec<String>,
) -> Vec<Policy> {
    let policy = |policy: &Policy| Policy {
        origin: policy.origin.clone(),
        rules: policy
            .rules
            .iter()
            .filter_map(|one| rule(one, knowledge, unknown, on))
            .collect(),
    };
    policies.iter().map(policy).collect()
}

/// The rule as it is when what is not known counts as `unknown`; `None` when it cannot match then.
fn rule(
    rule: &PolicyRule,
    knowledge: &Knowledge<'_>,
    unknown: Unknown,
    on: &mut Vec<String>,
) -> Option<PolicyRule> {
    let from = alternatives(&rule.from, |one| source(one, knowledge, on), unknown)?;
    let to = alternatives(&rule.to, |one| operation(one, knowledge, on), unknown)?;
    let mut when = Vec::new();
    for condition in &rule.when {
        match knowledge.attribute(&condition.attribute) {
            true => when.push(condition.clone()),
            false => {
                note(on, said(condition));
                if unknown == Unknown::NotMet {
                    return None;
                }
            }
        }
    }
    Some(PolicyRule {
        from,
        to,
        when,
        unsupported: rule.unsupported.clone(),
    })
}

/// Each alternative without what is not known of it; those of which something is not, only where that counts as met. `None`
/// when there were some and none is left, which must not become any.
fn alternatives<T: Clone>(
    all: &[T],
    mut without: impl FnMut(&T) -> Option<T>,
    unknown: Unknown,
) -> Option<Vec<T>> {
    let left: Vec<T> = all
        .iter()
        .filter_map(|one| match without(one) {
            None => Some(one.clone()),
            Some(rest) => (unknown == Unknown::Met).then_some(rest),
        })
        .collect();
    (all.is_empty() || !left.is_empty()).then_some(left)
}

/// The source without what is not known; `None` when all of it is.
fn source(source: &Source, knowledge: &Knowledge<'_>, on: &mut Vec<String>) -> Option<Source> {
    let mut rest = source.clone();
    let mut changed = false;
    let tokens = !source.request_principals.is_empty() || !source.not_request_principals.is_empty();
    if tokens && !knowledge.token() {
        (rest.request_principals, rest.not_request_principals) = (Vec::new(), Vec::new());
        note(on, "requestPrincipals".to_owned());
        changed = true;
    }
    let remote = !source.remote_ip_blocks.is_empty() || !source.not_remote_ip_blocks.is_empty();
    if remote && !knowledge.remote() {
        (rest.remote_ip_blocks, rest.not_remote_ip_blocks) = (Vec::new(), Vec::new());
        note(on, "remoteIpBlocks".to_owned());
        changed = true;
    }
    let peer = !source.ip_blocks.is_empty() || !source.not_ip_blocks.is_empty();
    if peer && knowledge.is_edge() {
        (rest.ip_blocks, rest.not_ip_blocks) = (Vec::new(), Vec::new());
        note(on, "ipBlocks".to_owned());
        changed = true;
    }
    changed.then_some(rest)
}

/// Of an edge no operation is known, nor one that may have been cut; of everything else each is.
fn operation(operation: &Operation, knowledge: &Knowledge<'_>, on: &mut Vec<String>) -> Option<Operation> {
    let plain = *operation == Operation::default();
    let unknown = knowledge.is_edge() || knowledge.is_cut();
    (unknown && !plain).then(|| {
        note(on, "the operation".to_owned());
        Operation::default()
    })
}

fn said(condition: &Condition) -> String {
    condition.attribute.to_string()
}

fn note(on: &mut Vec<String>, what: String) {
    if !on.contains(&what) {
        on.push(what);
    }
}

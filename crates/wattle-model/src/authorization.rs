//! Who may do what: Istio's `AuthorizationPolicy` and Linkerd's `Server` with its authorizations, compiled.

use std::sync::Arc;

use crate::{Attribute, ExternalAuthorizer, IpBlock, ObjectRef, RequestMatch, RuleRef, TextMatch};

/// The policies that select one workload, in the order in which they are asked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Authorization {
    /// Services that are asked about what their policies match; one that refuses has the last word.
    pub external: Vec<External>,
    /// A request that one of these matches is refused.
    pub deny: Vec<Policy>,
    /// Ports that let in only what is authorized there.
    pub gates: Vec<Gate>,
    /// When there is any, a request that none of them matches is refused.
    pub allow: Vec<Policy>,
    /// A request that one of these matches is marked in the access log; it decides nothing.
    pub audit: Vec<Policy>,
    /// Policies that are tried only: what they would decide is recorded (Istio annotation `istio.io/dry-run`).
    pub dry_run: Option<Arc<Authorization>>,
}

impl Authorization {
    /// Every policy that decides, in no particular order; not those that are tried only.
    pub fn policies(&self) -> impl Iterator<Item = &Policy> {
        let asking = self.external.iter().flat_map(|external| &external.policies);
        let gates = self.gates.iter();
        let authorizing = gates.flat_map(|gate| {
            let by_route = gate.routes.iter().flat_map(|route| &route.allow);
            gate.allow.iter().chain(by_route)
        });
        asking.chain(&self.deny).chain(authorizing).chain(&self.allow)
    }

    /// Does a policy, deciding or not, compare the address of the original client?
    pub fn asks_remote_ip(&self) -> bool {
        let asks = |rule: &PolicyRule| {
            let by_source = |source: &Source| {
                !source.remote_ip_blocks.is_empty() || !source.not_remote_ip_blocks.is_empty()
            };
            let by_condition = |condition: &Condition| condition.attribute == Attribute::RemoteIp;
            rule.from.iter().any(by_source) || rule.when.iter().any(by_condition)
        };
        let mut rules = self
            .policies()
            .chain(&self.audit)
            .flat_map(|policy| &policy.rules);
        rules.any(asks) || self.dry_run.as_deref().is_some_and(Self::asks_remote_ip)
    }
}

/// A service that is asked, and about what.
#[derive(Clone, Debug, PartialEq)]
pub struct External {
    /// The service.
    pub authorizer: Arc<ExternalAuthorizer>,
    /// It is asked when one of these matches (action CUSTOM).
    pub policies: Vec<Policy>,
}

/// A port that lets in only what is authorized there (Linkerd `Server`, or the default policy of a workload).
#[derive(Clone, Debug, PartialEq)]
pub struct Gate {
    /// The Server, or the object whose annotation sets the default policy.
    pub origin: ObjectRef,
    /// Port of the workload; `None` is every port that no other gate names.
    pub port: Option<u16>,
    /// What is let in on any route.
    pub allow: Vec<Policy>,
    /// Routes of the port, in order of precedence; the first that matches may let in more.
    pub routes: Vec<GateRoute>,
    /// What nothing lets in is let in all the same, and marked (Linkerd policy `audit`).
    pub audit: bool,
}

/// Requests of a gate that more is let in for.
#[derive(Clone, Debug, PartialEq)]
pub struct GateRoute {
    /// Where it was written.
    pub origin: RuleRef,
    /// When it applies.
    pub matches: RequestMatch,
    /// What it lets in besides.
    pub allow: Vec<Policy>,
}

/// One policy object.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Where it was written.
    pub origin: ObjectRef,
    /// Matches when any rule does; without rules it matches nothing.
    pub rules: Vec<PolicyRule>,
}

/// One rule: some `from` and some `to` and every `when`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyRule {
    /// Any of these sources; empty is any source.
    pub from: Vec<Source>,
    /// Any of these operations; empty is any operation.
    pub to: Vec<Operation>,
    /// All of these conditions.
    pub when: Vec<Condition>,
    /// Names a field that this version cannot evaluate. It fails closed: an ALLOW rule with one matches nothing; in a DENY
    /// rule it counts as satisfied, and the rest of the rule still has to hold.
    pub unsupported: Option<Box<str>>,
}

/// All that is present must hold; within a list any entry suffices; `not_` lists must have no match.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Source {
    /// `TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT`.
    pub principals: Vec<TextMatch>,
    /// None of these principals.
    pub not_principals: Vec<TextMatch>,
    /// Namespace of the peer's identity.
    pub namespaces: Vec<TextMatch>,
    /// None of these namespaces.
    pub not_namespaces: Vec<TextMatch>,
    /// `NAMESPACE/ACCOUNT` of the peer's identity.
    pub service_accounts: Vec<TextMatch>,
    /// None of these accounts.
    pub not_service_accounts: Vec<TextMatch>,
    /// First part of the principal.
    pub trust_domains: Vec<TextMatch>,
    /// None of these trust domains.
    pub not_trust_domains: Vec<TextMatch>,
    /// `ISSUER/SUBJECT` of a verified token (HTTP only).
    pub request_principals: Vec<TextMatch>,
    /// None of these principals of a token.
    pub not_request_principals: Vec<TextMatch>,
    /// Address of the peer.
    pub ip_blocks: Vec<IpBlock>,
    /// None of these address ranges.
    pub not_ip_blocks: Vec<IpBlock>,
    /// Address of the original client.
    pub remote_ip_blocks: Vec<IpBlock>,
    /// None of these address ranges of the original client.
    pub not_remote_ip_blocks: Vec<IpBlock>,
}

/// All that is present must hold; within a list any entry suffices; `not_` lists must have no match.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Operation {
    /// Host of the request (HTTP only; compared without case and port).
    pub hosts: Vec<TextMatch>,
    /// None of these hosts.
    pub not_hosts: Vec<TextMatch>,
    /// Port of the workload.
    pub ports: Vec<u16>,
    /// None of these ports.
    pub not_ports: Vec<u16>,
    /// Method (HTTP only).
    pub methods: Vec<TextMatch>,
    /// None of these methods.
    pub not_methods: Vec<TextMatch>,
    /// Normalised path without query (HTTP only).
    pub paths: Vec<TextMatch>,
    /// None of these paths.
    pub not_paths: Vec<TextMatch>,
}

/// An attribute that must have one of some values.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// What is compared.
    pub attribute: Attribute,
    /// Any of these texts, unless the attribute is an address.
    pub values: Vec<TextMatch>,
    /// None of these texts.
    pub not_values: Vec<TextMatch>,
    /// Any of these ranges, if the attribute is an address.
    pub blocks: Vec<IpBlock>,
    /// None of these ranges.
    pub not_blocks: Vec<IpBlock>,
}

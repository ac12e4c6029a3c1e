//! Who may do what, as Envoy's RBAC filters: one that denies, one for the gate of the port, then one that allows.
//!
//! What cannot be said fails closed, as in the model: in an ALLOW rule it holds never, in a DENY rule always.

mod clause;
mod condition;
mod gate;
mod operation;
mod plain;
mod source;
mod token;

use std::collections::BTreeMap;

use envoy_types::pb::envoy::config::listener::v3::Filter;
use envoy_types::pb::envoy::config::rbac::v3 as xds;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::{
    HttpFilter, http_filter,
};
use envoy_types::pb::google::protobuf::Any;
use prost::Message as _;
use wattle_model::{Authorization, Policy, PolicyRule, Source, TextMatch};

use clause::{Held, all, any};

use crate::notes::Notes;

/// What is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// A request of a peer of the mesh.
    Mesh,
    /// A request of anybody else.
    Anybody,
    /// An opaque connection.
    Connection,
}

/// In which direction a doubt is resolved, and what there is to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Subject {
    denies: bool,
    of: Of,
}

impl Subject {
    fn is_request(self) -> bool {
        self.of != Of::Connection
    }

    /// What cannot be said, where it would have to hold.
    fn doubt<T>(self) -> Held<T> {
        if self.denies { Held::Always } else { Held::Never }
    }

    /// What cannot be said, where it must not hold.
    fn doubted<T>(self) -> Held<T> {
        if self.denies { Held::Never } else { Held::Always }
    }

    /// A comparison that cannot be said is a doubt.
    fn known<T>(self, said: Option<T>, unwanted: bool) -> Held<T> {
        match (said, unwanted) {
            (Some(said), _) => Held::If(said),
            (None, false) => self.doubt(),
            (None, true) => self.doubted(),
        }
    }
}

/// The policies of a workload, for one of its ports.
pub(crate) struct Policies<'a> {
    authorization: &'a Authorization,
    of_port: Option<&'a wattle_model::Gate>,
}

/// Rules that can match, by the place where they were written.
#[derive(Default)]
struct Written(BTreeMap<String, xds::Policy>);

/// Message `RBAC` of `envoy.config.rbac.v3`, with its policies in order.
#[derive(Clone, PartialEq, prost::Message)]
struct Rules {
    #[prost(int32, tag = "1")]
    action: i32,
    #[prost(btree_map = "string, message", tag = "2")]
    policies: BTreeMap<String, xds::Policy>,
}

/// The field `rules` of the HTTP filter.
#[derive(Clone, PartialEq, prost::Message)]
struct HttpConfig {
    #[prost(message, optional, tag = "1")]
    rules: Option<Rules>,
}

/// The fields of the network filter that are used.
#[derive(Clone, PartialEq, prost::Message)]
struct NetworkConfig {
    #[prost(message, optional, tag = "1")]
    rules: Option<Rules>,
    #[prost(string, tag = "3")]
    stat_prefix: String,
}

const HTTP_TYPE: &str = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC";
const NETWORK_TYPE: &str = "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC";

impl<'a> Policies<'a> {
    /// Those of a port, or of all that are not declared; what of them cannot be said is written down.
    pub(crate) fn new(authorization: &'a Authorization, port: Option<u16>, notes: &mut Notes) -> Self {
        let of_port = authorization.gate_of(port);
        if let Some(gate) = of_port {
            gate::note(gate, notes);
        }
        note_without_effect(authorization, notes);
        let authorizing = of_port.into_iter().flat_map(wattle_model::Gate::policies);
        for policy in denying(authorization)
            .chain(authorizing)
            .chain(&authorization.allow)
        {
            for rule in policy.rules.iter().filter(|rule| is_doubtful(rule)) {
                let field = rule.unsupported.as_deref().unwrap_or("an expression or a value");
                notes.at(Some(&policy.origin), &"inbound".into());
                notes.gap(format!(
                    "{field} cannot be evaluated: it holds never in an ALLOW rule and always in a DENY rule"
                ));
            }
        }
        Self {
            authorization,
            of_port,
        }
    }

    /// Filters of requests; with whether their peer is of the mesh.
    pub(crate) fn requests(&self, meshed: bool) -> Vec<HttpFilter> {
        self.rules(if meshed { Of::Mesh } else { Of::Anybody })
            .into_iter()
            .map(|(name, rules)| of_requests(&format!("wattle.authorization.{name}"), rules))
            .collect()
    }

    /// Filters of opaque connections.
    pub(crate) fn connections(&self) -> Vec<Filter> {
        let filter = |name: &str, rules| {
            let config = NetworkConfig {
                rules: Some(rules),
                stat_prefix: format!("{name}."),
            };
            Filter {
                name: format!("wattle.authorization.{name}"),
                config_type: Some(
                    envoy_types::pb::envoy::config::listener::v3::filter::ConfigType::TypedConfig(Any {
                        type_url: NETWORK_TYPE.to_owned(),
                        value: config.encode_to_vec(),
                    }),
                ),
            }
        };
        self.rules(Of::Connection)
            .into_iter()
            .map(|(name, rules)| filter(name, rules))
            .collect()
    }

    /// Does a policy compare paths?
    pub(crate) fn asks_for_paths(&self) -> bool {
        if self.of_port.is_some_and(gate::asks_for_paths) {
            return true;
        }
        let both = denying(self.authorization).chain(&self.authorization.allow);
        let mut operations = both.flat_map(|policy| &policy.rules).flat_map(|rule| &rule.to);
        operations.any(|operation| !operation.paths.is_empty() || !operation.not_paths.is_empty())
    }

    fn rules(&self, of: Of) -> Vec<(&'static str, Rules)> {
        let allows = Subject { denies: false, of };
        let mut rules = Vec::new();
        let mut deny = Written::default();
        deny.policies(denying(self.authorization), Subject { denies: true, of });
        if !deny.0.is_empty() {
            rules.push(("deny", deny.with(xds::rbac::Action::Deny)));
        }
        if let Some(gate) = self.of_port.and_then(|gate| gate::rules(gate, allows)) {
            rules.push(("gate", gate.with(xds::rbac::Action::Allow)));
        }
        // ALLOW policies that match nothing still refuse everything else.
        if !self.authorization.allow.is_empty() {
            let mut allow = Written::default();
            allow.policies(self.authorization.allow.iter(), allows);
            rules.push(("allow", allow.with(xds::rbac::Action::Allow)));
        }
        rules
    }
}

/// A filter of requests that lets in whoever has a name of this trust domain, for those who look at the chain alone.
pub(crate) fn members(trust_domain: &str) -> HttpFilter {
    let source = Source {
        trust_domains: vec![TextMatch::Exact(trust_domain.into())],
        ..Source::default()
    };
    let rule = PolicyRule {
        from: vec![source],
        ..PolicyRule::default()
    };
    let subject = Subject {
        denies: false,
        of: Of::Mesh,
    };
    let mut allow = Written::default();
    allow.rule("members".to_owned(), &rule, subject, Held::Always);
    of_requests("wattle.authentication", allow.with(xds::rbac::Action::Allow))
}

fn of_requests(name: &str, rules: Rules) -> HttpFilter {
    HttpFilter {
        name: name.to_owned(),
        config_type: Some(http_filter::ConfigType::TypedConfig(Any {
            type_url: HTTP_TYPE.to_owned(),
            value: HttpConfig { rules: Some(rules) }.encode_to_vec(),
        })),
        ..Default::default()
    }
}

/// Writes down the policies that an Envoy does not do, and what becomes of what they match.
fn note_without_effect(authorization: &Authorization, notes: &mut Notes) {
    let mut note = |policies: &mut dyn Iterator<Item = &Policy>, reason: &str| {
        for policy in policies {
            notes.at(Some(&policy.origin), &"inbound".into());
            notes.gap(reason);
        }
    };
    for external in &authorization.external {
        let name = &external.authorizer.name;
        let reason = format!("{name} is not asked by an Envoy: what the policy matches is refused");
        note(&mut external.policies.iter(), &reason);
    }
    let reason = "an Envoy does not mark what the policy matches";
    note(&mut authorization.audit.iter(), reason);
    if let Some(tried) = authorization.dry_run.as_deref() {
        let reason = "an Envoy does not record what a policy under trial would have decided";
        note(&mut tried.policies(), reason);
    }
}

/// What refuses; with what an authorizer would be asked about, whose answer nobody has.
fn denying(authorization: &Authorization) -> impl Iterator<Item = &Policy> {
    let asking = authorization
        .external
        .iter()
        .flat_map(|external| &external.policies);
    asking.chain(&authorization.deny)
}

fn is_doubtful(rule: &PolicyRule) -> bool {
    rule.unsupported.is_some()
        || rule.from.iter().any(source::is_doubtful)
        || rule.to.iter().any(operation::is_doubtful)
        || rule.when.iter().any(condition::is_doubtful)
}

impl Written {
    fn with(self, action: xds::rbac::Action) -> Rules {
        Rules {
            action: action.into(),
            policies: self.0,
        }
    }

    fn policies<'a>(&mut self, policies: impl Iterator<Item = &'a Policy>, subject: Subject) {
        policies.for_each(|policy| self.policy(policy, subject, &Held::Always));
    }

    /// The rules of a policy, where this holds too.
    fn policy(&mut self, policy: &Policy, subject: Subject, also: &Held<xds::Permission>) {
        let origin = &policy.origin;
        for (index, rule) in policy.rules.iter().enumerate() {
            let place = format!("{}/{} rule {index:04}", origin.namespace, origin.name);
            self.rule(place, rule, subject, also.clone());
        }
    }

    fn rule(&mut self, place: String, rule: &PolicyRule, subject: Subject, also: Held<xds::Permission>) {
        if let Some(made) = made(rule, subject, also) {
            self.0.insert(format!("{:04} {place}", self.0.len()), made);
        }
    }
}

/// A rule, where this holds too; `None` when it matches nothing.
fn made(rule: &PolicyRule, subject: Subject, also: Held<xds::Permission>) -> Option<xds::Policy> {
    if !subject.denies && rule.unsupported.is_some() {
        return None;
    }
    let mut principals: Vec<Held<xds::Principal>> = Vec::new();
    let mut permissions: Vec<Held<xds::Permission>> = vec![also];
    if !rule.from.is_empty() {
        principals.push(any(rule
            .from
            .iter()
            .map(|from| source::held(from, subject))
            .collect()));
    }
    if !rule.to.is_empty() {
        permissions.push(any(rule
            .to
            .iter()
            .map(|to| operation::held(to, subject))
            .collect()));
    }
    for when in &rule.when {
        match condition::held(when, subject) {
            condition::Side::Source(held) => principals.push(held),
            condition::Side::Operation(held) => permissions.push(held),
        }
    }
    Some(xds::Policy {
        principals: vec![all(principals).whole()?],
        permissions: vec![all(permissions).whole()?],
        ..Default::default()
    })
}

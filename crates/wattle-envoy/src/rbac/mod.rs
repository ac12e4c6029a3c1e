//! Who may do what, as Envoy's RBAC filters: one that denies, then one that allows.
//!
//! What cannot be said fails closed, as in the model: in an ALLOW rule it holds never, in a DENY rule always.

mod clause;
mod condition;
mod operation;
mod source;
mod token;

use std::collections::BTreeMap;

use envoy_types::pb::envoy::config::listener::v3::Filter;
use envoy_types::pb::envoy::config::rbac::v3 as xds;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter;
use envoy_types::pb::google::protobuf::Any;
use prost::Message as _;
use wattle_model::{Authorization, Policy, PolicyRule};

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

/// The policies of a workload.
pub(crate) struct Gate<'a> {
    authorization: &'a Authorization,
}

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

impl<'a> Gate<'a> {
    /// The gate that these policies make; what of them cannot be said is written down.
    pub(crate) fn new(authorization: &'a Authorization, notes: &mut Notes) -> Self {
        for external in &authorization.external {
            for policy in &external.policies {
                notes.at(Some(&policy.origin), &"inbound".into());
                notes.gap(format!(
                    "{} is not asked by an Envoy: what the policy matches is refused",
                    external.authorizer.name
                ));
            }
        }
        for policy in denying(authorization).chain(&authorization.allow) {
            for rule in policy.rules.iter().filter(|rule| is_doubtful(rule)) {
                let field = rule.unsupported.as_deref().unwrap_or("an expression or a value");
                notes.at(Some(&policy.origin), &"inbound".into());
                notes.gap(format!(
                    "{field} cannot be evaluated: it holds never in an ALLOW rule and always in a DENY rule"
                ));
            }
        }
        Self { authorization }
    }

    /// Filters of requests; with whether their peer is of the mesh.
    pub(crate) fn requests(&self, meshed: bool) -> Vec<HttpFilter> {
        let filter = |name: &str, rules| {
            HttpFilter {
            name: format!("wattle.authorization.{name}"),
            config_type: Some(
                envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3::http_filter::ConfigType::TypedConfig(
                    Any {
                        type_url: HTTP_TYPE.to_owned(),
                        value: HttpConfig { rules: Some(rules) }.encode_to_vec(),
                    },
                ),
            ),
            ..Default::default()
        }
        };
        self.rules(if meshed { Of::Mesh } else { Of::Anybody })
            .into_iter()
            .map(|(name, rules)| filter(name, rules))
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
        let both = denying(self.authorization).chain(&self.authorization.allow);
        let mut operations = both.flat_map(|policy| &policy.rules).flat_map(|rule| &rule.to);
        operations.any(|operation| !operation.paths.is_empty() || !operation.not_paths.is_empty())
    }

    fn rules(&self, of: Of) -> Vec<(&'static str, Rules)> {
        let mut rules = Vec::new();
        let deny = written(denying(self.authorization), Subject { denies: true, of });
        if !deny.is_empty() {
            let action = xds::rbac::Action::Deny.into();
            rules.push((
                "deny",
                Rules {
                    action,
                    policies: deny,
                },
            ));
        }
        // ALLOW policies that match nothing still refuse everything else.
        if !self.authorization.allow.is_empty() {
            let action = xds::rbac::Action::Allow.into();
            let policies = written(self.authorization.allow.iter(), Subject { denies: false, of });
            rules.push(("allow", Rules { action, policies }));
        }
        rules
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

/// Every rule that can match, by the place where it was written.
fn written<'a>(
    policies: impl Iterator<Item = &'a Policy>,
    subject: Subject,
) -> BTreeMap<String, xds::Policy> {
    let mut written = BTreeMap::new();
    for (number, policy) in policies.enumerate() {
        for (index, rule) in policy.rules.iter().enumerate() {
            if let Some(made) = made(rule, subject) {
                let origin = &policy.origin;
                let name = format!("{number:04} {}/{} rule {index:04}", origin.namespace, origin.name);
                written.insert(name, made);
            }
        }
    }
    written
}

/// A rule; `None` when it matches nothing.
fn made(rule: &PolicyRule, subject: Subject) -> Option<xds::Policy> {
    if !subject.denies && rule.unsupported.is_some() {
        return None;
    }
    let mut principals: Vec<Held<xds::Principal>> = Vec::new();
    let mut permissions: Vec<Held<xds::Permission>> = Vec::new();
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

//! Istio AuthorizationPolicy: who may do what. Conditions under `when` are in [`crate::condition`].
//!
//! Nothing is dropped here, not even what this mesh cannot evaluate yet: what to do about it is a
//! decision of the compiler, which fails closed. An empty or null list where Istio would read
//! "anything" is refused, since a template that rendered nothing must not open a door.

use std::fmt;

use ipnet::IpNet;
use serde::Serialize;

use crate::condition::Condition;
use crate::matcher::{PathPattern, TextMatch, Values};
use crate::peer::Selector;
use crate::scalar::Port;

mod read;

pub(crate) use read::{authorization_policy, some_of, target_ref, text_port};

/// `spec` of an AuthorizationPolicy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthorizationPolicy {
    /// The workloads it is for; none means all of the namespace, or of the mesh in the root namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<Selector>,
    /// Objects it is for instead of workloads; never together with `selector`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub target_refs: Vec<TargetRef>,
    /// What happens to a request that a rule matches; default ALLOW.
    pub action: Action,
    /// Name of the external provider of a CUSTOM policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<Provider>,
    /// The rules, any of which may match; none never matches, so ALLOW without rules allows nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
}

/// What happens to a request that a rule matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Action {
    /// It may pass; while any ALLOW policy applies, what none matches is refused.
    #[default]
    Allow,
    /// It is refused.
    Deny,
    /// It is marked for auditing.
    Audit,
    /// An external provider decides.
    Custom,
}

/// An external provider, by the name it has in the mesh config.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Provider {
    /// The name.
    pub name: String,
}

/// An object a policy is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TargetRef {
    /// API group; empty for the core group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Name, in the policy's namespace.
    pub name: String,
}

/// One rule: `from`, `to` and `when` must all match; an absent one matches anything.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Rule {
    /// Sources, any of which may match; empty means any source.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "wrap_sources")]
    pub from: Vec<Source>,
    /// Operations, any of which may match; empty means any operation.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "wrap_operations")]
    pub to: Vec<Operation>,
    /// Conditions that must all match.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub when: Vec<Condition>,
}

/// Who sends a request; every field that is there must match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Source {
    /// Peer identities as `trust-domain/ns/NAMESPACE/sa/ACCOUNT`.
    pub principals: Values<TextMatch>,
    /// Token identities as `issuer/subject`.
    pub request_principals: Values<TextMatch>,
    /// Namespaces of the peer identity.
    pub namespaces: Values<TextMatch>,
    /// Service accounts of the peer identity.
    pub service_accounts: Values<Account>,
    /// Addresses of the connection's peer.
    pub ip_blocks: Values<IpNet>,
    /// Addresses of the original client, as trusted proxies in between tell.
    pub remote_ip_blocks: Values<IpNet>,
    /// Trust domains of the peer identity.
    pub trust_domains: Values<TextMatch>,
}

/// A service account in a policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Account {
    /// Namespace; none means the policy's.
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

/// What a request does; every field that is there must match.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Operation {
    /// Host or `:authority`, without regard to case.
    pub hosts: Values<TextMatch>,
    /// Workload ports.
    pub ports: Values<Port>,
    /// Methods; for gRPC always POST.
    pub methods: Values<TextMatch>,
    /// Paths; for gRPC `/package.service/method`.
    pub paths: Values<PathPattern>,
}

fn wrap_sources<S: serde::Serializer>(sources: &[Source], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(
        sources
            .iter()
            .map(|source| std::collections::BTreeMap::from([("source", source)])),
    )
}

fn wrap_operations<S: serde::Serializer>(operations: &[Operation], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(
        operations
            .iter()
            .map(|operation| std::collections::BTreeMap::from([("operation", operation)])),
    )
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl Serialize for Source {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serde::Serializer::serialize_map(serializer, None)?;
        self.principals.write(&mut map, "principals", "notPrincipals")?;
        self.request_principals
            .write(&mut map, "requestPrincipals", "notRequestPrincipals")?;
        self.namespaces.write(&mut map, "namespaces", "notNamespaces")?;
        self.service_accounts
            .write(&mut map, "serviceAccounts", "notServiceAccounts")?;
        self.ip_blocks.write(&mut map, "ipBlocks", "notIpBlocks")?;
        self.remote_ip_blocks
            .write(&mut map, "remoteIpBlocks", "notRemoteIpBlocks")?;
        self.trust_domains
            .write(&mut map, "trustDomains", "notTrustDomains")?;
        serde::ser::SerializeMap::end(map)
    }
}

impl Serialize for Operation {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serde::Serializer::serialize_map(serializer, None)?;
        self.hosts.write(&mut map, "hosts", "notHosts")?;
        self.ports.write(&mut map, "ports", "notPorts")?;
        self.methods.write(&mut map, "methods", "notMethods")?;
        self.paths.write(&mut map, "paths", "notPaths")?;
        serde::ser::SerializeMap::end(map)
    }
}

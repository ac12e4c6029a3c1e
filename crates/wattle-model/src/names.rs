//! The names that the workloads of a namespace can resolve.

use std::net::IpAddr;
use std::sync::Arc;

/// What a workload's resolver answers by itself; every other name is asked of the resolvers outside.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Names {
    /// Namespace of the workloads that ask; short forms depend on it.
    pub namespace: Arc<str>,
    /// Hosts by name, each once; no short form is another host's name or short form.
    pub hosts: Vec<NamedHost>,
}

/// A host that has a name.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedHost {
    /// Full name in small letters, without the final dot; `*.` and a suffix stands for every name below it.
    pub name: Box<str>,
    /// Short forms that hold in the namespace, such as `web` and `web.shop`; none for a wildcard.
    pub aliases: Vec<Box<str>>,
    /// Where the name leads.
    pub target: NameTarget,
}

/// Where a name leads.
#[derive(Clone, Debug, PartialEq)]
pub enum NameTarget {
    /// Addresses of both families; none means that the name exists and has no address.
    Addresses(Vec<IpAddr>),
    /// Another name (Kubernetes Service `type: ExternalName`), in small letters and without the final dot.
    Alias(Box<str>),
}

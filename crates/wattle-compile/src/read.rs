//! What a query can read. A result is valid until one of the things it read changes.

use std::net::IpAddr;
use std::sync::Arc;

use wattle_api::Kind;

use crate::Name;

/// One thing a query read, whether it was there or not.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Read {
    /// The Service of this name.
    Service(Name),
    /// Services of a namespace whose selector starts with a label and its value.
    Selector(Arc<str>, Box<str>, Box<str>),
    /// Which Service or workload has an address.
    Address(IpAddr),
    /// Routes of any kind that name this Service as their parent.
    RoutesOf(Name),
    /// The workload of this name.
    Workload(Name),
    /// Workloads of a namespace that have a label with a value.
    Label(Arc<str>, Box<str>, Box<str>),
    /// All workloads of a namespace.
    WorkloadsIn(Arc<str>),
    /// Which defaults a namespace asks for.
    Defaults(Arc<str>),
    /// PeerAuthentications of a namespace.
    PeerAuthentications(Arc<str>),
    /// AuthorizationPolicies of a namespace.
    AuthorizationPolicies(Arc<str>),
    /// RequestAuthentications of a namespace.
    RequestAuthentications(Arc<str>),
    /// Istio's MeshConfigs.
    MeshConfigs,
    /// The certificates of authorities in the ConfigMap of this name.
    Authorities(Name),
    /// The key set that was fetched from this address.
    KeySet(Arc<str>),
    /// ReferenceGrants of a namespace.
    Grants(Arc<str>),
    /// VirtualServices for exactly this host or pattern.
    VirtualServices(Arc<str>),
    /// The VirtualService of this name, to which others delegate.
    Delegate(Name),
    /// DestinationRules for exactly this host or pattern.
    DestinationRules(Arc<str>),
    /// ServiceEntries for exactly this host or pattern.
    ServiceEntries(Arc<str>),
    /// ServiceEntries that any address may belong to.
    OpenEntries,
    /// Keys of labels that policies of locality compare.
    ComparedLabels,
    /// Services and ServiceEntries, all of them, and their virtual addresses.
    Names,
    /// Sidecars of a namespace.
    Sidecars(Arc<str>),
    /// Policies and profiles for this Service.
    PoliciesOf(Name),
    /// EndpointSlices of this Service.
    SlicesOf(Name),
    /// Limits of rate, and Servers, of a namespace.
    RateLimits(Arc<str>),
    /// Linkerd's AuthorizationPolicies and ServerAuthorizations of a namespace.
    ServerPolicies(Arc<str>),
    /// Routes of a namespace that name a Server as their parent.
    ServerRoutes(Arc<str>),
    /// Who and where clients may be, as Linkerd's policies refer to it, by namespace.
    Authentications(Arc<str>),
    /// The Namespace of this name.
    Namespace(Arc<str>),
    /// Policies of a namespace about what lies outside the mesh.
    EgressPolicies(Arc<str>),
    /// Objects of a kind and namespace that are there and cannot be read.
    Unreadable(Kind, Arc<str>),
}

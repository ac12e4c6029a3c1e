//! Which resource a proxy may have, and how it is compiled and encoded.

use std::net::IpAddr;

use tonic::{Code, Status};
use wattle_compile::{Mesh, ResourceName as Compiled};
use wattle_identity::SpiffeId;
use wattle_model::Workload;
use wattle_wire::delta::StreamError;
use wattle_wire::{Encoded, Kind, Peer, Resource, ResourceName};

use super::Wanted;

/// Why a stream is ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Denied {
    /// The request breaks the protocol.
    #[error(transparent)]
    Protocol(#[from] StreamError),
    /// The node's name is not in the namespace of its identity.
    #[error("node \"{node}\" is not in the namespace of {peer}")]
    Node {
        /// What it says it is.
        node: String,
        /// What it proved to be.
        peer: String,
    },
    /// The resource is another workload's.
    #[error("{name} is not for {peer}")]
    Foreign {
        /// The resource.
        name: String,
        /// Who asked.
        peer: String,
    },
    /// The control plane stops.
    #[error("the control plane is stopping")]
    Stopping,
}

impl From<Denied> for Status {
    fn from(denied: Denied) -> Self {
        let code = match denied {
            Denied::Protocol(StreamError::TooMany) => Code::ResourceExhausted,
            Denied::Protocol(_) => Code::InvalidArgument,
            Denied::Node { .. } | Denied::Foreign { .. } => Code::PermissionDenied,
            Denied::Stopping => Code::Unavailable,
        };
        Self::new(code, denied.to_string())
    }
}

/// The identity that alone may have a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    trust_domain: String,
    namespace: String,
    service_account: String,
}

impl Owner {
    pub(super) fn of(workload: &Workload) -> Self {
        Self {
            trust_domain: workload.trust_domain.to_string(),
            namespace: workload.namespace.to_string(),
            service_account: workload.service_account.to_string(),
        }
    }

    pub(crate) fn is(&self, peer: &SpiffeId) -> bool {
        (&*self.trust_domain, &*self.namespace, &*self.service_account)
            == (peer.trust_domain(), peer.namespace(), peer.service_account())
    }
}

/// What this peer may see of a resource: another's does not exist for it.
pub(super) fn visible<'a>(wanted: &'a Wanted, peer: &SpiffeId) -> Option<&'a Encoded> {
    let permitted = wanted.owner.as_ref().is_none_or(|owner| owner.is(peer));
    wanted.encoded.as_ref().filter(|_| permitted)
}

/// The compiler's name for what a peer calls so; destinations depend on who asks.
pub(super) fn compiled_name(name: &ResourceName, peer: &SpiffeId) -> Option<Compiled> {
    Some(match name.kind {
        Kind::Destination => Compiled::Destination {
            name: name.name.clone(),
            from: peer.namespace().into(),
        },
        Kind::Endpoints => Compiled::Endpoints(name.name.clone()),
        Kind::Inbound => Compiled::Inbound(name.name.clone()),
        Kind::Names => Compiled::Names(name.name.clone()),
        // The authority's to say, not compiled.
        Kind::Trust => return None,
        // Addresses are written in many ways; only the customary one leads back from the compiler's name to the peer's.
        Kind::Peer => {
            let ip = name.name.parse::<IpAddr>().ok()?.to_canonical();
            Compiled::Peer(Some(ip).filter(|ip| *ip.to_string() == *name.name)?)
        }
    })
}

/// The inverse of [`compiled_name`].
pub(super) fn wire_name(name: &Compiled) -> ResourceName {
    match name {
        Compiled::Destination { name, .. } => ResourceName::new(Kind::Destination, name.clone()),
        Compiled::Endpoints(id) => ResourceName::new(Kind::Endpoints, id.clone()),
        Compiled::Inbound(name) => ResourceName::new(Kind::Inbound, name.clone()),
        Compiled::Peer(ip) => ResourceName::new(Kind::Peer, ip.to_string()),
        Compiled::Names(namespace) => ResourceName::new(Kind::Names, namespace.clone()),
    }
}

/// Compiles and encodes a resource; nothing when there is no such thing.
pub(super) fn compile(mesh: &mut Mesh, name: &Compiled) -> (Option<Encoded>, Option<Owner>) {
    let mut owner = None;
    let resource = match name {
        Compiled::Destination { name, from } => mesh
            .destination(name, from)
            .map(|found| Resource::Destination((*found).clone())),
        Compiled::Endpoints(id) => mesh
            .endpoints(id)
            .map(|found| Resource::Endpoints((*found).clone())),
        Compiled::Inbound(name) => mesh.inbound(name).map(|found| {
            owner = Some(Owner::of(&found.workload));
            Resource::Inbound((*found).clone())
        }),
        Compiled::Peer(ip) => mesh.peer(*ip).map(|found| {
            Resource::Peer(Peer {
                ip: *ip,
                workload: (*found).clone(),
            })
        }),
        Compiled::Names(namespace) => Some(Resource::Names((*mesh.names(namespace)).clone())),
    };
    (resource.map(|resource| resource.encode()), owner)
}

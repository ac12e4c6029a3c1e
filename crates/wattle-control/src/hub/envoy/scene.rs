//! What one client sees of the mesh, and what was read to know it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use wattle_compile::{Mesh, ResourceName as Compiled};
use wattle_envoy::{GrpcClient, Resources, Scene, Served, Sidecar, bootstrap};
use wattle_identity::SpiffeId;
use wattle_model::{BackendId, Destination, Endpoints, Hop, Inbound, IpBlock, Locality, Workload, port};

use super::Program;

/// An address that can belong to nobody (RFC 5737, TEST-NET-1): what it is to a caller, every unknown address is.
const NOBODYS: &str = "192.0.2.1:1";
/// A port on which nobody serves the mesh (tcpmux).
const NOBODYS_PORT: u16 = 1;

/// Destinations and endpoints as seen from one namespace.
#[derive(Debug, Default)]
pub(super) struct Seen {
    destinations: Vec<Arc<Destination>>,
    endpoints: BTreeMap<BackendId, Arc<Endpoints>>,
    /// Listeners of its own that a gRPC server asks for.
    served: Vec<Arc<str>>,
    /// What an address is that nothing names.
    others: Option<Arc<Destination>>,
    /// The same for the blocks of addresses that policies tell apart, and the address that stands for each.
    blocks: Vec<(IpBlock, IpAddr)>,
    others_in: Vec<(IpBlock, Arc<Destination>)>,
    /// Everything that was asked of the compiler; when one of these changes, it is looked at again.
    pub(super) reads: BTreeSet<Compiled>,
}

impl Seen {
    /// Looks at these names, and at addresses that nothing names.
    pub(super) fn gather_all<'a>(
        mesh: &mut Mesh,
        names: impl Iterator<Item = &'a Arc<str>>,
        from: &str,
    ) -> Self {
        let mut seen = Self::gather(mesh, names, from);
        seen.others = seen.ask(mesh, NOBODYS, from);
        seen.blocks = mesh.egress_blocks(from);
        for (block, address) in seen.blocks.clone() {
            let name = SocketAddr::new(address, NOBODYS_PORT).to_string();
            let found = seen.ask(mesh, &name, from);
            seen.others_in.extend(found.map(|found| (block, found)));
        }
        seen
    }

    fn ask(&mut self, mesh: &mut Mesh, name: &str, from: &str) -> Option<Arc<Destination>> {
        self.reads.insert(Compiled::Destination {
            name: name.into(),
            from: from.into(),
        });
        mesh.destination(name, from)
    }

    /// Are other blocks of addresses told apart now?
    pub(super) fn divides_otherwise(&self, mesh: &Mesh, from: &str) -> bool {
        self.blocks != mesh.egress_blocks(from)
    }

    /// Looks at these names from a namespace.
    pub(super) fn gather<'a>(mesh: &mut Mesh, names: impl Iterator<Item = &'a Arc<str>>, from: &str) -> Self {
        let mut seen = Self::default();
        for name in names {
            if bootstrap::listening_address(name).is_some() {
                seen.served.push(name.clone());
                continue;
            }
            let Some(destination) = seen.ask(mesh, name, from) else {
                continue;
            };
            for id in destination.backend_ids() {
                if !seen.reads.insert(Compiled::Endpoints(id.clone())) {
                    continue;
                }
                if let Some(endpoints) = mesh.endpoints(id) {
                    seen.endpoints.insert(id.clone(), endpoints);
                }
            }
            seen.destinations.push(destination);
        }
        seen
    }

    #[cfg(test)]
    pub(super) fn destinations(&self) -> &[Arc<Destination>] {
        &self.destinations
    }

    #[cfg(test)]
    pub(super) fn endpoints(&self) -> &BTreeMap<BackendId, Arc<Endpoints>> {
        &self.endpoints
    }

    /// Does a client see the same?
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.destinations == other.destinations
            && self.endpoints == other.endpoints
            && self.others == other.others
            && self.others_in == other.others_in
            && self.served == other.served
    }
}

/// Everything that can be dialled: ports of Services and ServiceEntries at their address, and of workloads at theirs.
pub(super) fn dialable(mesh: &Mesh) -> BTreeSet<Arc<str>> {
    let addresses: BTreeMap<_, _> = mesh
        .services()
        .filter_map(|(_, address, host)| Some((host, address?)))
        .collect();
    let ports = mesh.ports().into_iter();
    let services = ports.filter_map(|(host, port)| Some(SocketAddr::new(*addresses.get(&host)?, port)));
    services
        .chain(mesh.workload_ports())
        .map(|address| address.to_string().into())
        .collect()
}

/// What is to be encoded for a client.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) program: &'a Program,
    pub(super) seen: &'a Seen,
    /// What the client may have of its own inbound side.
    pub(super) inbound: Option<&'a Inbound>,
    pub(super) peer: &'a SpiffeId,
    pub(super) node: &'a str,
}

/// Encodes what a client sees.
pub(super) type Encode = fn(Subject<'_>) -> Resources;

/// The encoding in use.
pub(super) fn encode(subject: Subject<'_>) -> Resources {
    let stranger;
    let workload = match subject.inbound {
        Some(inbound) => &inbound.workload,
        None => {
            stranger = described(subject.peer, subject.node);
            &stranger
        }
    };
    let nowhere = Locality::default();
    let plaintext;
    let endpoints = match subject.program {
        Program::Grpc { carried: true, .. } => {
            plaintext = carried(&subject.seen.endpoints);
            &plaintext
        }
        _ => &subject.seen.endpoints,
    };
    let scene = Scene {
        workload,
        labels: subject.inbound.map_or(&[], |inbound| &inbound.labels),
        locality: subject.inbound.map_or(&nowhere, |inbound| &inbound.locality),
        destinations: &subject.seen.destinations,
        endpoints,
    };
    match subject.program {
        Program::Sidecar { secrets } => Sidecar {
            scene,
            others: subject.seen.others.as_deref(),
            others_in: &subject.seen.others_in,
            inbound: subject.inbound,
            outbound_listener: SocketAddr::from((Ipv4Addr::LOCALHOST, port::OUTBOUND)),
            inbound_listener: SocketAddr::from((Ipv4Addr::UNSPECIFIED, port::INBOUND)),
            secrets: secrets.clone(),
        }
        .encode(),
        Program::Grpc { certificates, .. } => GrpcClient {
            scene,
            certificates: certificates.clone(),
            served: subject.inbound.map(|inbound| Served {
                inbound,
                listeners: &subject.seen.served,
            }),
        }
        .encode(),
    }
}

/// Endpoints for a program whose connections a proxy makes secure: to the program all of them take plaintext.
fn carried(endpoints: &BTreeMap<BackendId, Arc<Endpoints>>) -> BTreeMap<BackendId, Arc<Endpoints>> {
    let plain = |endpoints: &Arc<Endpoints>| {
        let mut endpoints = Endpoints::clone(endpoints);
        for endpoint in &mut endpoints.endpoints {
            endpoint.hop = Hop::Plaintext;
        }
        Arc::new(endpoints)
    };
    endpoints
        .iter()
        .map(|(id, endpoints)| (id.clone(), plain(endpoints)))
        .collect()
}

/// A client that is not among the workloads is known by its identity alone.
fn described(peer: &SpiffeId, node: &str) -> Workload {
    let instance = node.split_once('/').map_or(node, |(_, instance)| instance);
    Workload {
        namespace: peer.namespace().into(),
        name: instance.into(),
        instance: instance.into(),
        service_account: peer.service_account().into(),
        trust_domain: peer.trust_domain().into(),
        ..Workload::default()
    }
}

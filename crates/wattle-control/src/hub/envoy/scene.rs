//! What one client sees of the mesh, and what was read to know it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use wattle_compile::{Apart, Mesh, ResourceName as Compiled};
use wattle_envoy::{GrpcClient, Others, Resources, Scene, Served, Sidecar, bootstrap};
use wattle_identity::SpiffeId;
use wattle_model::{BackendId, Destination, Endpoints, Hop, Inbound, Locality, Workload, port};

use super::Program;

/// A port on which nobody serves the mesh (tcpmux), for all that nothing is said of.
const NOBODYS_PORT: u16 = 1;

/// Destinations and endpoints as seen from one namespace.
#[derive(Debug, Default)]
pub(super) struct Seen {
    destinations: Vec<Arc<Destination>>,
    endpoints: BTreeMap<BackendId, Arc<Endpoints>>,
    /// Listeners of its own that a gRPC server asks for.
    served: Vec<Arc<str>>,
    /// What is told apart among these addresses.
    outside: BTreeMap<Option<u16>, Apart>,
    /// What addresses are that nothing names, and on ports of which more is said.
    others: Others,
    open: BTreeMap<u16, Others>,
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
        seen.outside = mesh.outside(from);
        for (port, apart) in seen.outside.clone() {
            let number = port.unwrap_or(NOBODYS_PORT);
            let mut ask = |address| seen.look(mesh, &SocketAddr::new(address, number).to_string(), from);
            let others = Others {
                anywhere: ask(apart.elsewhere),
                blocks: apart
                    .blocks
                    .into_iter()
                    .filter_map(|(block, address)| Some((block, ask(address)?)))
                    .collect(),
            };
            match port {
                Some(port) => drop(seen.open.insert(port, others)),
                None => seen.others = others,
            }
        }
        seen
    }

    /// Are other addresses outside told apart now?
    pub(super) fn divides_otherwise(&self, mesh: &Mesh, from: &str) -> bool {
        self.outside != mesh.outside(from)
    }

    /// Looks at these names from a namespace.
    pub(super) fn gather<'a>(mesh: &mut Mesh, names: impl Iterator<Item = &'a Arc<str>>, from: &str) -> Self {
        let mut seen = Self::default();
        for name in names {
            if bootstrap::listening_address(name).is_some() {
                seen.served.push(name.clone());
                continue;
            }
            let found = seen.look(mesh, name, from);
            seen.destinations.extend(found);
        }
        seen
    }

    /// A destination, whose endpoints are then known too.
    fn look(&mut self, mesh: &mut Mesh, name: &str, from: &str) -> Option<Arc<Destination>> {
        self.reads.insert(Compiled::Destination {
            name: name.into(),
            from: from.into(),
        });
        let destination = mesh.destination(name, from)?;
        for id in destination.backend_ids() {
            if !self.reads.insert(Compiled::Endpoints(id.clone())) {
                continue;
            }
            if let Some(endpoints) = mesh.endpoints(id) {
                self.endpoints.insert(id.clone(), endpoints);
            }
        }
        Some(destination)
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
            && self.open == other.open
            && self.served == other.served
    }
}

/// Everything that can be dialled: ports of Services and ServiceEntries at their address, and of workloads at theirs.
pub(super) fn dialable(mesh: &Mesh) -> BTreeSet<Arc<str>> {
    // Several namespaces may declare a host, each at an address of its own.
    let mut addresses = BTreeMap::<_, Vec<_>>::new();
    for (_, address, host) in mesh.services() {
        addresses.entry(host).or_default().extend(address);
    }
    let at = |(host, port)| {
        let there = addresses.get(&host).into_iter().flatten();
        there.map(move |address| SocketAddr::new(*address, port))
    };
    let services = mesh.ports().into_iter().flat_map(at);
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
            others: &subject.seen.others,
            open: &subject.seen.open,
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

//! What goes into an encoding.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use wattle_model::{
    BackendId, CallerFacts, CallerLabel, Destination, Endpoints, Inbound, IpBlock, Locality, Workload,
};

/// What one client sees of the mesh.
#[derive(Clone, Debug)]
pub struct Scene<'a> {
    /// The client.
    pub workload: &'a Workload,
    /// Labels of the client, as [`Inbound::labels`]: they choose among the scopes and routes of a destination.
    pub labels: &'a [CallerLabel],
    /// Where the client runs, as [`Inbound::locality`].
    pub locality: &'a Locality,
    /// Every destination it can dial: by `ip:port` for a sidecar, by `host:port` for a gRPC client.
    pub destinations: &'a [Arc<Destination>],
    /// Endpoints of every backend that the destinations name.
    pub endpoints: &'a BTreeMap<BackendId, Arc<Endpoints>>,
}

impl Scene<'_> {
    /// The destinations as this client sees them, by name: the order in which they are given decides nothing.
    pub(crate) fn seen(&self) -> BTreeMap<Arc<str>, Arc<Destination>> {
        let caller = CallerFacts {
            labels: self.labels,
            ..CallerFacts::default()
        };
        let destinations = self.destinations.iter();
        destinations
            .map(|destination| (destination.name.clone(), destination.seen_by(&caller)))
            .collect()
    }
}

/// What addresses are that no destination names. A backend without an id is the address that was dialled.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Others {
    /// An address in no block; `None` refuses it.
    pub anywhere: Option<Arc<Destination>>,
    /// Addresses in blocks, of which the smallest that holds an address counts.
    pub blocks: Vec<(IpBlock, Arc<Destination>)>,
}

/// An Envoy beside a workload, to which all of its connections are redirected.
#[derive(Clone, Debug)]
pub struct Sidecar<'a> {
    /// What it sees.
    pub scene: Scene<'a>,
    /// Addresses that no destination names.
    pub others: &'a Others,
    /// The same on ports of which more is said.
    pub open: &'a BTreeMap<u16, Others>,
    /// What it enforces for connections to the workload; `None` for a client alone.
    pub inbound: Option<&'a Inbound>,
    /// Where outgoing connections are redirected to.
    pub outbound_listener: SocketAddr,
    /// Where incoming connections are redirected to.
    pub inbound_listener: SocketAddr,
    /// Name of the static cluster of the bootstrap from which certificates come by SDS, as the secrets `default` (the
    /// workload's own chain and key) and `ROOTCA` (the bundle).
    pub secrets: Arc<str>,
}

/// A gRPC program that asks for its own configuration, `xds:///host:port`.
#[derive(Clone, Debug)]
pub struct GrpcClient<'a> {
    /// What it sees.
    pub scene: Scene<'a>,
    /// Name of the certificate provider instance of its bootstrap; without one it speaks plaintext to those who take it.
    pub certificates: Option<Arc<str>>,
    /// What it serves itself; `None` where it may not know its workload's own side.
    pub served: Option<Served<'a>>,
}

/// What a gRPC program takes in.
#[derive(Clone, Copy, Debug)]
pub struct Served<'a> {
    /// What is enforced.
    pub inbound: &'a Inbound,
    /// Names by which it asks for its listeners (gRFC A36).
    pub listeners: &'a [Arc<str>],
}

//! ServiceEntries: what their hosts and addresses are to callers, and whom they lead to.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use wattle_api::Resource;
use wattle_api::istio::{AppProtocol, EntryPort, Host, Resolution, ServiceEntry};
use wattle_model::{
    Access, Action, Backend, ConnectionMatch, ConnectionRoute, Destination, HostMatch, Protocol,
    RequestMatch, RouteRule, RouteTable, RuleRef, WeightedBackend,
};

use super::frontend::{self, Frontend};
use super::owner::Nearness;
use super::{owner, policy};
use crate::route::object_ref;
use crate::view::View;

mod endpoints;

pub(crate) use endpoints::{endpoints, peer, workloads};

/// The host of a ServiceEntry that has this virtual address, its own or an assigned one.
pub(crate) fn at_address<'a>(
    address: IpAddr,
    port: u16,
    from: &str,
    view: &View<'a>,
) -> Option<Frontend<'a>> {
    let near = |entry: &Resource<ServiceEntry>| owner::nearness(&entry.meta.namespace, from, view);
    let mut hosts = view.entry_hosts_at(address);
    hosts.retain(|(entry, _)| frontend::is_visible(entry, from));
    let nearest = hosts.iter().map(|(entry, _)| near(entry)).min();
    let mut hosts = hosts
        .into_iter()
        .filter(|(entry, _)| Some(near(entry)) == nearest);
    let found = hosts.find_map(|(entry, host)| at_port(entry, host, port));
    // Nobody adds ports to an address that the callers' own or the root namespace names.
    if found.is_some() || nearest.is_some_and(|nearest| nearest < Nearness::Other) {
        return found;
    }
    // Blocks of addresses: few, and only of what no single address names.
    let mut blocks = view.open_entries();
    blocks.retain(|entry| {
        let mut written = entry.spec.addresses.iter();
        frontend::is_visible(entry, from) && written.any(|block| block.contains(&address))
    });
    blocks.sort_by_key(|entry| near(entry));
    blocks.into_iter().find_map(|entry| {
        let host: Arc<str> = entry.spec.hosts.first()?.to_string().into();
        let counts = owner::counts(entry, &host, from, view);
        at_port(entry, host, port).filter(|_| counts)
    })
}

fn at_port<'a>(entry: &'a Resource<ServiceEntry>, host: Arc<str>, port: u16) -> Option<Frontend<'a>> {
    let frontend = frontend::of_entry(entry, &host);
    frontend.port(port).is_some().then_some(frontend)
}

/// What may be sent to any address on a port: to hosts that any address may have, because they are patterns or resolve
/// to whatever is dialled.
#[derive(Default)]
pub(crate) struct Open {
    pub(crate) rules: Vec<RouteRule>,
    pub(crate) connections: Vec<ConnectionRoute>,
    /// What rules refer to besides the original destination, which is the first of a destination's backends: these follow.
    pub(crate) backends: Vec<Backend>,
}

/// Ports that addresses have which no single object names, and the blocks of these addresses; without any, it is every
/// address.
pub(crate) fn open_ports(from: &Arc<str>, view: &View<'_>) -> BTreeMap<u16, BTreeSet<IpNet>> {
    let mut found = BTreeMap::<_, BTreeSet<_>>::new();
    let entries = view.open_entries().into_iter();
    for entry in entries.filter(|entry| frontend::is_visible(entry, from)) {
        let ports = entry.spec.ports.iter();
        for port in ports.filter(|port| port.protocol != Some(AppProtocol::Udp)) {
            let blocks = entry.spec.addresses.iter();
            let blocks = blocks.filter(|block| block.prefix_len() < block.max_prefix_len());
            let at_port = found.entry(port.number.number()).or_default();
            at_port.extend(blocks.map(IpNet::trunc));
        }
    }
    found
}

impl Open {
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.connections.is_empty()
    }
}

/// The open hosts of `port` that callers in `from` may see; what is for them goes where it was dialled.
pub(crate) fn open(port: u16, from: &Arc<str>, view: &View<'_>) -> Open {
    let mut open = Open::default();
    let entries = view.open_entries().into_iter();
    for entry in entries.filter(|entry| frontend::is_visible(entry, from)) {
        let mut ports = entry.spec.ports.iter();
        let Some(written) = ports.find(|written| written.number.number() == port) else {
            continue;
        };
        let hosts = entry.spec.hosts.iter();
        let hosts: Vec<_> = hosts
            .filter(|host| is_open(entry, host.is_pattern()))
            .filter(|host| owner::counts(entry, &host.to_string().into(), from, view))
            .collect();
        let by_name = entry.spec.resolution == Resolution::DynamicDns;
        // By name, each host is a backend of its own, which DestinationRules are for.
        let groups = hosts.chunks(if by_name { 1 } else { hosts.len().max(1) });
        for group in groups {
            let backend = match by_name {
                true => open.backend(entry, group[0], (port, from), view),
                false => 0,
            };
            let parsed = group.iter().map(|host| HostMatch::parse(&host.to_string()));
            open.add(entry, written, (parsed.collect(), backend));
        }
    }
    open
}

impl Open {
    /// The index that a host which is resolved by name has as a backend.
    fn backend(
        &mut self,
        entry: &Resource<ServiceEntry>,
        host: &Host,
        (port, from): (u16, &Arc<str>),
        view: &View<'_>,
    ) -> u32 {
        let frontend = frontend::of_entry(entry, &host.to_string().into());
        let found = frontend.port(port);
        let backend = found.and_then(|port| policy::backend(&frontend, port, from, view).ok());
        // Datagrams alone have no port here, and no rule either.
        self.backends.extend(backend);
        u32::try_from(self.backends.len()).unwrap_or(u32::MAX)
    }

    fn add(
        &mut self,
        entry: &Resource<ServiceEntry>,
        port: &EntryPort,
        (hosts, backend): (Vec<HostMatch>, u32),
    ) {
        let object = object_ref(&entry.meta, wattle_api::Kind::ServiceEntry, &entry.origin);
        let origin = whole_of(object);
        match frontend::protocol(port) {
            Some(Protocol::Tls) => self.connections.push(connection(origin, hosts, backend)),
            Some(protocol) if protocol.is_http() => self.rules.push(request(origin, hosts, backend)),
            // Nothing tells hosts apart: of NONE every address of the port is meant, as in Istio.
            Some(_) if backend == 0 && entry.spec.resolution == Resolution::None => {
                self.rules.push(request(origin.clone(), Vec::new(), backend));
                self.connections.push(connection(origin, Vec::new(), backend));
            }
            _ => {}
        }
    }
}

/// Gives an unknown destination the rules of open hosts.
pub(crate) fn follow(open: Open, destination: &mut Destination) {
    if open.is_empty() {
        return;
    }
    let Open {
        mut rules,
        mut connections,
        ..
    } = open;
    // Where nothing else may be reached, what is open is not refused with the rest: that comes after it.
    let closed = match &destination.scopes[..] {
        [scope] if scope.labels.is_empty() => match scope.access {
            Access::Refused(reason) => Some((whole_of(scope.origin.clone()), reason)),
            Access::Full | Access::PassThrough => None,
        },
        _ => None,
    };
    if let Some((origin, reason)) = closed {
        destination.scopes.clear();
        destination.default_backend = None;
        rules.push(crate::route::catch_all(origin.clone(), Action::Refuse(reason)));
        connections.push(ConnectionRoute {
            backends: Vec::new(),
            ..connection(origin, Vec::new(), 0)
        });
    } else {
        connections.push(connection(anywhere(), Vec::new(), 0));
        rules.push(request(anywhere(), Vec::new(), 0));
    }
    destination.routes = RouteTable::new(rules);
    destination.connections = connections;
}

/// May any address have the host?
fn is_open(entry: &Resource<ServiceEntry>, pattern: bool) -> bool {
    entry.spec.addresses.is_empty() && (pattern || entry.spec.resolution == Resolution::None)
}

/// The rule of everything else: it goes where it was dialled.
fn anywhere() -> RuleRef {
    whole_of(wattle_model::ObjectRef {
        kind: "Mesh".into(),
        namespace: "".into(),
        name: "as-dialled".into(),
        file: "".into(),
        line: 0,
    })
}

/// What an object without rules says.
fn whole_of(object: wattle_model::ObjectRef) -> RuleRef {
    RuleRef {
        object,
        rule: 0,
        matched: 0,
        name: "".into(),
    }
}

fn whole(backend: u32) -> Vec<WeightedBackend> {
    let written = if backend == 0 { "as dialled" } else { "by name" };
    vec![WeightedBackend {
        backend: Some(backend),
        written: written.into(),
        weight: 1,
        filters: None,
    }]
}

fn connection(origin: RuleRef, server_names: Vec<HostMatch>, backend: u32) -> ConnectionRoute {
    ConnectionRoute {
        origin,
        matches: ConnectionMatch {
            server_names,
            ..ConnectionMatch::default()
        },
        backends: whole(backend),
    }
}

fn request(origin: RuleRef, hosts: Vec<HostMatch>, backend: u32) -> RouteRule {
    RouteRule {
        matches: RequestMatch {
            hosts,
            ..RequestMatch::default()
        },
        ..crate::route::catch_all(origin, Action::Forward(whole(backend)))
    }
}

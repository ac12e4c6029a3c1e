//! What there is in a mesh: services, ports, workloads and the addresses that policies tell apart.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use wattle_model::IpBlock;

use super::Mesh;
use crate::istio::entry;
use crate::{Instance, Name, blocks, egress, endpoints, host, inbound};

/// Addresses that nothing names and that mean different things, by one that stands for all alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apart {
    /// An address in no block.
    pub elsewhere: IpAddr,
    /// Blocks, each with an address that is in no smaller one of them.
    pub blocks: Vec<(IpBlock, IpAddr)>,
}

impl Mesh {
    /// Services, and hosts of ServiceEntries, that need a virtual address and have none yet, by name.
    pub fn without_virtual_ip(&self) -> Vec<Name> {
        let services = self.store.services.iter();
        let needing = services.filter(|(name, service)| {
            let assigned = service.spec.cluster_ip == wattle_api::ClusterIp::Assigned;
            let external = service.spec.exposure == wattle_api::Exposure::ExternalName;
            assigned && !external && !self.store.virtual_ips.contains_key(name)
        });
        let services = needing.map(|(name, _)| name.clone());
        let entries = self
            .store
            .entry_hosts()
            .filter(|(_, entry)| entry.spec.addresses.is_empty());
        let entries = entries
            .filter(|(_, entry)| entry.spec.resolution != wattle_api::istio::Resolution::None)
            .map(|(name, _)| name)
            .filter(|name| !self.store.virtual_ips.contains_key(name));
        services.chain(entries).collect()
    }

    /// Every Service with its virtual address, if it has one, and its fully qualified host, by name; then every host of a
    /// ServiceEntry, by its namespace and itself.
    pub fn services(&self) -> impl Iterator<Item = (Name, Option<IpAddr>, Arc<str>)> + '_ {
        let services = self.store.services.iter().map(|(name, service)| {
            let address = self.store.address_of(name, &service.spec);
            (name.clone(), address, host::qualified(name, &self.settings))
        });
        let entries = self.store.entry_hosts().map(|(name, entry)| {
            let single = entry
                .spec
                .addresses
                .iter()
                .find(|block| block.prefix_len() == block.max_prefix_len());
            let address = single
                .map(|block| block.addr())
                .or_else(|| self.store.virtual_ips.get(&name).copied());
            let host = Arc::clone(&name.1);
            (name, address, host)
        });
        services.chain(entries)
    }

    /// Every TCP port of every Service and ServiceEntry, by fully qualified host.
    pub fn ports(&self) -> Vec<(Arc<str>, u16)> {
        let services = self.store.services.iter();
        let of = |(name, service): (&Name, &Arc<wattle_api::Resource<wattle_api::Service>>)| {
            let host = host::qualified(name, &self.settings);
            let tcp = service
                .spec
                .ports
                .iter()
                .filter(|port| port.protocol == wattle_api::Protocol::Tcp);
            let numbers: Vec<_> = tcp.map(|port| (Arc::clone(&host), port.port.number())).collect();
            numbers
        };
        let entries = self.store.entry_hosts().flat_map(|((_, host), _)| {
            let own = self.view().entries_of(&host).into_iter();
            let numbers = own
                .flat_map(|entry| &entry.spec.ports)
                .map(|port| port.number.number());
            let numbers: BTreeSet<_> = numbers.collect();
            numbers.into_iter().map(move |number| (Arc::clone(&host), number))
        });
        services.flat_map(of).chain(entries).collect()
    }

    /// The workload of this name: a WorkloadEntry, else a Process.
    pub fn workload(&self, namespace: &str, name: &str) -> Option<&Arc<Instance>> {
        self.view().workload(&(namespace.into(), name.into()))
    }

    /// All workloads, WorkloadEntries first.
    pub fn workloads(&self) -> impl Iterator<Item = &Arc<Instance>> {
        self.store.entries.values().chain(self.store.processes.values())
    }

    /// Every port of a running workload that it, its Process or a headless Service declares.
    pub fn workload_ports(&self) -> BTreeSet<SocketAddr> {
        let view = self.view();
        let of = |instance: &Arc<Instance>| {
            let process = view.process_of(instance).into_iter();
            let own = process.flat_map(|process| &process.ports).chain(&instance.ports);
            let headless = inbound::headless_ports(instance, &view).into_iter();
            let ports = own
                .map(|port| port.port)
                .chain(headless.map(|given| given.target));
            let ports: Vec<_> = ports.collect();
            let address = instance.address;
            ports
                .into_iter()
                .filter_map(move |port| Some(SocketAddr::new(address?, port)))
        };
        self.store.entries.values().flat_map(of).collect()
    }

    /// What callers in `from` tell apart among the addresses that nothing names, by port. `None` stands for all ports that
    /// are not named.
    pub fn outside(&self, from: &str) -> BTreeMap<Option<u16>, Apart> {
        let (from, view): (Arc<str>, _) = (from.into(), self.view());
        let always = egress::blocks(&from, &view);
        let mut by_port: BTreeMap<_, _> = entry::open_ports(&from, &view)
            .into_iter()
            .map(|(port, blocks)| (Some(port), blocks))
            .collect();
        let allowed = egress::ports(&from, &view).into_iter().map(Some);
        for port in allowed.chain([None]) {
            by_port.entry(port).or_default();
        }
        let known = if by_port.len() == 1 && always.is_empty() {
            BTreeSet::new()
        } else {
            self.known_addresses()
        };
        let apart = |(port, blocks): (_, BTreeSet<IpNet>)| {
            let blocks = &blocks | &always;
            let apart = Apart {
                elsewhere: blocks::elsewhere(&blocks, &known),
                blocks: blocks::told_apart(&blocks, &known),
            };
            (port, apart)
        };
        by_port.into_iter().map(apart).collect()
    }

    /// Addresses of workloads, Services and hosts of ServiceEntries.
    fn known_addresses(&self) -> BTreeSet<IpAddr> {
        let workloads = self
            .store
            .entries
            .values()
            .filter_map(|instance| instance.address);
        let services = self.services().filter_map(|(_, address, _)| address);
        workloads.chain(services).collect()
    }

    /// The workloads behind a backend or a subset of it, each with the port it listens on. Running ones when there are
    /// any, else the Processes that would run.
    pub fn workloads_of(&self, id: &str) -> Vec<(&Arc<Instance>, u16)> {
        let all = endpoints::workloads(id, &self.view());
        let running: Vec<_> = all
            .iter()
            .filter(|(instance, _)| instance.address.is_some())
            .copied()
            .collect();
        if running.is_empty() { all } else { running }
    }
}

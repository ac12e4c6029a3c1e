//! Istio's kinds, by the hosts that they are about.

use std::net::IpAddr;
use std::sync::Arc;

use wattle_api::Resource;
use wattle_api::istio::{DestinationRule, ServiceEntry, Sidecar, VirtualService};

use super::View;
use crate::store::in_namespace;
use crate::{Name, Read};

impl<'a> View<'a> {
    /// VirtualServices for exactly this host or pattern, by name.
    pub(crate) fn virtual_services_of(&self, host: &Arc<str>) -> Vec<&'a Arc<Resource<VirtualService>>> {
        self.read(Read::VirtualServices(Arc::clone(host)));
        let istio = &self.store.istio;
        istio
            .routes_of
            .at(host)
            .filter_map(|name| istio.virtual_services.get(name))
            .collect()
    }

    /// The VirtualService of this name.
    pub(crate) fn delegate(&self, name: &Name) -> Option<&'a Arc<Resource<VirtualService>>> {
        self.read(Read::Delegate(name.clone()));
        self.store.istio.virtual_services.get(name)
    }

    /// DestinationRules for exactly this host or pattern, by name.
    pub(crate) fn destination_rules_of(&self, host: &Arc<str>) -> Vec<&'a Arc<Resource<DestinationRule>>> {
        self.read(Read::DestinationRules(Arc::clone(host)));
        let istio = &self.store.istio;
        istio
            .rules_of
            .at(host)
            .filter_map(|name| istio.destination_rules.get(name))
            .collect()
    }

    /// ServiceEntries for exactly this host or pattern, by name.
    pub(crate) fn entries_of(&self, host: &Arc<str>) -> Vec<&'a Arc<Resource<ServiceEntry>>> {
        self.read(Read::ServiceEntries(Arc::clone(host)));
        let istio = &self.store.istio;
        istio
            .entries_of
            .at(host)
            .filter_map(|name| istio.service_entries.get(name))
            .collect()
    }

    /// Hosts of ServiceEntries that have this address: those that it was assigned to, then those that write it, by name.
    pub(crate) fn entry_hosts_at(&self, address: IpAddr) -> Vec<(&'a Arc<Resource<ServiceEntry>>, Arc<str>)> {
        self.read(Read::Address(address));
        let istio = &self.store.istio;
        let written = istio.entries_at.get(&address).into_iter().flatten();
        let written =
            written.filter_map(|(name, host)| Some((istio.service_entries.get(name)?, Arc::clone(host))));
        let mut found = Vec::new();
        for (namespace, host) in self.store.assigned_at.get(&address).into_iter().flatten() {
            let own = self
                .entries_of(host)
                .into_iter()
                .filter(|entry| entry.meta.namespace == *namespace);
            found.extend(own.map(|entry| (entry, Arc::clone(host))));
        }
        found.extend(written);
        found
    }

    /// ServiceEntries that any address may belong to: patterns of hosts, NONE, and blocks of addresses.
    pub(crate) fn open_entries(&self) -> Vec<&'a Arc<Resource<ServiceEntry>>> {
        self.read(Read::OpenEntries);
        let all = self.store.istio.service_entries.values();
        let open = |entry: &&Arc<Resource<ServiceEntry>>| {
            let spec = &entry.spec;
            spec.resolution == wattle_api::istio::Resolution::None
                || spec.hosts.iter().any(wattle_api::istio::Host::is_pattern)
                || spec
                    .addresses
                    .iter()
                    .any(|block| block.prefix_len() < block.max_prefix_len())
        };
        all.filter(open).collect()
    }

    /// Namespace and host of every Service and ServiceEntry; for diagnostics, which are made anew each time.
    pub(crate) fn known_hosts(&self) -> Vec<(Arc<str>, Arc<str>)> {
        let services = self.store.services.keys();
        let services =
            services.map(|name| (Arc::clone(&name.0), crate::host::qualified(name, self.settings)));
        let entries = self.store.istio.service_entries.values();
        let entries = entries.flat_map(|entry| {
            let hosts = entry.spec.hosts.iter();
            hosts.map(|host| (Arc::clone(&entry.meta.namespace), Arc::from(host.to_string())))
        });
        services.chain(entries).collect()
    }

    /// Sidecars of a namespace.
    pub(crate) fn sidecars_in(&self, namespace: &Arc<str>) -> Vec<&'a Arc<Resource<Sidecar>>> {
        self.read(Read::Sidecars(Arc::clone(namespace)));
        in_namespace(&self.store.istio.sidecars, namespace).collect()
    }
}

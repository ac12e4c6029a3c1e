//! Istio's objects, and by which hosts they are found.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use wattle_api::istio::{DestinationRule, ServiceEntry, Sidecar, VirtualService};
use wattle_api::{Object, Resource};

use super::host;
use crate::store::Shelf;
use crate::{Name, Read, Settings};

/// Objects by the hosts, or patterns of hosts, that they are for.
#[derive(Default)]
pub(crate) struct HostIndex {
    hosts_of: HashMap<Name, Vec<Arc<str>>>,
    at: HashMap<Arc<str>, BTreeSet<Name>>,
}

impl HostIndex {
    fn insert(&mut self, name: &Name, hosts: Vec<Arc<str>>) {
        for host in &hosts {
            self.at.entry(Arc::clone(host)).or_default().insert(name.clone());
        }
        self.hosts_of.insert(name.clone(), hosts);
    }

    fn remove(&mut self, name: &Name) -> Vec<Arc<str>> {
        let hosts = self.hosts_of.remove(name).unwrap_or_default();
        for host in &hosts {
            if let Some(names) = self.at.get_mut(host) {
                names.remove(name);
                if names.is_empty() {
                    self.at.remove(host);
                }
            }
        }
        hosts
    }

    /// The objects for exactly this host or pattern, by name.
    pub(crate) fn at(&self, host: &str) -> impl Iterator<Item = &Name> {
        self.at.get(host).into_iter().flatten()
    }
}

/// A host of a ServiceEntry: namespace and name of the object, and the host.
pub(crate) type EntryHost = (Name, Arc<str>);

/// All of them.
#[derive(Default)]
pub(crate) struct IstioShelves {
    pub(crate) virtual_services: Shelf<Resource<VirtualService>>,
    pub(crate) destination_rules: Shelf<Resource<DestinationRule>>,
    pub(crate) service_entries: Shelf<Resource<ServiceEntry>>,
    pub(crate) sidecars: Shelf<Resource<Sidecar>>,
    pub(crate) routes_of: HostIndex,
    pub(crate) rules_of: HostIndex,
    pub(crate) entries_of: HostIndex,
    /// Keys of labels that policies of locality compare.
    pub(crate) compared: BTreeSet<String>,
    /// Written addresses of ServiceEntries.
    pub(crate) entries_at: BTreeMap<IpAddr, BTreeSet<EntryHost>>,
}

impl IstioShelves {
    /// Takes an object in; gives what that touches, and nothing for an object of another kind.
    pub(crate) fn insert(&mut self, name: &Name, object: &Object, settings: &Settings) -> Vec<Read> {
        let pattern = |written| host::pattern(written, &name.0, settings);
        match object {
            Object::VirtualService(found) => {
                let hosts: Vec<_> = found.spec.hosts.iter().map(pattern).collect();
                self.routes_of.insert(name, hosts.clone());
                self.virtual_services
                    .insert(name.clone(), Arc::new(found.clone()));
                routes(name, hosts)
            }
            Object::DestinationRule(found) => {
                let hosts = vec![pattern(&found.spec.host)];
                self.rules_of.insert(name, hosts.clone());
                self.destination_rules
                    .insert(name.clone(), Arc::new(found.clone()));
                self.rule_reads(hosts)
            }
            Object::ServiceEntry(found) => {
                let hosts: Vec<Arc<str>> = found
                    .spec
                    .hosts
                    .iter()
                    .map(|host| host.to_string().into())
                    .collect();
                self.entries_of.insert(name, hosts.clone());
                self.service_entries.insert(name.clone(), Arc::new(found.clone()));
                self.index_addresses(name, &hosts);
                self.entry_reads(name, hosts)
            }
            Object::Sidecar(found) => {
                self.sidecars.insert(name.clone(), Arc::new(found.clone()));
                vec![Read::Sidecars(Arc::clone(&name.0))]
            }
            _ => Vec::new(),
        }
    }

    /// Lets an object go; gives what that touches.
    pub(crate) fn remove(&mut self, name: &Name, kind: wattle_api::Kind) -> Vec<Read> {
        use wattle_api::Kind;
        match kind {
            Kind::VirtualService => {
                self.virtual_services.remove(name);
                routes(name, self.routes_of.remove(name))
            }
            Kind::DestinationRule => {
                self.destination_rules.remove(name);
                let hosts = self.rules_of.remove(name);
                self.rule_reads(hosts)
            }
            Kind::ServiceEntry => {
                let hosts = self.entries_of.remove(name);
                let reads = self.entry_reads(name, hosts);
                self.service_entries.remove(name);
                self.entries_at.retain(|_, there| {
                    there.retain(|(entry, _)| entry != name);
                    !there.is_empty()
                });
                reads
            }
            Kind::Sidecar => {
                self.sidecars.remove(name);
                vec![Read::Sidecars(Arc::clone(&name.0))]
            }
            _ => Vec::new(),
        }
    }

    /// A DestinationRule is read by its host; what its policy of locality compares is told with every endpoint.
    fn rule_reads(&mut self, hosts: Vec<Arc<str>>) -> Vec<Read> {
        let settings = self
            .destination_rules
            .values()
            .flat_map(|rule| every_setting(&rule.spec));
        let balancers =
            settings.filter_map(|settings| settings.load_balancer.as_ref()?.locality_lb_setting.as_ref());
        let keys = balancers.flat_map(|locality| &locality.failover_priority);
        let compared = keys
            .map(|key| key.split('=').next().unwrap_or(key).to_owned())
            .collect();
        let mut reads: Vec<_> = hosts.into_iter().map(Read::DestinationRules).collect();
        if self.compared != compared {
            self.compared = compared;
            reads.push(Read::ComparedLabels);
        }
        reads
    }

    fn index_addresses(&mut self, name: &Name, hosts: &[Arc<str>]) {
        let Some(entry) = self.service_entries.get(name) else {
            return;
        };
        let single = entry
            .spec
            .addresses
            .iter()
            .filter(|block| block.prefix_len() == block.max_prefix_len());
        for address in single.map(|block| block.addr()) {
            let there = self.entries_at.entry(address).or_default();
            there.extend(hosts.iter().map(|host| (name.clone(), Arc::clone(host))));
        }
    }

    /// A ServiceEntry is read by host, by address, by namespace for what is open to any address, and as a workload's frontend.
    fn entry_reads(&self, name: &Name, hosts: Vec<Arc<str>>) -> Vec<Read> {
        let addresses = self
            .service_entries
            .get(name)
            .map(|entry| entry.spec.addresses.clone());
        let at = addresses
            .into_iter()
            .flatten()
            .map(|block| Read::Address(block.addr()));
        let mut reads: Vec<_> = at.collect();
        reads.extend(hosts.into_iter().map(Read::ServiceEntries));
        reads.push(Read::OpenEntries);
        reads
    }
}

/// A VirtualService is read by its hosts, or as a delegate by its name.
fn routes(name: &Name, hosts: Vec<Arc<str>>) -> Vec<Read> {
    let own = std::iter::once(Read::Delegate(name.clone()));
    own.chain(hosts.into_iter().map(Read::VirtualServices)).collect()
}

/// Every place of a DestinationRule where settings may be written.
fn every_setting(rule: &DestinationRule) -> impl Iterator<Item = &wattle_api::istio::Settings> {
    let subsets = rule
        .subsets
        .iter()
        .filter_map(|subset| subset.traffic_policy.as_ref());
    let policies = rule.traffic_policy.as_deref().into_iter().chain(subsets);
    policies.flat_map(|policy| {
        let ports = policy.port_level_settings.iter().map(|port| &port.settings);
        std::iter::once(&policy.settings).chain(ports)
    })
}

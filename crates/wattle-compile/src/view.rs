//! Reading, recorded: every query looks at the objects through a [`View`], which notes what it was asked for.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use wattle_api::istio::{DestinationRule, ServiceEntry, Sidecar, VirtualService};
use wattle_api::{
    AuthorizationPolicy, Kind, Labels, Object, ObjectKey, PeerAuthentication, ReferenceGrant, Resource,
    Service,
};

use crate::any_route::AnyRoute;
use crate::instance::without_number;
use crate::store::{Label, Store, in_namespace, slots};
use crate::{Instance, Name, Read, Settings};

pub(crate) struct View<'a> {
    store: &'a Store,
    pub(crate) settings: &'a Settings,
    reads: RefCell<BTreeSet<Read>>,
}

impl<'a> View<'a> {
    pub(crate) fn new(store: &'a Store, settings: &'a Settings) -> Self {
        Self {
            store,
            settings,
            reads: RefCell::default(),
        }
    }

    /// What was read.
    pub(crate) fn into_reads(self) -> BTreeSet<Read> {
        self.reads.into_inner()
    }

    fn read(&self, read: Read) {
        self.reads.borrow_mut().insert(read);
    }

    pub(crate) fn service(&self, name: &Name) -> Option<&'a Arc<Resource<Service>>> {
        self.read(Read::Service(name.clone()));
        self.store.services.get(name)
    }

    /// The Service with this virtual address; the first by name when several claim it.
    pub(crate) fn service_at(&self, address: IpAddr) -> Option<Name> {
        self.read(Read::Address(address));
        self.store.services_at.get(&address)?.first().cloned()
    }

    /// Services of the workload's namespace that select it, by name.
    pub(crate) fn services_selecting(
        &self,
        instance: &Instance,
    ) -> impl Iterator<Item = &'a Arc<Resource<Service>>> {
        let mut names = BTreeSet::new();
        for slot in slots(instance) {
            names.extend(self.store.selecting.get(&slot).into_iter().flatten());
            self.read(Read::Selector(slot.0, slot.1, slot.2));
        }
        let services: Vec<_> = names
            .into_iter()
            .filter_map(|name| self.store.services.get(name))
            .collect();
        let labels = instance.labels.clone();
        services
            .into_iter()
            .filter(move |service| selects(&service.spec.selector, &labels))
    }

    /// Routes of any kind that name this Service as a parent, by kind and name.
    pub(crate) fn routes_of(&self, parent: &Name) -> impl Iterator<Item = AnyRoute<'a>> {
        self.found(Read::RoutesOf(parent.clone()))
            .filter_map(AnyRoute::of)
    }

    /// What is found under `read`, by kind and name.
    pub(crate) fn found(&self, read: Read) -> impl Iterator<Item = &'a Object> + use<'a> {
        let found = self.store.found_under(&read);
        self.read(read);
        found
    }

    /// The first object of a kind and namespace that is there and cannot be read.
    pub(crate) fn unreadable(&self, kind: Kind, namespace: &Arc<str>) -> Option<&'a ObjectKey> {
        self.read(Read::Unreadable(kind, Arc::clone(namespace)));
        self.store.unreadable(kind, namespace).next()
    }

    /// The key set that was fetched from an address; `None` while there is none.
    pub(crate) fn key_set(&self, address: &Arc<str>) -> Option<Arc<str>> {
        self.read(Read::KeySet(Arc::clone(address)));
        self.store.key_sets.get(address).cloned()
    }

    /// Whether what is written in a namespace has Istio's defaults where ours are safer: the namespace says so by a label,
    /// else the root namespace does.
    pub(crate) fn has_istio_defaults(&self, namespace: &Arc<str>) -> bool {
        let said = |namespace: &Arc<str>| {
            self.read(Read::Defaults(Arc::clone(namespace)));
            self.store.defaults.get(namespace).copied()
        };
        said(namespace)
            .or_else(|| said(&self.settings.root_namespace))
            .unwrap_or(false)
    }

    pub(crate) fn grants_in(
        &self,
        namespace: &Arc<str>,
    ) -> impl Iterator<Item = &'a Arc<Resource<ReferenceGrant>>> {
        self.read(Read::Grants(Arc::clone(namespace)));
        in_namespace(&self.store.grants, namespace)
    }

    pub(crate) fn peer_authentications(
        &self,
        namespace: &Arc<str>,
    ) -> impl Iterator<Item = &'a Arc<Resource<PeerAuthentication>>> {
        self.read(Read::PeerAuthentications(Arc::clone(namespace)));
        in_namespace(&self.store.peer_authentications, namespace)
    }

    pub(crate) fn authorization_policies(
        &self,
        namespace: &Arc<str>,
    ) -> impl Iterator<Item = &'a Arc<Resource<AuthorizationPolicy>>> {
        self.read(Read::AuthorizationPolicies(Arc::clone(namespace)));
        in_namespace(&self.store.authorization_policies, namespace)
    }

    /// AuthorizationPolicies of a namespace that are there and cannot be read.
    pub(crate) fn unreadable_authorization(&self, namespace: &Arc<str>) -> Vec<&'a ObjectKey> {
        self.read(Read::AuthorizationPolicies(Arc::clone(namespace)));
        self.store
            .unreadable(Kind::AuthorizationPolicy, namespace)
            .collect()
    }

    /// The first PeerAuthentication of a namespace that is there and cannot be read.
    pub(crate) fn unreadable_peer(&self, namespace: &Arc<str>) -> Option<&'a ObjectKey> {
        self.read(Read::PeerAuthentications(Arc::clone(namespace)));
        self.store.unreadable(Kind::PeerAuthentication, namespace).next()
    }

    /// The workload of this name: a WorkloadEntry, else a Process, else the Process whose numbered copy it would be.
    pub(crate) fn workload(&self, name: &Name) -> Option<&'a Arc<Instance>> {
        self.read(Read::Workload(name.clone()));
        let exact = self
            .store
            .entries
            .get(name)
            .or_else(|| self.store.processes.get(name));
        exact.or_else(|| {
            let stem: Name = (Arc::clone(&name.0), without_number(&name.1).into());
            self.read(Read::Workload(stem.clone()));
            self.store.processes.get(&stem)
        })
    }

    /// The Process that a running workload is a copy of.
    pub(crate) fn process_of(&self, instance: &Instance) -> Option<&'a Arc<Instance>> {
        let name: Name = (
            Arc::clone(&instance.key.namespace),
            Arc::clone(&instance.workload.name),
        );
        self.read(Read::Workload(name.clone()));
        self.store.processes.get(&name)
    }

    /// The running workload with this address; the first by name when several claim it.
    pub(crate) fn workload_at(&self, address: IpAddr) -> Option<&'a Arc<Instance>> {
        self.read(Read::Address(address));
        self.store
            .entries
            .get(self.store.entries_at.get(&address)?.first()?)
    }

    /// Workloads of a namespace that have all of these labels, by name; none for an empty selector.
    pub(crate) fn selected(&self, namespace: &Arc<str>, selector: &Labels) -> Vec<&'a Arc<Instance>> {
        let Some((key, value)) = selector.iter().next() else {
            return Vec::new();
        };
        let slot: Label = (Arc::clone(namespace), key.as_str().into(), value.as_str().into());
        self.read(Read::Label(Arc::clone(namespace), slot.1.clone(), slot.2.clone()));
        let keys = self.store.labelled.get(&slot).into_iter().flatten();
        let instances = keys.filter_map(|key| self.instance(key));
        instances
            .filter(|instance| selects(selector, &instance.labels))
            .collect()
    }

    pub(crate) fn workloads_in(&self, namespace: &Arc<str>) -> impl Iterator<Item = &'a Arc<Instance>> {
        self.read(Read::WorkloadsIn(Arc::clone(namespace)));
        let entries = in_namespace(&self.store.entries, namespace);
        entries.chain(in_namespace(&self.store.processes, namespace))
    }

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

    /// Hosts of ServiceEntries that have this address, written or assigned, by name.
    pub(crate) fn entry_hosts_at(&self, address: IpAddr) -> Vec<(&'a Arc<Resource<ServiceEntry>>, Arc<str>)> {
        self.read(Read::Address(address));
        let istio = &self.store.istio;
        let written = istio.entries_at.get(&address).into_iter().flatten();
        let mut found: Vec<_> = written
            .filter_map(|(name, host)| Some((istio.service_entries.get(name)?, Arc::clone(host))))
            .collect();
        for (namespace, host) in self.store.assigned_at.get(&address).into_iter().flatten() {
            let own = self
                .entries_of(host)
                .into_iter()
                .filter(|entry| entry.meta.namespace == *namespace);
            found.extend(own.map(|entry| (entry, Arc::clone(host))));
        }
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

    /// Keys of labels that a DestinationRule's `failoverPriority` names.
    pub(crate) fn compared_labels(&self) -> &'a BTreeSet<String> {
        self.read(Read::ComparedLabels);
        &self.store.istio.compared
    }

    /// The store, for whoever reads all Services, ServiceEntries and virtual addresses, and nothing else.
    pub(crate) fn named(&self) -> &'a Store {
        self.read(Read::Names);
        self.store
    }

    /// Sidecars of a namespace.
    pub(crate) fn sidecars_in(&self, namespace: &Arc<str>) -> Vec<&'a Arc<Resource<Sidecar>>> {
        self.read(Read::Sidecars(Arc::clone(namespace)));
        in_namespace(&self.store.istio.sidecars, namespace).collect()
    }

    fn instance(&self, key: &ObjectKey) -> Option<&'a Arc<Instance>> {
        let name = (Arc::clone(&key.namespace), Arc::clone(&key.name));
        match key.kind {
            Kind::Process => self.store.processes.get(&name),
            _ => self.store.entries.get(&name),
        }
    }
}

/// True when `labels` has all of `selector`.
pub(crate) fn selects(selector: &Labels, labels: &Labels) -> bool {
    selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

//! The objects, and indexes over them. Every change says which [`Read`]s it touches.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use wattle_api::istio::ServiceEntry;
use wattle_api::{
    AuthorizationPolicy, ClusterIp, Exposure, Kind, Object, ObjectKey, PeerAuthentication, ReferenceGrant,
    Resource, Service,
};

use crate::istio::shelf::IstioShelves;
use crate::{Instance, Read, Settings};

mod attached;
mod index;

pub(crate) use attached::profiled;
pub(crate) use index::slots;

/// Label of a Namespace, `enabled` or `disabled`: Istio's defaults where ours are safer, for what is written there, and
/// on the root namespace for the mesh. HTTP without `retries` gets two, requests that are not idempotent are repeated
/// too, and outlier detection turns on failover between localities.
pub(crate) const ISTIO_DEFAULTS: &str = "wattle.io/istio-defaults";

/// Namespace and name.
pub type Name = (Arc<str>, Arc<str>);

/// Namespace, key and value of a label.
pub(crate) type Label = (Arc<str>, Box<str>, Box<str>);

/// Objects of one kind, by namespace and name.
pub(crate) type Shelf<T> = BTreeMap<Name, Arc<T>>;

#[derive(Default)]
pub(crate) struct Store {
    pub(crate) objects: BTreeMap<ObjectKey, Arc<Object>>,
    pub(crate) services: Shelf<Resource<Service>>,
    pub(crate) grants: Shelf<Resource<ReferenceGrant>>,
    pub(crate) peer_authentications: Shelf<Resource<PeerAuthentication>>,
    pub(crate) authorization_policies: Shelf<Resource<AuthorizationPolicy>>,
    pub(crate) entries: Shelf<Instance>,
    pub(crate) processes: Shelf<Instance>,
    pub(crate) virtual_ips: BTreeMap<Name, IpAddr>,
    /// The same by address.
    pub(crate) assigned_at: HashMap<IpAddr, BTreeSet<Name>>,
    pub(crate) services_at: HashMap<IpAddr, BTreeSet<Name>>,
    pub(crate) entries_at: HashMap<IpAddr, BTreeSet<Name>>,
    pub(crate) labelled: HashMap<Label, BTreeSet<ObjectKey>>,
    pub(crate) istio: IstioShelves,
    /// Namespaces that say by [`ISTIO_DEFAULTS`] whether they want Istio's defaults.
    pub(crate) defaults: BTreeMap<Arc<str>, bool>,
    /// Key sets by the address they were fetched from.
    pub(crate) key_sets: BTreeMap<Arc<str>, Arc<str>>,
    /// Services by the first label of their selector.
    pub(crate) selecting: HashMap<Label, BTreeSet<Name>>,
    /// Routes, policies and slices by what finds them.
    found: HashMap<Read, BTreeSet<ObjectKey>>,
    unreadable: BTreeSet<ObjectKey>,
    touched: BTreeSet<Read>,
}

/// The objects of one namespace.
pub(crate) fn in_namespace<'a, T>(
    shelf: &'a Shelf<T>,
    namespace: &Arc<str>,
) -> impl Iterator<Item = &'a Arc<T>> {
    let start: Name = (Arc::clone(namespace), "".into());
    let namespace = Arc::clone(namespace);
    shelf
        .range(start..)
        .take_while(move |((at, _), _)| *at == namespace)
        .map(|(_, value)| value)
}

impl Store {
    /// Puts an object in place of any older one of its key.
    pub(crate) fn apply(&mut self, object: Object, settings: &Settings) {
        let key = object.key();
        let object = Arc::new(object);
        // Where it is written may have moved; nobody has to hear of that.
        let same = self.objects.get(&key).is_some_and(|old| *old == object);
        let quiet = same.then(|| std::mem::take(&mut self.touched));
        self.delete(&key);
        self.index(&object, settings);
        self.objects.insert(key, object);
        if let Some(touched) = quiet {
            self.touched = touched;
        }
    }

    /// Removes an object; nothing happens when there is none.
    pub(crate) fn delete(&mut self, key: &ObjectKey) {
        if self.unreadable.remove(key) {
            self.touch_unreadable(key);
        }
        let Some(removed) = self.objects.remove(key) else {
            return;
        };
        self.detach(&removed);
        let name = (Arc::clone(&key.namespace), Arc::clone(&key.name));
        match key.kind {
            Kind::Service => self.remove_service(&name),
            Kind::WorkloadEntry => {
                let removed = self.entries.remove(&name);
                self.unindex_instance(removed);
            }
            Kind::Process => {
                let removed = self.processes.remove(&name);
                self.unindex_instance(removed);
            }
            Kind::ReferenceGrant => drop(self.grants.remove(&name)),
            Kind::Namespace => self.say_defaults(&name.1, None),
            Kind::PeerAuthentication => drop(self.peer_authentications.remove(&name)),
            Kind::AuthorizationPolicy => drop(self.authorization_policies.remove(&name)),
            kind => {
                let touched = self.istio.remove(&name, kind);
                self.touched.extend(touched);
            }
        }
        self.touch_policy(key);
    }

    /// Notes that an object is there and cannot be read; nothing happens when an older version of it is in force.
    pub(crate) fn refuse(&mut self, key: ObjectKey) {
        if !self.objects.contains_key(&key) {
            self.touch_unreadable(&key);
            self.unreadable.insert(key);
        }
    }

    /// Forgets which objects cannot be read.
    pub(crate) fn readable(&mut self) {
        for key in std::mem::take(&mut self.unreadable) {
            self.touch_unreadable(&key);
        }
    }

    /// Objects of a kind and namespace that are there and cannot be read.
    pub(crate) fn unreadable(&self, kind: Kind, namespace: &str) -> impl Iterator<Item = &ObjectKey> {
        self.unreadable
            .iter()
            .filter(move |key| key.kind == kind && *key.namespace == *namespace)
    }

    /// What changed since the last call.
    pub(crate) fn take_touched(&mut self) -> BTreeSet<Read> {
        crate::names::touched(std::mem::take(&mut self.touched))
    }

    /// Sets or forgets the key set of an address.
    pub(crate) fn set_key_set(&mut self, address: &Arc<str>, keys: Option<Arc<str>>) {
        let before = match &keys {
            Some(keys) => self.key_sets.insert(Arc::clone(address), Arc::clone(keys)),
            None => self.key_sets.remove(address),
        };
        if before != keys {
            self.touched.insert(Read::KeySet(Arc::clone(address)));
        }
    }

    /// Sets or removes the virtual address of a Service that has none of its own.
    pub(crate) fn assign(&mut self, name: &Name, address: Option<IpAddr>) {
        let old = self.virtual_ips.get(name).copied();
        if old == address {
            return;
        }
        // The host of a ServiceEntry is found by its address as well.
        self.touched.insert(Read::ServiceEntries(Arc::clone(&name.1)));
        self.touched
            .extend([old, address].into_iter().flatten().map(Read::Address));
        let service = self.services.get(name).cloned();
        if service.is_some() {
            self.remove_service(name);
        }
        if let Some(old) = old {
            index::take_out(&mut self.assigned_at, &old, name);
        }
        match address {
            Some(address) => {
                self.assigned_at.entry(address).or_default().insert(name.clone());
                self.virtual_ips.insert(name.clone(), address)
            }
            None => self.virtual_ips.remove(name),
        };
        if let Some(service) = service {
            self.insert_service(name.clone(), service);
        }
    }

    /// Every host of a ServiceEntry that has addresses as a whole, each once, with the object.
    pub(crate) fn entry_hosts(&self) -> impl Iterator<Item = (Name, &Arc<Resource<ServiceEntry>>)> {
        let mut seen = BTreeSet::new();
        let all = self.istio.service_entries.values();
        let hosts = all.flat_map(|entry| {
            let single = entry
                .spec
                .hosts
                .iter()
                .filter(|host| crate::names::is_addressed(host, &entry.spec));
            single.map(move |host| {
                (
                    (Arc::clone(&entry.meta.namespace), Arc::from(host.to_string())),
                    entry,
                )
            })
        });
        hosts.filter(move |(name, _)| seen.insert(name.clone()))
    }

    /// The virtual address of a Service, its own or the assigned one.
    pub(crate) fn address_of(&self, name: &Name, service: &Service) -> Option<IpAddr> {
        match service.cluster_ip {
            _ if service.exposure == Exposure::ExternalName => None,
            ClusterIp::Fixed(address) => Some(address),
            ClusterIp::Assigned => self.virtual_ips.get(name).copied(),
            ClusterIp::Headless => None,
        }
    }

    fn index(&mut self, object: &Object, settings: &Settings) {
        let meta = object.meta();
        let name = (Arc::clone(&meta.namespace), Arc::clone(&meta.name));
        self.attach(object);
        match object {
            Object::Service(service) => self.insert_service(name, Arc::new(service.clone())),
            Object::WorkloadEntry(entry) => {
                let instance = Arc::new(Instance::of_entry(entry, settings));
                self.index_instance(&instance);
                self.entries.insert(name, instance);
            }
            Object::Process(process) => {
                let instance = Arc::new(Instance::of_process(process, settings));
                self.index_instance(&instance);
                self.processes.insert(name, instance);
            }
            Object::Namespace(namespace) => {
                let said = namespace.meta.labels.get(ISTIO_DEFAULTS);
                self.say_defaults(&name.1, said.map(|said| said == "enabled"));
            }
            Object::ReferenceGrant(grant) => drop(self.grants.insert(name, Arc::new(grant.clone()))),
            Object::PeerAuthentication(policy) => {
                self.peer_authentications.insert(name, Arc::new(policy.clone()));
            }
            Object::AuthorizationPolicy(policy) => {
                self.authorization_policies.insert(name, Arc::new(policy.clone()));
            }
            other => {
                let touched = self.istio.insert(&name, other, settings);
                self.touched.extend(touched);
            }
        }
        self.touch_policy(&object.key());
    }

    fn say_defaults(&mut self, namespace: &Arc<str>, said: Option<bool>) {
        let before = match said {
            Some(said) => self.defaults.insert(Arc::clone(namespace), said),
            None => self.defaults.remove(namespace),
        };
        if before != said {
            self.touched.insert(Read::Defaults(Arc::clone(namespace)));
        }
    }

    fn touch_unreadable(&mut self, key: &ObjectKey) {
        self.touched
            .insert(Read::Unreadable(key.kind, Arc::clone(&key.namespace)));
        self.touch_policy(key);
    }

    fn touch_policy(&mut self, key: &ObjectKey) {
        let namespace = Arc::clone(&key.namespace);
        let read = match key.kind {
            Kind::ReferenceGrant => Read::Grants(namespace),
            Kind::PeerAuthentication => Read::PeerAuthentications(namespace),
            Kind::AuthorizationPolicy => Read::AuthorizationPolicies(namespace),
            _ => return,
        };
        self.touched.insert(read);
    }
}

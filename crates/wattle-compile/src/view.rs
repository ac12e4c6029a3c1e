//! Reading, recorded: every query looks at the objects through a [`View`], which notes what it was asked for.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use wattle_api::{
    AccessPolicy, AuthorizationPolicy, Kind, Labels, LinkerdAnnotations, Object, ObjectKey,
    PeerAuthentication, ReferenceGrant, Resource, Service,
};
use wattle_model::ObjectRef;

use crate::any_route::AnyRoute;
use crate::instance::without_number;
use crate::istio::owner::{self, Nearness};
use crate::route::{object_ref, unread};
use crate::store::{Label, Store, in_namespace, slots};
use crate::{Instance, Name, Read, Settings};

mod istio;

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

    /// The Service with this virtual address for callers in `from`: when several claim it their own namespace's, else the
    /// root namespace's, else the one that it was assigned to, else the first by name.
    pub(crate) fn service_at(&self, address: IpAddr, from: &str) -> Option<Name> {
        self.read(Read::Address(address));
        let assigned = self.store.assigned_at.get(&address);
        let is_assigned = |name: &Name| assigned.is_some_and(|names| names.contains(name));
        let near = |name: &Name| owner::nearness(&name.0, from, self);
        let claims = |name: &&Name| assigned.is_none() || is_assigned(name) || near(name) < Nearness::Other;
        let claiming = self.store.services_at.get(&address)?.iter().filter(claims);
        claiming.min_by_key(|name| near(name)).cloned()
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

    /// What Linkerd's default policy of a workload is and which object says so: itself, the Process that it is a copy of, or
    /// its Namespace. An error is a Namespace that cannot be read and might say so.
    pub(crate) fn default_policy(
        &self,
        instance: &Instance,
    ) -> Option<Result<(AccessPolicy, ObjectRef), &'a ObjectKey>> {
        let process = self.process_of(instance);
        let own = [Some(instance), process.map(|process| &**process)];
        let mut said = own
            .into_iter()
            .flatten()
            .filter_map(|said| Some((said.default_policy?, &said.key)));
        if let Some((policy, key)) = said.next() {
            return Some(Ok((policy, self.origin(key))));
        }
        let namespace = &instance.key.namespace;
        self.read(Read::Namespace(Arc::clone(namespace)));
        self.read(Read::Unreadable(Kind::Namespace, "".into()));
        let mut lost = self.store.unreadable(Kind::Namespace, "");
        if let Some(lost) = lost.find(|key| key.name == *namespace) {
            return Some(Err(lost));
        }
        let key = ObjectKey::new(Kind::Namespace, "", Arc::clone(namespace));
        let object = self.store.objects.get(&key)?;
        let policy = LinkerdAnnotations::of(object.meta()).default_inbound_policy?;
        Some(Ok((policy, self.origin(&key))))
    }

    /// Where an object was written.
    fn origin(&self, key: &ObjectKey) -> ObjectRef {
        match self.store.objects.get(key) {
            Some(object) => object_ref(object.meta(), key.kind, object.origin()),
            None => unread(key),
        }
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

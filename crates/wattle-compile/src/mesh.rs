//! The compiler's state and its queries.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use wattle_api::{Diagnostic, Object, ObjectKey};
use wattle_model::{Destination, Endpoints, Inbound, Workload};

mod listing;

pub use listing::Apart;

use crate::any_route::AnyRoute;
use crate::cache::{Cache, Compiled};
use crate::store::Store;
use crate::view::View;
use crate::{ResourceName, RouteStatus, Settings, destination, diagnose, endpoints, inbound, names, status};

/// The objects of a mesh and what was compiled of them.
///
/// Queries compile on demand and keep their result until an object they read changes. After changes,
/// [`Mesh::take_changed`] names the results that were dropped; who wants them asks again and compares. As many results
/// are kept as were asked for and not given back with [`Mesh::forget`]: who asks for others bounds how much they may ask.
pub struct Mesh {
    settings: Settings,
    store: Store,
    cache: Cache,
    stale: BTreeSet<ResourceName>,
    compiled: u64,
}

impl Mesh {
    /// A mesh without objects.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            store: Store::default(),
            cache: Cache::default(),
            stale: BTreeSet::new(),
            compiled: 0,
        }
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Adds an object, or replaces the one of the same key.
    pub fn apply(&mut self, object: Object) {
        self.store.apply(object, &self.settings);
        self.invalidate();
    }

    /// Notes that the object of this key is there and cannot be read, until it is applied or deleted.
    ///
    /// It fails closed: without an older version in force, an AuthorizationPolicy refuses everything in its namespace
    /// (in the root namespace: in the mesh), and a PeerAuthentication asks for mutual TLS there.
    pub fn refuse(&mut self, key: ObjectKey) {
        self.store.refuse(key);
        self.invalidate();
    }

    /// Removes an object; nothing happens when there is none.
    pub fn delete(&mut self, key: &ObjectKey) {
        self.store.delete(key);
        self.invalidate();
    }

    /// Replaces all objects; what is the same as before stays compiled. Nothing counts as unreadable afterwards.
    pub fn reset(&mut self, objects: Vec<Object>) {
        let keys: BTreeSet<_> = objects.iter().map(Object::key).collect();
        let gone: Vec<_> = self
            .store
            .objects
            .keys()
            .filter(|key| !keys.contains(key))
            .cloned()
            .collect();
        self.store.readable();
        for key in gone {
            self.store.delete(&key);
        }
        for object in objects {
            self.store.apply(object, &self.settings);
        }
        self.invalidate();
    }

    /// Gives a Service without an address of its own a virtual one, or takes it away.
    pub fn assign_virtual_ip(&mut self, namespace: &str, name: &str, address: Option<IpAddr>) {
        self.store.assign(&(namespace.into(), name.into()), address);
        self.invalidate();
    }

    /// Sets or forgets the keys that were fetched from an address.
    pub fn set_key_set(&mut self, address: &Arc<str>, keys: Option<Arc<str>>) {
        self.store.set_key_set(address, keys);
        self.invalidate();
    }

    /// The object of this key.
    pub fn object(&self, key: &ObjectKey) -> Option<&Object> {
        self.store.objects.get(key).map(|object| &**object)
    }

    /// Every object, by kind, namespace and name.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.store.objects.values().map(|object| &**object)
    }

    /// The results that changes since the last call have dropped.
    pub fn take_changed(&mut self) -> BTreeSet<ResourceName> {
        std::mem::take(&mut self.stale)
    }

    /// Drops a result that nobody wants any more.
    pub fn forget(&mut self, name: &ResourceName) {
        self.cache.forget(name);
        self.stale.remove(name);
    }

    /// How many results were compiled since the start, for metrics and tests.
    pub fn compiled(&self) -> u64 {
        self.compiled
    }

    /// How many results are kept.
    pub fn kept(&self) -> usize {
        self.cache.len()
    }

    /// What `ip:port` or `host:port` is for callers in namespace `from`; `None` when `name` is neither.
    pub fn destination(&mut self, name: &str, from: &str) -> Option<Arc<Destination>> {
        let name = ResourceName::Destination {
            name: name.into(),
            from: from.into(),
        };
        match self.query(&name) {
            Compiled::Destination(found) => found,
            _ => None,
        }
    }

    /// The endpoints of a backend, by the id that a destination gave; `None` when there is no such backend.
    pub fn endpoints(&mut self, id: &str) -> Option<Arc<Endpoints>> {
        match self.query(&ResourceName::Endpoints(id.into())) {
            Compiled::Endpoints(found) => found,
            _ => None,
        }
    }

    /// What the proxy of `namespace/instance` enforces; `None` when there is no such workload.
    pub fn inbound(&mut self, name: &str) -> Option<Arc<Inbound>> {
        match self.query(&ResourceName::Inbound(name.into())) {
            Compiled::Inbound(found) => found,
            _ => None,
        }
    }

    /// The workload at an address; `None` when there is none.
    pub fn peer(&mut self, address: IpAddr) -> Option<Arc<Workload>> {
        match self.query(&ResourceName::Peer(address.to_canonical())) {
            Compiled::Peer(found) => found,
            _ => None,
        }
    }

    /// What is to be said about the objects, by file and place.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        diagnose::all(&self.store, &self.settings)
    }

    /// The status of every route, by kind and name.
    pub fn route_statuses(&self) -> Vec<RouteStatus> {
        let view = self.view();
        self.store
            .objects
            .values()
            .filter_map(|object| AnyRoute::of(object))
            .map(|route| status::of(&route, &view))
            .collect()
    }

    pub(crate) fn view(&self) -> View<'_> {
        View::new(&self.store, &self.settings)
    }

    fn invalidate(&mut self) {
        let touched = self.store.take_touched();
        if !touched.is_empty() {
            self.stale.extend(self.cache.invalidate(&touched));
        }
    }

    pub(crate) fn query(&mut self, name: &ResourceName) -> Compiled {
        if let Some(found) = self.cache.find(name) {
            return found.clone();
        }
        let view = View::new(&self.store, &self.settings);
        let compiled = compile(name, &view);
        self.cache.keep(name, compiled.clone(), view.into_reads());
        self.compiled += 1;
        compiled
    }
}

fn compile(name: &ResourceName, view: &View<'_>) -> Compiled {
    match name {
        ResourceName::Destination { name, from } => {
            Compiled::Destination(destination::destination(name, from, view).map(Arc::new))
        }
        ResourceName::Endpoints(id) => Compiled::Endpoints(endpoints::endpoints(id, view).map(Arc::new)),
        ResourceName::Inbound(name) => Compiled::Inbound(inbound::inbound(name, view).map(Arc::new)),
        ResourceName::Peer(address) => Compiled::Peer(
            view.workload_at(*address)
                .map(|instance| Arc::clone(&instance.workload)),
        ),
        ResourceName::Names(namespace) => Compiled::Names(Arc::new(names::names(namespace, view))),
    }
}

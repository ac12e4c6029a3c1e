//! All that can be asked of a mesh, and what changes when one object changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wattle_api::{Diagnostic, Object};
use wattle_compile::{Mesh, ResourceName, Settings};
use wattle_model::{Destination, Endpoints, Inbound, Names, Workload};

/// Names and addresses outside the mesh that policies of the corpus are about.
const OUTSIDE: &[&str] = &[
    "api.example:443",
    "a.cdn.example:443",
    "api.example:5432",
    "old.example:80",
    "198.51.100.1:443",
    "198.51.100.9:443",
    "203.0.113.1:80",
];

/// One answer of a mesh.
#[derive(Debug, Clone, PartialEq)]
enum Answer {
    Destination(Option<Arc<Destination>>),
    Endpoints(Option<Arc<Endpoints>>),
    Inbound(Option<Arc<Inbound>>),
    Peer(Option<Arc<Workload>>),
    Names(Arc<Names>),
}

/// The corpus as a mesh, with all its answers.
pub(crate) struct World {
    mesh: Mesh,
    namespaces: BTreeSet<Arc<str>>,
    answers: BTreeMap<ResourceName, Answer>,
    names: Vec<ResourceName>,
    rest: String,
    /// What may have changed since it was asked for.
    stale: BTreeSet<ResourceName>,
    /// The last answer that was another one: the first to ask for.
    differed: Option<ResourceName>,
}

impl World {
    pub(crate) fn new(texts: &[String]) -> Self {
        let mut mesh = Mesh::new(Settings::default());
        let objects = texts
            .iter()
            .flat_map(|text| wattle_api::parse(text, "corpus").objects);
        objects.for_each(|object| mesh.apply(object));
        let namespaces = mesh.objects().map(|object| Arc::clone(&object.meta().namespace));
        let namespaces = namespaces.filter(|namespace| !namespace.is_empty()).collect();
        for (number, (namespace, name)) in (1..).zip(mesh.without_virtual_ip()) {
            mesh.assign_virtual_ip(&namespace, &name, Some([10, 97, 0, number].into()));
        }
        for address in mesh.key_addresses().into_keys() {
            mesh.set_key_set(&address, Some(format!("keys of {address}").into()));
        }
        let mut world = Self {
            mesh,
            namespaces,
            answers: BTreeMap::new(),
            names: Vec::new(),
            rest: String::new(),
            stale: BTreeSet::new(),
            differed: None,
        };
        world.names = world.names();
        world.rest = world.rest();
        world.keep(world.names.clone());
        world
    }

    /// What the compiler says about the objects.
    pub(crate) fn diagnostics(&self) -> Vec<Diagnostic> {
        self.mesh.diagnostics()
    }

    /// Whether anything but a diagnostic is different with `changed` in place of `object`.
    pub(crate) fn differs(&mut self, object: &Object, changed: Object) -> bool {
        if changed == *object {
            return false;
        }
        let key = changed.key();
        let replaced = self.mesh.object(&key).filter(|_| key != object.key()).cloned();
        self.mesh.delete(&object.key());
        self.mesh.apply(changed);
        let different = self.has_other_answers() || self.names() != self.names || self.rest() != self.rest;
        self.mesh.delete(&key);
        replaced
            .into_iter()
            .for_each(|replaced| self.mesh.apply(replaced));
        self.mesh.apply(object.clone());
        different
    }

    /// Whether some answer is another one than at first. What is compiled again is told of when it changes again, so that
    /// only what was told of and not compiled since needs to be asked for.
    fn has_other_answers(&mut self) -> bool {
        self.stale.extend(self.mesh.take_changed());
        let mut last = self.differed.take().filter(|last| self.stale.contains(last));
        while let Some(name) = last.take().or_else(|| self.stale.first().cloned()) {
            if answer(&mut self.mesh, &name) != self.answers[&name] {
                self.differed = Some(name);
                return true;
            }
            self.stale.remove(&name);
        }
        false
    }

    /// Asks for `names`, and for the endpoints of the backends found.
    fn keep(&mut self, names: Vec<ResourceName>) {
        for name in names {
            let found = answer(&mut self.mesh, &name);
            if let Answer::Destination(Some(found)) = &found {
                let backends = found.backends.iter().map(|backend| Arc::clone(&backend.id));
                self.keep(backends.map(ResourceName::Endpoints).collect());
            }
            self.answers.insert(name, found);
        }
    }

    fn rest(&self) -> String {
        format!(
            "{:?} {:?} {:?} {:?}",
            self.mesh.route_statuses(),
            self.mesh.services().collect::<Vec<_>>(),
            self.mesh.without_virtual_ip(),
            self.mesh.key_addresses()
        )
    }

    fn names(&self) -> Vec<ResourceName> {
        let dialled: BTreeSet<Arc<str>> = self.dialled().into_iter().map(Into::into).collect();
        let seen = |name: &Arc<str>| {
            let name = Arc::clone(name);
            self.namespaces.iter().map(move |from| ResourceName::Destination {
                name: Arc::clone(&name),
                from: Arc::clone(from),
            })
        };
        let destinations = dialled.iter().flat_map(seen);
        let inbounds = self.mesh.workloads().map(|workload| {
            let (namespace, name) = workload.name();
            ResourceName::Inbound(format!("{namespace}/{name}").into())
        });
        let addresses = self.mesh.workloads().filter_map(|workload| workload.address);
        destinations
            .chain(inbounds)
            .chain(addresses.map(ResourceName::Peer))
            .chain(self.namespaces.iter().cloned().map(ResourceName::Names))
            .collect()
    }

    fn dialled(&self) -> Vec<String> {
        let hosts = self
            .mesh
            .ports()
            .into_iter()
            .map(|(host, port)| format!("{host}:{port}"));
        let outside = OUTSIDE.iter().map(|name| (*name).to_owned());
        let workloads = self.mesh.workloads().filter_map(|workload| workload.address);
        let workloads = workloads.flat_map(|address| [8080, 9090].map(|port| format!("{address}:{port}")));
        let services = self.mesh.services().filter_map(|(_, address, _)| address);
        let services = services.flat_map(|address| [80, 443].map(|port| format!("{address}:{port}")));
        hosts.chain(outside).chain(workloads).chain(services).collect()
    }
}

fn answer(mesh: &mut Mesh, name: &ResourceName) -> Answer {
    match name {
        ResourceName::Destination { name, from } => Answer::Destination(mesh.destination(name, from)),
        ResourceName::Endpoints(id) => Answer::Endpoints(mesh.endpoints(id)),
        ResourceName::Inbound(name) => Answer::Inbound(mesh.inbound(name)),
        ResourceName::Peer(address) => Answer::Peer(mesh.peer(*address)),
        ResourceName::Names(namespace) => Answer::Names(mesh.names(namespace)),
    }
}

//! What the manifests want to run: the Process objects in force, kept by applying the source's events.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::rc::Rc;
use std::sync::Arc;

use wattle_api::{Datagrams, Kind, Labels, Object, ObjectKey, Process, Resource};
use wattle_capture::privileges::PROXY_UID;
use wattle_source::{Batch, Event};

use super::plan::Desired;
use super::status::Name;

/// Label that switches a workload's proxy off.
const INJECT: &str = "wattle.io/inject";

/// The objects in force.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    objects: BTreeMap<ObjectKey, Arc<Object>>,
}

/// A Service as far as names need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SelectingService {
    /// Its name.
    pub(crate) name: Name,
    /// Labels of the workloads behind it; never empty.
    pub(crate) selector: Labels,
}

impl Wanted {
    /// Takes in what the source says. What has become unreadable stays as it was: a slip of the pen must not stop a process.
    pub(crate) fn update(&mut self, batch: Batch) {
        for event in batch {
            match event {
                Event::Reset(snapshot) => {
                    let keyed = snapshot.objects.into_iter().map(|object| (object.key(), object));
                    self.objects = keyed.collect();
                }
                Event::Apply(object) | Event::Rewritten(object) => {
                    self.objects.insert(object.key(), object);
                }
                Event::Delete(key) => {
                    self.objects.remove(&key);
                }
                Event::Unreadable(_) | Event::Diagnosed { .. } => {}
            }
        }
    }

    /// The processes, each with its name.
    pub(crate) fn processes(&self) -> impl Iterator<Item = (Name, &Resource<Process>)> {
        self.objects.values().filter_map(|object| match &**object {
            Object::Process(process) => Some((name_of(process), process)),
            _ => None,
        })
    }

    /// One process.
    pub(crate) fn process(&self, name: &Name) -> Option<Rc<Resource<Process>>> {
        let found = self.processes().find(|(known, _)| known == name);
        found.map(|(_, process)| Rc::new(process.clone()))
    }

    /// What the planner needs to know; a process that must not run is left out.
    pub(crate) fn desired(&self) -> Vec<Desired> {
        let allowed = self.processes().filter(|(_, process)| refusal(process).is_none());
        allowed
            .map(|(process, resource)| Desired {
                process,
                fingerprint: fingerprint(resource, self.refuses_datagrams(resource)),
                replicas: resource.spec.replicas,
            })
            .collect()
    }

    /// Whether a process is to send and take no datagrams, by itself or by its Namespace.
    pub(crate) fn refuses_datagrams(&self, process: &Resource<Process>) -> bool {
        let namespace = ObjectKey::new(Kind::Namespace, "", Arc::clone(&process.meta.namespace));
        let namespace = self.objects.get(&namespace).map(|object| object.meta());
        let said = [Some(&process.meta), namespace];
        said.into_iter().flatten().find_map(Datagrams::of) == Some(Datagrams::Deny)
    }

    /// The processes that must not run, and why.
    pub(crate) fn refused(&self) -> Vec<(Name, &'static str)> {
        self.processes()
            .filter_map(|(name, process)| Some((name, refusal(process)?)))
            .collect()
    }

    /// The Services that select workloads.
    pub(crate) fn services(&self) -> Vec<SelectingService> {
        let services = self.objects.values().filter_map(|object| match &**object {
            Object::Service(service) if !service.spec.selector.is_empty() => Some(SelectingService {
                name: Name::new(&*service.meta.namespace, &*service.meta.name),
                selector: service.spec.selector.clone(),
            }),
            _ => None,
        });
        services.collect()
    }
}

fn name_of(process: &Resource<Process>) -> Name {
    Name::new(&*process.meta.namespace, &*process.meta.name)
}

/// Whether a process has a proxy.
pub(crate) fn is_meshed(process: &Resource<Process>) -> bool {
    let says = |labels: &Labels| labels.get(INJECT).map(String::as_str) == Some("disabled");
    process.spec.proxy.enabled && !says(&process.meta.labels) && !says(&process.meta.annotations)
}

/// The proxy's own user is exempt from redirection, so an application with that user would be outside the mesh.
fn refusal(process: &Resource<Process>) -> Option<&'static str> {
    let evades = process.spec.run_as_user == Some(PROXY_UID) && is_meshed(process);
    evades.then_some("spec.runAsUser is 1337, the proxy's own user, whose traffic the mesh does not see")
}

/// Changes when an instance has to be replaced: with anything but the number of copies.
fn fingerprint(process: &Resource<Process>, refuses_datagrams: bool) -> u64 {
    let spec = Process {
        replicas: 1,
        ..process.spec.clone()
    };
    let mut hasher = DefaultHasher::new();
    // Only equality within this run counts, so the order of fields and the hasher may change between versions.
    format!("{spec:?}{:?}{:?}", process.meta.labels, is_meshed(process)).hash(&mut hasher);
    process.origin.file.hash(&mut hasher);
    refuses_datagrams.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn process(spec: &str, labels: &str) -> Arc<Object> {
        let text = format!(
            "apiVersion: wattle.io/v1alpha1\nkind: Process\nmetadata: {{name: web, labels: {{{labels}}}}}\nspec: {{command: [web]{spec}}}\n"
        );
        let parsed = wattle_api::parse(&text, "/mesh/web.yaml");
        assert!(parsed.diagnostics.is_empty(), "{:?}", parsed.diagnostics);
        Arc::new(parsed.objects.into_iter().next().unwrap())
    }

    fn desired(object: &Arc<Object>) -> Vec<Desired> {
        let mut wanted = Wanted::default();
        wanted.update(vec![Event::Apply(Arc::clone(object))]);
        wanted.desired()
    }

    #[test]
    fn a_change_of_command_environment_or_labels_replaces_and_one_of_replicas_does_not() {
        let fingerprint = |spec, labels| desired(&process(spec, labels))[0].fingerprint;
        let first = fingerprint("", "version: v1");
        assert_eq!(first, fingerprint(", replicas: 5", "version: v1"));
        assert_ne!(first, fingerprint("", "version: v2"));
        assert_ne!(first, fingerprint(", env: [{name: A, value: b}]", "version: v1"));
    }

    #[test]
    fn datagrams_are_refused_where_a_process_or_else_its_namespace_says_so_and_a_change_replaces() {
        let object = |kind: &str, annotation: &str| {
            let text = format!("{kind}\nmetadata: {{name: default, annotations: {{{annotation}}}}}\n");
            let spec = if kind.contains("Process") {
                "spec: {command: [web]}\n"
            } else {
                ""
            };
            let objects = wattle_api::parse(&format!("{text}{spec}"), "/mesh/web.yaml").objects;
            Arc::new(objects.into_iter().next().unwrap())
        };
        let found = |process: &str, namespace: &str| {
            let mut wanted = Wanted::default();
            let process = object("apiVersion: wattle.io/v1alpha1\nkind: Process", process);
            let namespace = object("apiVersion: v1\nkind: Namespace", namespace);
            wanted.update([process, namespace].map(Event::Apply).into());
            let (_, process) = wanted.processes().next().unwrap();
            (wanted.refuses_datagrams(process), wanted.desired()[0].fingerprint)
        };
        let (deny, allow) = ("wattle.io/udp: deny", "wattle.io/udp: allow");
        let (open, closed) = (found("", ""), found("", deny));
        assert!(!open.0 && closed.0 && open.1 != closed.1);
        assert_eq!(found(deny, ""), closed);
        assert_eq!(found(deny, allow), closed);
        assert_eq!(found(allow, deny), open);
    }

    #[test]
    fn an_application_must_not_be_the_proxys_user() {
        assert!(desired(&process(", runAsUser: 1337", "")).is_empty());
        assert_eq!(
            desired(&process(", runAsUser: 1337, proxy: {enabled: false}", "")).len(),
            1
        );
        assert_eq!(
            desired(&process(", runAsUser: 1337", "wattle.io/inject: disabled")).len(),
            1
        );
    }

    #[test]
    fn an_object_that_became_unreadable_goes_on_running_and_a_deleted_one_does_not() {
        let object = process("", "");
        let mut wanted = Wanted::default();
        wanted.update(vec![Event::Apply(Arc::clone(&object))]);
        wanted.update(vec![Event::Unreadable(wattle_source::Unreadable {
            key: object.key(),
            file: "/mesh/web.yaml".into(),
            at: wattle_api::Place { line: 1, column: 1 },
        })]);
        assert_eq!(wanted.desired().len(), 1);
        wanted.update(vec![Event::Delete(object.key())]);
        assert!(wanted.desired().is_empty());
    }
}

//! The demo's mesh directory is read by the API without a complaint, and says what the services expect.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;
use wattle_api::{Kind, Object, Process, Resource, Severity};
use wattle_demo::manifests::{self, Weights};
use wattle_demo::{Name, Settings, script};

fn objects() -> Vec<Object> {
    let mut objects = Vec::new();
    for manifest in manifests::manifests(Path::new("/usr/bin/wattle")) {
        let parsed = wattle_api::parse(&manifest.text, manifest.file);
        let worse: Vec<_> = parsed
            .diagnostics
            .iter()
            .filter(|found| found.severity != Severity::Info)
            .collect();
        assert!(worse.is_empty(), "{worse:#?}");
        objects.extend(parsed.objects);
    }
    objects
}

fn processes(objects: &[Object]) -> Vec<&Resource<Process>> {
    let mut processes = Vec::new();
    for object in objects {
        if let Object::Process(process) = object {
            processes.push(process);
        }
    }
    processes
}

fn names(objects: &[Object], kind: Kind) -> BTreeSet<String> {
    let of_kind = objects.iter().map(Object::key).filter(|key| key.kind == kind);
    of_kind.map(|key| key.name.to_string()).collect()
}

#[test]
fn every_object_is_in_the_shop_and_there_once() {
    let objects = objects();
    let keys: BTreeSet<String> = objects.iter().map(|object| object.key().to_string()).collect();
    assert_eq!(keys.len(), objects.len());
    assert!(keys.iter().all(|key| key.contains("shop")), "{keys:#?}");
}

#[test]
fn a_mesh_has_nothing_to_say_against_them() {
    let mut mesh = wattle_compile::Mesh::new(wattle_compile::Settings::default());
    mesh.reset(objects());
    let worse: Vec<_> = mesh
        .diagnostics()
        .into_iter()
        .filter(|found| found.severity != Severity::Info)
        .collect();
    assert!(worse.is_empty(), "{worse:#?}");
    let statuses = mesh.route_statuses();
    let mut conditions = statuses
        .iter()
        .flat_map(|route| &route.parents)
        .flat_map(|parent| &parent.conditions);
    assert!(
        statuses.len() == 1 && conditions.all(|condition| condition.holds),
        "{statuses:#?}"
    );
}

#[test]
fn every_process_runs_a_sample_that_exists_on_the_port_it_listens_on() {
    let objects = objects();
    let mut run = BTreeSet::new();
    for process in processes(&objects) {
        let [program, verb, sample] = process.spec.command.as_slice() else {
            panic!("{:?}", process.spec)
        };
        assert_eq!((program.as_str(), verb.as_str()), ("/usr/bin/wattle", "sample"));
        let name: Name = sample.parse().unwrap();
        let env = &process.spec.env;
        let settings = Settings::read(name, |key| {
            env.iter()
                .find(|variable| variable.name == key)
                .map(|variable| variable.value.clone())
        });
        let settings = settings.unwrap();
        assert_eq!(
            process.meta.labels.get("version").unwrap().to_string(),
            settings.version
        );
        let ports: Vec<u16> = process.spec.ports.iter().map(|port| port.port.number()).collect();
        assert_eq!(
            ports,
            if name.port() == 0 {
                vec![]
            } else {
                vec![name.port()]
            },
            "{name}"
        );
        assert_ne!(
            process.spec.service_account_name, "default",
            "{name} has an account of its own"
        );
        assert_eq!(process.spec.readiness.is_some(), name.port() != 0, "{name}");
        run.insert(sample.clone());
    }
    assert_eq!(run.len(), Name::ALL.len(), "every sample is run by some process");
}

#[test]
fn whoever_is_called_by_name_is_a_service() {
    let services = names(&objects(), Kind::Service);
    for name in Name::ALL.iter().filter(|name| name.port() != 0) {
        assert!(services.contains(name.as_str()), "{name}");
    }
    assert!(services.contains("reviews-v1") && services.contains("reviews-v2"));
}

#[test]
fn whoever_is_waited_for_is_a_process() {
    let objects = objects();
    let known = names(&objects, Kind::Process);
    for process in processes(&objects) {
        assert!(
            process.spec.depends_on.iter().all(|name| known.contains(name)),
            "{:?}",
            process.spec.depends_on
        );
    }
}

#[test]
fn the_script_kills_and_denies_what_is_there() {
    let objects = objects();
    let victim = processes(&objects)
        .into_iter()
        .find(|process| *process.meta.name == *script::VICTIM.process)
        .unwrap();
    assert!(victim.spec.replicas >= 2, "the one that is killed has a twin");
    assert!(names(&objects, Kind::Process).contains(script::DENIED.from));
    assert!(names(&objects, Kind::Service).contains(script::DENIED.destination));
    assert_eq!(names(&objects, Kind::AuthorizationPolicy).len(), 3);
    assert_eq!(names(&objects, Kind::PeerAuthentication).len(), 1);
}

#[test]
fn weights_that_shift_are_read_as_weights() {
    for weights in [
        Weights::CANARY,
        Weights { v1: 50, v2: 50 },
        Weights { v1: 0, v2: 100 },
    ] {
        let manifest = manifests::reviews_route(weights);
        let parsed = wattle_api::parse(&manifest.text, manifest.file);
        let [Object::HttpRoute(route)] = parsed.objects.as_slice() else {
            panic!("{parsed:?}")
        };
        let found: Vec<u32> = route.spec.rules[0]
            .backend_refs
            .iter()
            .map(|backend| backend.weight)
            .collect();
        assert_eq!(found, [weights.v1, weights.v2]);
    }
}

#[test]
fn a_directory_is_written_whole_and_can_be_shifted() {
    let dir = tempfile::tempdir().unwrap();
    let mesh = dir.path().join("new/mesh");
    manifests::write_to(&mesh, Path::new("/usr/bin/wattle")).unwrap();
    let all = manifests::manifests(Path::new("/usr/bin/wattle"));
    manifests::reviews_route(Weights { v1: 0, v2: 100 })
        .write_to(&mesh)
        .unwrap();
    assert_eq!(
        std::fs::read_dir(&mesh).unwrap().count(),
        all.len(),
        "nothing is left beside the files"
    );
    assert!(
        std::fs::read_to_string(mesh.join("reviews-route.yaml"))
            .unwrap()
            .contains("weight: 100")
    );
    let error = manifests::write_to(Path::new("/proc/nowhere"), Path::new("/w")).unwrap_err();
    assert!(error.to_string().starts_with("writing /proc/nowhere"), "{error}");
}

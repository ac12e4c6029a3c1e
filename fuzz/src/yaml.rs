//! What people write, all the way: text to objects, to compiled values, to decisions, to bytes and back.

use std::fmt::Write;

use wattle_api::{Object, parse, parse_bytes};
use wattle_compile::{Mesh, Settings};
use wattle_model::{Destination, Inbound};
use wattle_wire::{Peer, Resource};

use crate::facts::Facts;

/// Objects of one input that are compiled, so that an execution stays short.
const MAX_OBJECTS: usize = 40;

/// The whole input is one file.
pub fn run(input: &[u8]) {
    let mut parsed = parse_bytes(input, "in.yaml");
    let mut said = String::new();
    for diagnostic in &parsed.diagnostics {
        let _ = writeln!(said, "{diagnostic}");
    }
    parsed.objects.truncate(MAX_OBJECTS);
    parsed.objects.iter().for_each(comes_back);
    let compiled = ask(&mut mesh(&parsed.objects));
    compiled.iter().for_each(|resource| {
        decides(resource);
        survives_the_wire(resource);
    });
    // The last of several objects of one name wins: there the order does count.
    if parsed.objects.len() == mesh(&parsed.objects).objects().count() {
        parsed.objects.reverse();
        let reversed = ask(&mut mesh(&parsed.objects));
        assert_eq!(compiled, reversed, "the order of objects counts");
    }
    let mut mesh = mesh(&parsed.objects);
    for refused in parsed.refused.iter().take(MAX_OBJECTS) {
        refused.key.iter().for_each(|key| mesh.refuse(key.clone()));
    }
    drop(ask(&mut mesh));
}

/// A manifest parses to the object that wrote it.
fn comes_back(object: &Object) {
    let manifest = object
        .manifest()
        .expect("every field is text, number, list or mapping");
    let again = parse(&manifest.to_string(), "again.yaml");
    assert_eq!(
        again.objects.first(),
        Some(object),
        "{manifest}\n{:?}",
        again.diagnostics
    );
}

fn mesh(objects: &[Object]) -> Mesh {
    let mut mesh = Mesh::new(Settings::default());
    for object in objects {
        mesh.apply(object.clone());
    }
    for (last, (namespace, name)) in (1..=250).zip(mesh.without_virtual_ip()) {
        mesh.assign_virtual_ip(&namespace, &name, Some([10, 96, 0, last].into()));
    }
    mesh
}

/// Everything that a proxy could ask for.
fn ask(mesh: &mut Mesh) -> Vec<Resource> {
    let mut answers: Vec<_> = names(mesh)
        .iter()
        .filter_map(|name| mesh.destination(name, "default"))
        .map(|found| Resource::Destination((*found).clone()))
        .collect();
    let backends: Vec<_> = answers.iter().flat_map(backend_ids).collect();
    answers.extend(backends.iter().filter_map(|id| {
        drop(mesh.workloads_of(id));
        Some(Resource::Endpoints((*mesh.endpoints(id)?).clone()))
    }));
    let workloads: Vec<_> = mesh
        .workloads()
        .map(|found| (found.name(), found.address))
        .collect();
    for ((namespace, name), address) in workloads {
        let inbound = mesh.inbound(&format!("{namespace}/{name}"));
        answers.extend(inbound.map(|found| Resource::Inbound((*found).clone())));
        let peer = address.and_then(|ip| Some((ip, mesh.peer(ip)?)));
        answers.extend(peer.map(|(ip, found)| {
            Resource::Peer(Peer {
                ip,
                workload: (*found).clone(),
            })
        }));
    }
    drop((mesh.diagnostics(), mesh.route_statuses()));
    answers
}

/// Every Service by host and by address, on each of its ports.
fn names(mesh: &Mesh) -> Vec<String> {
    let addressed: Vec<_> = mesh.services().collect();
    let mut names = Vec::new();
    for object in mesh.objects() {
        let Object::Service(service) = object else {
            continue;
        };
        let hosts = addressed
            .iter()
            .filter(|((space, name), _, _)| *space == service.meta.namespace && *name == service.meta.name);
        for (_, ip, host) in hosts {
            for port in service.spec.ports.iter().map(|port| port.port.number()) {
                names.push(format!("{host}:{port}"));
                names.extend(ip.map(|ip| std::net::SocketAddr::new(ip, port).to_string()));
            }
        }
    }
    names
}

fn backend_ids(resource: &Resource) -> Vec<String> {
    match resource {
        Resource::Destination(found) => found
            .backends
            .iter()
            .map(|backend| backend.id.to_string())
            .collect(),
        _ => Vec::new(),
    }
}

fn decides(resource: &Resource) {
    match resource {
        Resource::Destination(found) => routes(found),
        Resource::Inbound(found) => admits(found),
        _ => {}
    }
}

fn routes(destination: &Destination) {
    for facts in Facts::SOME {
        facts.route(destination);
    }
}

fn admits(inbound: &Inbound) {
    for facts in Facts::SOME {
        facts.authorize(inbound);
    }
}

fn survives_the_wire(resource: &Resource) {
    let kind = resource.name().kind;
    let decoded = Resource::decode(kind, &resource.encode().bytes);
    assert_eq!(decoded.as_ref(), Ok(resource), "not the same on the other side");
}

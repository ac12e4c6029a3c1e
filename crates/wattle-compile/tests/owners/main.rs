//! Who routes the callers of a host, and whose ServiceEntry of it counts.
#![allow(clippy::unwrap_used)]

use wattle_compile::{Mesh, Settings};
use wattle_model::Destination;

mod addresses;
mod entries;
mod routes;

const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: s, namespace: shop}\n\
    spec: {selector: {app: s}, ports: [{name: http, port: 80}]}\n";

fn mesh(objects: &[String]) -> Mesh {
    let mut mesh = Mesh::new(Settings::default());
    let parsed = wattle_api::parse(&objects.join("---\n"), "t.yaml");
    assert!(parsed.refused.is_empty(), "{:?}", parsed.diagnostics);
    for object in parsed.objects {
        mesh.apply(object);
    }
    mesh
}

/// A VirtualService of a namespace that was made in a year.
fn virtual_service(namespace: &str, year: u16, spec: &str) -> String {
    format!(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\n\
         metadata: {{name: v, namespace: {namespace}, creationTimestamp: '{year}-01-01T00:00:00Z'}}\nspec: {{{spec}}}\n"
    )
}

/// The namespaces of the VirtualService that callers in each of three namespaces follow.
fn followed(mesh: &mut Mesh, host: &str) -> [String; 3] {
    ["shop", "author", "other"].map(|from| {
        let destination = mesh.destination(host, from).unwrap();
        author(&destination)
    })
}

fn author(destination: &Destination) -> String {
    let rules = destination.routes.rules().iter().map(|rule| &rule.origin.object);
    let connections = destination.connections.iter().map(|route| &route.origin.object);
    let mut authors = rules
        .chain(connections)
        .map(|object| object.namespace.to_string());
    authors.next().unwrap_or_default()
}

/// What is said of the object of a kind and namespace, under a code.
fn told(mesh: &Mesh, kind: &str, namespace: &str, code: &str) -> Vec<String> {
    let about = |said: &wattle_api::Diagnostic| {
        let object = said.object.as_ref().unwrap();
        said.code == code && object.kind.to_string() == kind && &*object.namespace == namespace
    };
    let found = mesh.diagnostics();
    let found = found.iter().filter(|said| about(said));
    found
        .map(|said| format!("{}: {}; {}", said.field, said.reason, said.hint))
        .collect()
}

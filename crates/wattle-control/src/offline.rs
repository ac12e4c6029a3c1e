//! A mesh from a directory, without anything running.

use std::path::Path;
use std::sync::Arc;

use wattle_api::Diagnostic;
use wattle_compile::{Mesh, Settings};
use wattle_source::Directory;

use crate::virtual_ips::VirtualIps;

/// Reads the manifests below `directory` and compiles them with default settings; gives everything there is to say about them.
pub fn load(directory: &Path) -> (Mesh, Vec<Diagnostic>) {
    load_with(&Directory::new(directory), Settings::default())
}

/// The same with other settings.
pub fn load_with(directory: &Directory, settings: Settings) -> (Mesh, Vec<Diagnostic>) {
    let snapshot = directory.read();
    let mut mesh = Mesh::new(settings);
    mesh.reset(snapshot.objects.into_iter().map(Arc::unwrap_or_clone).collect());
    for unreadable in snapshot.unreadable {
        mesh.refuse(unreadable.key);
    }
    VirtualIps::default().serve(&mut mesh);
    let mut diagnostics = snapshot.diagnostics;
    diagnostics.extend(mesh.diagnostics());
    sort(&mut diagnostics);
    (mesh, diagnostics)
}

/// Sorts as a reader goes through files.
pub(crate) fn sort(diagnostics: &mut [Diagnostic]) {
    diagnostics.sort_by(|a, b| (&a.file, a.at, &a.field).cmp(&(&b.file, b.at, &b.field)));
}

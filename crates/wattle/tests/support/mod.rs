//! What several of these tests share.
#![allow(clippy::unwrap_used, dead_code)]

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use redb::ReadableDatabase as _;
use wattle_identity::{Authority, TrustDomain};
use wattle_testkit::{Mesh, Request, ask};

/// Nothing but mutual TLS is let in.
pub(crate) const STRICT: &str = "
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}
";

/// A workload that listens on 8080 when a test makes it, without a Service; `proxy` is the spec of its proxy.
pub(crate) fn bare_workload(name: &str, proxy: &str) -> String {
    format!(
        "apiVersion: wattle.io/v1alpha1\nkind: Process\nmetadata: {{name: {name}, labels: {{app: {name}}}}}\n\
         spec:\n  command: [sleep, '86400']\n  serviceAccountName: {name}\n  proxy: {proxy}\n  \
         ports: [{{name: http, port: 8080, appProtocol: http}}]\n---\n"
    )
}

/// The same behind a Service of its own name, on port 80.
pub(crate) fn workload(name: &str, proxy: &str) -> String {
    bare_workload(name, proxy)
        + &format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{selector: {{app: {name}}}, \
             ports: [{{name: http, port: 80, targetPort: 8080, appProtocol: http}}]}}\n---\n"
        )
}

/// A directory of manifests that a test edits while the mesh runs.
pub(crate) struct Manifests(tempfile::TempDir);

impl Manifests {
    /// With these files.
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let manifests = Self(tempfile::tempdir().unwrap());
        files.iter().for_each(|(name, text)| manifests.write(name, text));
        manifests
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Replaces a file as a whole, as editors do.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let fresh = self.0.path().join(format!(".{name}.new"));
        fs::write(&fresh, text).unwrap();
        fs::rename(&fresh, self.0.path().join(name)).unwrap();
    }

    /// Deletes a file.
    pub(crate) fn remove(&self, name: &str) {
        fs::remove_file(self.0.path().join(name)).unwrap();
    }
}

/// The mesh's own authority, from a copy of its store: what a thief with root could do.
pub(crate) fn authority_of(mesh: &Mesh) -> Authority {
    let directory = tempfile::tempdir().unwrap();
    let copy = directory.path().join("store");
    let store = mesh.state().join("control/control.redb");
    fs::copy(store, &copy).unwrap();
    let database = redb::Database::open(&copy).unwrap();
    let facts: redb::TableDefinition<'_, &str, &[u8]> = redb::TableDefinition::new("facts");
    let reading = database.begin_read().unwrap();
    let pem = reading
        .open_table(facts)
        .unwrap()
        .get("authority/cluster.local")
        .unwrap()
        .unwrap()
        .value()
        .to_vec();
    Authority::from_pem(&TrustDomain::new("cluster.local").unwrap(), &pem).unwrap()
}

/// How many peers the proxy of an instance turned away for this reason.
pub(crate) fn turned_away(mesh: &Mesh, instance: &str, reason: &str) -> Option<u64> {
    let address = SocketAddr::new(mesh.process(instance).address?, 15020);
    let page = mesh
        .bridge()
        .enter(|| ask(address, &Request::get("proxy", "/metrics")))
        .ok()?
        .text();
    let wanted = format!("wattle_inbound_tls_refused_total{{reason=\"{reason}\"}} ");
    page.lines()
        .find_map(|line| line.strip_prefix(&wanted)?.parse().ok())
}

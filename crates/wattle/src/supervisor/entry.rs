//! A running instance as a WorkloadEntry file, which is how the control plane hears of it.

use std::fs;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use wattle_api::{Address, Meta, Object, Origin, Process, Protocol, Resource, WorkloadEntry};

use super::status::Name;
use super::wanted::is_meshed;

/// Says whether the workload has a proxy, and so an identity.
const PROXY: &str = "wattle.io/proxy";
/// Names the Process behind an instance.
const WORKLOAD: &str = "wattle.io/workload";

/// The entry of an instance at an address.
pub(crate) fn entry(instance: &Name, process: &Resource<Process>, address: IpAddr, healthy: bool) -> Object {
    let mut meta = Meta::new(instance.namespace.as_str(), instance.name.as_str());
    meta.labels = process.meta.labels.clone();
    let proxy = if is_meshed(process) { "enabled" } else { "disabled" };
    meta.annotations.insert(PROXY.to_owned(), proxy.to_owned());
    meta.annotations
        .insert(WORKLOAD.to_owned(), process.meta.name.to_string());
    let named = process
        .spec
        .ports
        .iter()
        .filter(|port| port.protocol == Protocol::Tcp);
    let ports = named.filter_map(|port| Some((port.name.clone()?, port.port)));
    let spec = WorkloadEntry {
        address: Address::Ip(address),
        ports: ports.collect(),
        labels: process.meta.labels.clone(),
        network: None,
        locality: None,
        weight: None,
        service_account: Some(process.spec.service_account_name.clone()),
        healthy: Some(healthy),
    };
    Object::WorkloadEntry(Resource {
        meta,
        spec,
        origin: Origin::program("supervisor"),
    })
}

/// Where the entry of an instance is.
fn path(directory: &Path, instance: &Name) -> PathBuf {
    directory.join(format!("{}.yaml", instance.stem()))
}

/// Writes the entry so that a reader sees the old one or the new one, never a part.
pub(crate) fn publish(directory: &Path, instance: &Name, entry: &Object) -> io::Result<()> {
    // JSON is YAML.
    let text = serde_json::to_string_pretty(&entry.manifest()?)?;
    replace(&path(directory, instance), text.as_bytes(), 0o600)
}

/// Takes the entry away; no failure if there is none.
pub(crate) fn withdraw(directory: &Path, instance: &Name) -> io::Result<()> {
    match fs::remove_file(path(directory, instance)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Replaces a file as a whole.
pub(crate) fn replace(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let fresh = path.with_added_extension("new");
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Created anew, so that the mode counts from the first byte.
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&fresh)?;
    file.write_all(content)?;
    fs::rename(&fresh, path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn process(text: &str) -> Resource<Process> {
        match wattle_api::parse(text, "web.yaml").objects.into_iter().next() {
            Some(Object::Process(process)) => process,
            other => panic!("expected a Process, found {other:?}"),
        }
    }

    #[test]
    fn an_entry_says_where_who_and_how_well_and_reads_back_as_written() {
        let process = process(
            "{apiVersion: wattle.io/v1alpha1, kind: Process, metadata: {name: web, namespace: shop, labels: {app: web}}, \
             spec: {command: [web], serviceAccountName: web, ports: [{name: http, port: 8080}, {port: 9}]}}",
        );
        let directory = tempfile::tempdir().unwrap();
        let name = Name::new("shop", "web-0");
        let written = entry(&name, &process, [10, 244, 0, 7].into(), false);
        publish(directory.path(), &name, &written).unwrap();
        let text = fs::read_to_string(directory.path().join("shop.web-0.yaml")).unwrap();
        let parsed = wattle_api::parse(&text, "shop.web-0.yaml");
        assert!(parsed.diagnostics.is_empty(), "{:?}", parsed.diagnostics);
        assert_eq!(parsed.objects, [written]);
        let Object::WorkloadEntry(read) = &parsed.objects[0] else {
            panic!("a WorkloadEntry")
        };
        assert_eq!(read.spec.healthy, Some(false));
        assert_eq!(read.meta.annotations[PROXY], "enabled");
        assert_eq!(read.spec.ports.len(), 1);
        withdraw(directory.path(), &name).unwrap();
        withdraw(directory.path(), &name).unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}

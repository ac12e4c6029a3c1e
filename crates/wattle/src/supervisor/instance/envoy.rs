//! Where the Envoy of an instance comes from.

use std::path::PathBuf;

use anyhow::bail;
use wattle_api::ProxyKind;

use super::spec::Spec;

/// Names the program, whatever it is called.
const VARIABLE: &str = "ENVOY_BIN";
/// Looked for on PATH otherwise.
const PROGRAM: &str = "envoy";
/// Name of the program among a proxy's own files.
pub(super) const SHOWN_AS: &str = "envoy";

/// The Envoy to run beside an instance; none where its proxy is ours.
pub(super) fn program(spec: &Spec) -> anyhow::Result<Option<PathBuf>> {
    if !spec.meshed() || spec.process.spec.proxy.kind != ProxyKind::Envoy {
        return Ok(None);
    }
    let process = format!("Process {}/{}", spec.name.namespace, spec.process.meta.name);
    if let Some(named) = std::env::var_os(VARIABLE).filter(|named| !named.is_empty()) {
        let path = PathBuf::from(named);
        if path.is_absolute() && path.is_file() {
            return Ok(Some(path));
        }
        bail!(
            "{process}: spec.proxy.kind is envoy, and {VARIABLE} is {}, expected the absolute path of an Envoy",
            path.display()
        );
    }
    let places = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&places)
        .map(|place| place.join(PROGRAM))
        .find(|path| path.is_absolute() && path.is_file());
    match found {
        Some(path) => Ok(Some(path)),
        None => bail!(
            "{process}: spec.proxy.kind is envoy, and no {PROGRAM} is on PATH; install one, set {VARIABLE}, or remove \
             the field to run the mesh's own proxy"
        ),
    }
}

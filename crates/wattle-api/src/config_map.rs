//! The core ConfigMap, of which two things are read: Istio's MeshConfig, in the one named `istio`, and certificates of
//! authorities in the key `ca.crt`, in any.

use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::decode::{Cursor, Decoded};
use crate::mesh_config::{self, MeshConfig};
use crate::scalar;
use crate::tree::{Node, Value};

/// The key of certificates (Gateway API `caCertificateRefs`).
const AUTHORITIES: &str = "ca.crt";
/// Most bytes of certificates, which go to every proxy that calls there.
const MAX_BYTES: usize = 64 * 1024;

/// What is read of a ConfigMap.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ConfigMap {
    /// Istio's settings, of the one named `istio`.
    pub mesh: Option<MeshConfig>,
    /// Certificates of authorities, PEM, as they were written.
    pub authorities: Option<String>,
}

impl ConfigMap {
    /// The ConfigMap's `data`.
    pub(crate) fn as_data(&self) -> Result<Json, serde_json::Error> {
        let mut data = json!({});
        if let Some(mesh) = &self.mesh {
            data["mesh"] = mesh.as_text()?.into();
        }
        if let Some(pem) = &self.authorities {
            data[AUTHORITIES] = pem.as_str().into();
        }
        Ok(data)
    }
}

/// Whether anything in a ConfigMap may concern the mesh.
pub(crate) fn concerns_the_mesh(root: &Node) -> bool {
    let data = root.child("data");
    let has = |key: &str| data.is_some_and(|data| data.child(key).is_some());
    has(AUTHORITIES) || (mesh_config::is_istios(root) && has("mesh"))
}

/// `data` of a ConfigMap, with the YAML of `mesh` in place of its text if it is Istio's.
pub(crate) fn config_map(cursor: &Cursor<'_>, is_istios: bool) -> Decoded<ConfigMap> {
    let entries = match &cursor.node.value {
        Value::Map(entries) => entries.as_slice(),
        _ => &[],
    };
    let keys: Vec<_> = entries.iter().map(|entry| entry.key.as_str()).collect();
    let known = [&["mesh", AUTHORITIES], &*keys].concat();
    let fields = cursor.fields(&known)?;
    // What somebody else keeps in a map of their own is nobody's business here.
    if is_istios {
        let others = keys.iter().filter(|key| !["mesh", AUTHORITIES].contains(*key));
        fields.without_effect(&others.copied().collect::<Vec<_>>());
    }
    let mesh = match is_istios {
        true => fields.optional("mesh", mesh_config::mesh_config)?,
        false => None,
    };
    Ok(ConfigMap {
        mesh,
        authorities: fields.optional(AUTHORITIES, certificates)?,
    })
}

fn certificates(cursor: &Cursor<'_>) -> Decoded<String> {
    let text = scalar::filled(cursor)?;
    if text.len() > MAX_BYTES {
        let reason = format!("found {} bytes, expected at most {MAX_BYTES}", text.len());
        return Err(cursor.refuse("too-long", reason));
    }
    Ok(text)
}

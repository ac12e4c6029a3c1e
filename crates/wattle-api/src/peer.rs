//! Istio PeerAuthentication: whether a workload's ports demand mTLS.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::decode::{Cursor, Decoded};
use crate::meta::Labels;
use crate::scalar::{self, Port};
use crate::tree::quote;

/// Most ports with a mode of their own.
const MAX_PORTS: usize = 256;

/// `spec` of a PeerAuthentication.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerAuthentication {
    /// The workloads it is for; none means all of the namespace, or of the mesh in the root namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<Selector>,
    /// The mode of ports that have none of their own.
    pub mtls: Mtls,
    /// Modes by workload port; only with a selector.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub port_level_mtls: BTreeMap<Port, Mtls>,
}

/// Labels that a workload must have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Selector {
    /// All of these; never empty.
    pub match_labels: Labels,
}

impl Selector {
    /// Whether a workload with these labels is selected.
    #[must_use]
    pub fn selects(&self, labels: &Labels) -> bool {
        self.match_labels
            .iter()
            .all(|(key, value)| labels.get(key) == Some(value))
    }
}

/// A mode, in the shape Istio writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Mtls {
    /// Default UNSET.
    pub mode: MtlsMode,
}

/// Whether connections must be mTLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum MtlsMode {
    /// As the next wider policy says; finally PERMISSIVE.
    #[default]
    Unset,
    /// No mTLS.
    Disable,
    /// mTLS and plain text.
    Permissive,
    /// mTLS only.
    Strict,
}

pub(crate) fn peer_authentication(cursor: &Cursor<'_>) -> Decoded<PeerAuthentication> {
    let fields = cursor.fields(&["selector", "mtls", "portLevelMtls"])?;
    let selector = fields.optional("selector", selector);
    let mtls = fields.optional("mtls", mtls);
    let port_level_mtls = fields.optional("portLevelMtls", port_modes);
    let policy = PeerAuthentication {
        selector: selector?.flatten(),
        mtls: mtls?.unwrap_or_default(),
        port_level_mtls: port_level_mtls?.unwrap_or_default(),
    };
    if !policy.port_level_mtls.is_empty() && policy.selector.is_none() {
        let reason = "portLevelMtls needs a selector";
        return Err(cursor.refuse_with("missing-field", reason, "add selector.matchLabels"));
    }
    Ok(policy)
}

/// A workload selector; one without labels selects everything, as Istio reads it, and becomes none.
pub(crate) fn selector(cursor: &Cursor<'_>) -> Decoded<Option<Selector>> {
    let fields = cursor.fields(&["matchLabels"])?;
    let labels = fields.optional("matchLabels", |at| {
        let labels = scalar::labels(at)?;
        match labels
            .iter()
            .find(|(key, value)| key.is_empty() || key.contains('*') || value.contains('*'))
        {
            Some((key, _)) => Err(at.refuse(
                "invalid-selector",
                format!("wildcards are not supported in {key:?}"),
            )),
            None => Ok(labels),
        }
    })?;
    Ok(labels
        .filter(|labels| !labels.is_empty())
        .map(|match_labels| Selector { match_labels }))
}

/// A selector that selects everything is written by leaving it out: an empty one is rather a mistake.
pub(crate) fn some_selector(cursor: &Cursor<'_>) -> Decoded<Selector> {
    selector(cursor)?.ok_or_else(|| {
        let reason = "found no label, expected at least one in matchLabels";
        cursor.refuse_with("empty", reason, "remove selector for the whole namespace")
    })
}

fn mtls(cursor: &Cursor<'_>) -> Decoded<Mtls> {
    let fields = cursor.fields(&["mode"])?;
    let modes = [
        ("UNSET", MtlsMode::Unset),
        ("DISABLE", MtlsMode::Disable),
        ("PERMISSIVE", MtlsMode::Permissive),
        ("STRICT", MtlsMode::Strict),
    ];
    let mode = fields.optional("mode", |at| scalar::word(at, &modes))?;
    Ok(Mtls {
        mode: mode.unwrap_or_default(),
    })
}

fn port_modes(cursor: &Cursor<'_>) -> Decoded<BTreeMap<Port, Mtls>> {
    let entries = cursor.entries()?;
    if entries.len() > MAX_PORTS {
        return Err(cursor.refuse(
            "too-many",
            format!("found {} ports, expected at most {MAX_PORTS}", entries.len()),
        ));
    }
    let mut modes = BTreeMap::new();
    for entry in entries {
        let at = cursor.entry(entry);
        let Some(port) = entry.key.parse().ok().and_then(Port::new) else {
            let reason = format!(
                "found the key {}, expected a port from 1 to 65535",
                quote(&entry.key)
            );
            return Err(at.refuse("out-of-range", reason));
        };
        modes.insert(port, mtls(&at)?);
    }
    Ok(modes)
}

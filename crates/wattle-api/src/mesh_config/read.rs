//! Decoding of a MeshConfig.

use std::collections::BTreeSet;

use super::{ExtensionProvider, MeshConfig, NAME, NormalizationType, PathNormalization};
use crate::decode::{Cursor, Decoded, Fields};
use crate::diagnostic::Finding;
use crate::istio::{OutboundTrafficPolicy, outbound_mode};
use crate::scalar;
use crate::tree::{self, Node, Value};

mod provider;

use provider::provider;

/// Most providers.
const MAX_PROVIDERS: usize = 64;

/// Whether a ConfigMap has the name of Istio's.
pub(crate) fn is_istios(root: &Node) -> bool {
    let meta = root.child("metadata");
    meta.and_then(|meta| meta.child("name")).and_then(Node::text) == Some(NAME)
}

/// Istio's ConfigMap with the YAML of its key `mesh` in place of the text.
///
/// # Errors
/// The key does not hold text, or the text is not YAML.
pub(crate) fn unfolded(root: &Node) -> Result<Node, Finding> {
    let mut root = root.clone();
    if let Some(data) = child_mut(&mut root, "data")
        && let Some((line, mesh)) = entry_mut(data, "mesh")
    {
        let Value::Text(text) = &mesh.value else {
            let reason = format!("found {}, expected YAML in a text", mesh.value.describe());
            return Err(Finding::new("wrong-type", mesh.at, "data.mesh", reason).hint("write mesh: |"));
        };
        // A text of several lines begins in the line after its key.
        let first_line = if text.contains('\n') { line + 1 } else { line };
        let parsed = tree::parse(text, first_line)
            .map_err(|(at, reason)| Finding::new("invalid-yaml", at, "data.mesh", reason))?;
        mesh.value = parsed.value;
    }
    Ok(root)
}

fn child_mut<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Node> {
    entry_mut(node, key).map(|(_, node)| node)
}

/// The line of a key, and its value.
fn entry_mut<'a>(node: &'a mut Node, key: &str) -> Option<(u32, &'a mut Node)> {
    let Value::Map(entries) = &mut node.value else {
        return None;
    };
    let entry = entries.iter_mut().find(|entry| entry.key == key)?;
    Some((entry.at.line, &mut entry.node))
}

/// What the text of `mesh` says.
pub(crate) fn mesh_config(cursor: &Cursor<'_>) -> Decoded<MeshConfig> {
    let read = ["extensionProviders", "outboundTrafficPolicy", "pathNormalization"];
    let (fields, others) = open(cursor, &read)?;
    fields.without_effect(&others);
    let found = fields.list("extensionProviders", MAX_PROVIDERS, provider)?;
    let names: BTreeSet<_> = found.iter().map(|(name, _)| name.as_str()).collect();
    if names.len() < found.len() {
        return Err(fields.refuse_at(
            "extensionProviders",
            "duplicate-name",
            "two providers have the same name",
        ));
    }
    let path_normalization = fields.optional("pathNormalization", path_normalization)?;
    let outbound = fields.optional("outboundTrafficPolicy", outbound_traffic_policy)?;
    let authorizing = found
        .into_iter()
        .filter_map(|(name, check)| Some(ExtensionProvider { name, check: check? }));
    Ok(MeshConfig {
        extension_providers: authorizing.collect(),
        path_normalization,
        outbound_traffic_policy: outbound,
    })
}

fn outbound_traffic_policy(cursor: &Cursor<'_>) -> Decoded<OutboundTrafficPolicy> {
    let fields = cursor.fields(&["mode"])?;
    let mode = fields.optional("mode", outbound_mode)?;
    Ok(OutboundTrafficPolicy {
        mode: mode.unwrap_or_default(),
        egress_proxy: None,
    })
}

fn path_normalization(cursor: &Cursor<'_>) -> Decoded<PathNormalization> {
    let fields = cursor.fields(&["normalization"])?;
    let known = [
        ("DEFAULT", NormalizationType::Base),
        ("NONE", NormalizationType::None),
        ("BASE", NormalizationType::Base),
        ("MERGE_SLASHES", NormalizationType::MergeSlashes),
        (
            "DECODE_AND_MERGE_SLASHES",
            NormalizationType::DecodeAndMergeSlashes,
        ),
    ];
    let found = fields.optional("normalization", |at| scalar::word(at, &known))?;
    Ok(PathNormalization {
        normalization: found.unwrap_or(NormalizationType::Base),
    })
}

/// Opens a mapping that holds much that is not read here; gives the keys of that too.
fn open<'a>(cursor: &'a Cursor<'a>, read: &[&str]) -> Decoded<(Fields<'a>, Vec<&'a str>)> {
    let entries = match &cursor.node.value {
        Value::Map(entries) => entries.as_slice(),
        _ => &[],
    };
    let others = entries.iter().map(|entry| entry.key.as_str());
    let others: Vec<_> = others.filter(|key| !read.contains(key)).collect();
    let fields = cursor.fields(&[read, &others].concat())?;
    Ok((fields, others))
}

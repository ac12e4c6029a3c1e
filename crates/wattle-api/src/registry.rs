//! Which kinds exist: those that are read, those of related APIs that are not read yet, and everybody else's.

use crate::decode::{Cursor, Decoded};
use crate::diagnostic::{Finding, Place, Severity};
use crate::key::Kind;
use crate::nearest::nearest;
use crate::scalar;
use crate::tree::quote;

/// Kinds of the APIs this mesh reads that it does not read yet, by group.
const NOT_YET: &[(&str, &[&str])] = &[
    (
        "gateway.networking.k8s.io",
        &["GatewayClass", "Gateway", "ListenerSet", "UDPRoute"],
    ),
    ("gateway.networking.x-k8s.io", &["XMesh", "XBackend"]),
    ("security.istio.io", &[]),
    ("networking.istio.io", &["Gateway", "EnvoyFilter", "ProxyConfig"]),
    ("telemetry.istio.io", &["Telemetry"]),
    ("extensions.istio.io", &["WasmPlugin", "TrafficExtension"]),
    ("install.istio.io", &["IstioOperator"]),
    (
        "policy.linkerd.io",
        &["ConcurrencyLimitPolicy", "ExternalWorkload"],
    ),
    ("workload.linkerd.io", &["ExternalWorkload"]),
    ("linkerd.io", &[]),
    ("multicluster.linkerd.io", &["Link"]),
    ("wattle.io", &[]),
];

/// What is known of an `apiVersion` and `kind`; places in findings are for the caller to set.
pub(crate) enum Known {
    /// A kind that is read.
    Kind(Kind),
    /// A kind that is read, in a version that is not.
    Version(Kind, Finding),
    /// Most likely a slip of the pen, which must not pass as somebody else's kind.
    Refused(Finding),
    /// A kind that is not read.
    Skipped(Severity, Finding),
}

pub(crate) fn find(group: &str, version: &str, kind: &str) -> Known {
    if let Some(known) = Kind::find(group, kind) {
        return versioned(known, version);
    }
    let related = NOT_YET
        .iter()
        .find(|(name, _)| *name == group)
        .map(|(_, kinds)| *kinds);
    if related.is_some_and(|kinds| kinds.contains(&kind)) {
        let reason = format!("the kind {kind} of {group} is not supported yet and has no effect");
        return Known::Skipped(Severity::Warning, finding("unsupported-kind", reason));
    }
    if let Some(hint) = slip(group, kind, related) {
        let reason = format!(
            "found the kind {} of {}, which does not exist",
            quote(kind),
            shown(group)
        );
        return Known::Refused(finding("unknown-kind", reason).hint(hint));
    }
    if related.is_some() {
        let reason = format!(
            "found the kind {} of {}, which does not exist",
            quote(kind),
            shown(group)
        );
        return Known::Refused(finding("unknown-kind", reason));
    }
    let reason = format!(
        "the kind {} of {} is not read by the mesh",
        quote(kind),
        shown(group)
    );
    Known::Skipped(Severity::Info, finding("skipped-kind", reason))
}

/// What is said of a ConfigMap that neither Istio's settings nor certificates are in.
pub(crate) fn other_config_map() -> Finding {
    finding("skipped-kind", "the ConfigMap is not read by the mesh".to_owned())
}

fn versioned(kind: Kind, version: &str) -> Known {
    if kind.versions().contains(&version) {
        return Known::Kind(kind);
    }
    let reason = format!(
        "found version {}, expected {}",
        quote(version),
        kind.versions().join(" or ")
    );
    let finding =
        finding("unsupported-version", reason).hint(format!("write apiVersion: {}", kind.api_version()));
    Known::Version(
        kind,
        Finding {
            field: "apiVersion".to_owned(),
            ..finding
        },
    )
}

/// Advice when the kind is nearly one of the group's, or one of another group that is read.
fn slip(group: &str, kind: &str, related: Option<&[&str]>) -> Option<String> {
    let ours: Vec<_> = Kind::ALL
        .into_iter()
        .filter(|known| known.group() == group)
        .map(Kind::as_str)
        .collect();
    let near = nearest(kind, &ours).or_else(|| nearest(kind, related.unwrap_or_default()));
    if let Some(near) = near {
        return Some(format!("write kind: {near}"));
    }
    // Other projects have a Service too; only a group that is read makes this a slip.
    let read = group.is_empty() || related.is_some();
    let elsewhere = Kind::ALL
        .into_iter()
        .find(|known| known.as_str() == kind)
        .filter(|_| read)?;
    Some(format!("write apiVersion: {}", elsewhere.api_version()))
}

fn shown(group: &str) -> &str {
    if group.is_empty() { "the core group" } else { group }
}

fn finding(code: &'static str, reason: String) -> Finding {
    Finding::new(code, Place { line: 1, column: 1 }, "kind", reason)
}

/// Fields of `metadata`; those that are not read belong to the API server.
pub(crate) const META_FIELDS: &[&str] = &[
    "name",
    "namespace",
    "labels",
    "annotations",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Fields beside `metadata`.
pub(crate) fn top_fields(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::ServiceAccount => &[
            "apiVersion",
            "kind",
            "metadata",
            "secrets",
            "imagePullSecrets",
            "automountServiceAccountToken",
        ],
        Kind::EndpointSlice => &[
            "apiVersion",
            "kind",
            "metadata",
            "addressType",
            "endpoints",
            "ports",
        ],
        Kind::ConfigMap => &[
            "apiVersion",
            "kind",
            "metadata",
            "data",
            "binaryData",
            "immutable",
        ],
        _ => &["apiVersion", "kind", "metadata", "spec", "status"],
    }
}

/// The rule names of a kind obey: those that become DNS names or identities are single labels.
pub(crate) fn name_rule(kind: Kind) -> fn(&Cursor<'_>) -> Decoded<String> {
    match kind {
        Kind::Namespace | Kind::Service | Kind::Process => scalar::label,
        _ => scalar::subdomain,
    }
}

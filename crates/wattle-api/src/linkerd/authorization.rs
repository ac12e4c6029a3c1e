//! Linkerd AuthorizationPolicy: what may be asked by whoever is authenticated as it says.

use serde::Serialize;

use super::reference::{EMPTY_GROUP, POLICY_GROUP, same_group};
use crate::authorization::TargetRef;
use crate::decode::{Cursor, Decoded};
use crate::reference::group;
use crate::scalar;

/// Most required authentications.
const MAX_REFS: usize = 64;

/// `spec` of a `policy.linkerd.io` AuthorizationPolicy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerPolicy {
    /// What it opens, in its own namespace: a Server, an HTTPRoute, a GRPCRoute, or that Namespace.
    pub target_ref: TargetRef,
    /// All that a client must be; none means that anybody may.
    pub required_authentication_refs: Vec<AuthenticationRef>,
}

/// Something that a client must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthenticationRef {
    /// API group; empty for a ServiceAccount.
    pub group: String,
    /// Which kind.
    pub kind: AuthenticationKind,
    /// Namespace; none means the policy's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

/// The kinds that say who a client must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum AuthenticationKind {
    /// One of the identities of a MeshTLSAuthentication.
    #[serde(rename = "MeshTLSAuthentication")]
    MeshTls,
    /// In one of the networks of a NetworkAuthentication.
    #[serde(rename = "NetworkAuthentication")]
    Network,
    /// This ServiceAccount.
    ServiceAccount,
}

/// What a policy may be for, with the group of each.
const TARGETS: [(&str, &str); 5] = [
    (POLICY_GROUP, "Server"),
    (POLICY_GROUP, "HTTPRoute"),
    ("gateway.networking.k8s.io", "HTTPRoute"),
    ("gateway.networking.k8s.io", "GRPCRoute"),
    (EMPTY_GROUP, "Namespace"),
];

pub(crate) fn server_policy(cursor: &Cursor<'_>) -> Decoded<ServerPolicy> {
    let fields = cursor.fields(&["targetRef", "requiredAuthenticationRefs"])?;
    let target_ref = fields.required("targetRef", target);
    let refs = fields.required("requiredAuthenticationRefs", |at| {
        at.list(MAX_REFS, authentication)
    });
    Ok(ServerPolicy {
        target_ref: target_ref?,
        required_authentication_refs: refs?,
    })
}

fn target(cursor: &Cursor<'_>) -> Decoded<TargetRef> {
    let fields = cursor.fields(&["group", "kind", "name"])?;
    let group = fields.optional("group", group);
    let kind = fields.required("kind", scalar::filled);
    let name = fields.required("name", scalar::subdomain);
    let (group, kind) = (group?.unwrap_or_default(), kind?);
    let known = TARGETS
        .iter()
        .find(|(known, target)| same_group(known, &group) && *target == kind);
    let Some((group, _)) = known else {
        let reason = format!(
            "found kind {kind} of group {group:?}, expected Server or HTTPRoute of {POLICY_GROUP}, HTTPRoute or \
             GRPCRoute of gateway.networking.k8s.io, or Namespace of the core group"
        );
        return Err(cursor.refuse("unknown-value", reason));
    };
    Ok(TargetRef {
        group: (*group).to_owned(),
        kind,
        name: name?,
    })
}

fn authentication(cursor: &Cursor<'_>) -> Decoded<AuthenticationRef> {
    let fields = cursor.fields(&["group", "kind", "namespace", "name"])?;
    let kinds = [
        (
            "MeshTLSAuthentication",
            (AuthenticationKind::MeshTls, POLICY_GROUP),
        ),
        (
            "NetworkAuthentication",
            (AuthenticationKind::Network, POLICY_GROUP),
        ),
        (
            "ServiceAccount",
            (AuthenticationKind::ServiceAccount, EMPTY_GROUP),
        ),
    ];
    let written = fields.optional("group", group);
    let kind = fields.required("kind", |at| scalar::word(at, &kinds));
    let namespace = fields.optional("namespace", scalar::label);
    let name = fields.required("name", scalar::subdomain);
    let (written, (kind, group)) = (written?.unwrap_or_default(), kind?);
    if !same_group(group, &written) {
        let reason = format!("found group {written:?}, expected {group:?} for this kind");
        return Err(cursor.refuse_with("wrong-group", reason, &format!("write group: {group:?}")));
    }
    Ok(AuthenticationRef {
        group: group.to_owned(),
        kind,
        namespace: namespace?,
        name: name?,
    })
}

//! Linkerd MeshTLSAuthentication and NetworkAuthentication: who a client is, and where it is.

use serde::Serialize;

use super::egress::{Network, network};
use super::identity::{Identity, identity};
use super::reference::{EMPTY_GROUP, same_group};
use crate::authorization::some_of;
use crate::decode::{Cursor, Decoded};
use crate::reference::group;
use crate::scalar;

/// Most identities, references or networks.
const MAX_ITEMS: usize = 1024;

/// `spec` of a MeshTLSAuthentication: any of these clients; at least one is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MeshTlsAuthentication {
    /// By identity.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub identities: Vec<Identity>,
    /// By the object that has the identity.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub identity_refs: Vec<IdentityRef>,
}

/// An object that has an identity, or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityRef {
    /// Which kind.
    pub kind: IdentityKind,
    /// Namespace of a ServiceAccount; none means that of the MeshTLSAuthentication.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

/// The kinds that have identities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum IdentityKind {
    /// A service account.
    ServiceAccount,
    /// Every service account of a namespace.
    Namespace,
}

/// `spec` of a NetworkAuthentication: any of these networks; never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NetworkAuthentication {
    /// Where a client may be.
    pub networks: Vec<Network>,
}

pub(crate) fn mesh_tls_authentication(cursor: &Cursor<'_>) -> Decoded<MeshTlsAuthentication> {
    let fields = cursor.fields(&["identities", "identityRefs"])?;
    let identities = some_of(&fields, "identities", MAX_ITEMS, identity);
    let identity_refs = some_of(&fields, "identityRefs", MAX_ITEMS, identity_ref);
    let authentication = MeshTlsAuthentication {
        identities: identities?,
        identity_refs: identity_refs?,
    };
    if authentication.identities.is_empty() && authentication.identity_refs.is_empty() {
        let reason = "found neither identities nor identityRefs, expected at least one client";
        return Err(cursor.refuse("missing-field", reason));
    }
    Ok(authentication)
}

fn identity_ref(cursor: &Cursor<'_>) -> Decoded<IdentityRef> {
    let fields = cursor.fields(&["group", "kind", "namespace", "name"])?;
    let kinds = [
        ("ServiceAccount", IdentityKind::ServiceAccount),
        ("Namespace", IdentityKind::Namespace),
    ];
    let group = fields.optional("group", group);
    let kind = fields.required("kind", |at| scalar::word(at, &kinds));
    let namespace = fields.optional("namespace", scalar::label);
    let name = fields.required("name", scalar::subdomain);
    let group = group?.unwrap_or_default();
    if !same_group(EMPTY_GROUP, &group) {
        let reason = format!("found group {group:?}, expected the core group");
        return Err(cursor.refuse_with("wrong-group", reason, "write group: \"\""));
    }
    let found = IdentityRef {
        kind: kind?,
        namespace: namespace?,
        name: name?,
    };
    if found.kind == IdentityKind::Namespace && found.namespace.is_some() {
        let reason = "a Namespace is in no namespace, its name alone says which";
        return Err(cursor.refuse_with("incompatible-fields", reason, "remove namespace"));
    }
    Ok(found)
}

pub(crate) fn network_authentication(cursor: &Cursor<'_>) -> Decoded<NetworkAuthentication> {
    let fields = cursor.fields(&["networks"])?;
    let networks = fields.required("networks", |at| {
        let networks = at.list(MAX_ITEMS, network)?;
        if networks.is_empty() {
            return Err(at.refuse("empty", "found no network, expected at least one"));
        }
        Ok(networks)
    });
    Ok(NetworkAuthentication { networks: networks? })
}

//! Linkerd ServerAuthorization: the older form, for Servers alone.

use serde::Serialize;

use super::egress::{Network, network};
use super::identity::{Identity, identity};
use super::reference::{AccountRef, account};
use super::selector::{LabelSelector, label_selector};
use crate::authorization::some_of;
use crate::decode::{Cursor, Decoded};
use crate::scalar;

/// Most identities, accounts or networks.
const MAX_ITEMS: usize = 1024;

/// `spec` of a ServerAuthorization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServerAuthorization {
    /// The Servers of its namespace that it opens.
    pub server: ServerRef,
    /// Whom to.
    pub client: ServerClient,
}

/// Servers by name or by their labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ServerRef {
    /// The Server of this name.
    Name(String),
    /// Every Server with these labels; an empty selector means all.
    Selector(LabelSelector),
}

/// Clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServerClient {
    /// Where they may be; none means the networks of the cluster.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<Network>,
    /// Who they may be.
    #[serde(flatten)]
    pub who: ServerClientKind,
}

/// Who a client may be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ServerClientKind {
    /// Anybody (`unauthenticated: true`).
    #[serde(rename = "unauthenticated", serialize_with = "truth")]
    Anybody,
    /// A client of the mesh.
    #[serde(rename = "meshTLS")]
    MeshTls(MeshTlsClients),
}

/// Clients of the mesh.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum MeshTlsClients {
    /// Whoever speaks the mesh's TLS (`unauthenticatedTLS: true`).
    #[serde(rename = "unauthenticatedTLS", serialize_with = "truth")]
    Any,
    /// Any of these; at least one is written.
    #[serde(untagged)]
    Some {
        /// By identity.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        identities: Vec<Identity>,
        /// By service account.
        #[serde(rename = "serviceAccounts", skip_serializing_if = "Vec::is_empty")]
        service_accounts: Vec<AccountRef>,
    },
}

fn truth<S: serde::Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bool(true)
}

pub(crate) fn server_authorization(cursor: &Cursor<'_>) -> Decoded<ServerAuthorization> {
    let fields = cursor.fields(&["server", "client"])?;
    let server = fields.required("server", server);
    let client = fields.required("client", client);
    Ok(ServerAuthorization {
        server: server?,
        client: client?,
    })
}

fn server(cursor: &Cursor<'_>) -> Decoded<ServerRef> {
    let fields = cursor.fields(&["name", "selector"])?;
    let name = fields.optional("name", scalar::subdomain);
    let selector = fields.optional("selector", label_selector);
    match (name?, selector?) {
        (Some(name), None) => Ok(ServerRef::Name(name)),
        (None, Some(selector)) => Ok(ServerRef::Selector(selector)),
        _ => Err(cursor.refuse("incompatible-fields", "expected exactly one of name and selector")),
    }
}

fn client(cursor: &Cursor<'_>) -> Decoded<ServerClient> {
    let fields = cursor.fields(&["networks", "unauthenticated", "meshTLS"])?;
    let networks = some_of(&fields, "networks", MAX_ITEMS, network);
    let anybody = fields.optional("unauthenticated", scalar::flag);
    let mesh_tls = fields.optional("meshTLS", mesh_tls);
    let who = match (anybody?.unwrap_or_default(), mesh_tls?) {
        (true, None) => ServerClientKind::Anybody,
        (false, Some(clients)) => ServerClientKind::MeshTls(clients),
        _ => {
            let reason = "expected exactly one of unauthenticated: true and meshTLS";
            return Err(cursor.refuse("incompatible-fields", reason));
        }
    };
    Ok(ServerClient {
        networks: networks?,
        who,
    })
}

fn mesh_tls(cursor: &Cursor<'_>) -> Decoded<MeshTlsClients> {
    let fields = cursor.fields(&["unauthenticatedTLS", "identities", "serviceAccounts"])?;
    let any = fields.optional("unauthenticatedTLS", scalar::flag);
    let identities = some_of(&fields, "identities", MAX_ITEMS, identity);
    let service_accounts = some_of(&fields, "serviceAccounts", MAX_ITEMS, account);
    let (any, identities, service_accounts) = (any?.unwrap_or_default(), identities?, service_accounts?);
    let named = !identities.is_empty() || !service_accounts.is_empty();
    if any == named {
        let reason = "expected either unauthenticatedTLS: true or some identities or serviceAccounts";
        return Err(cursor.refuse("incompatible-fields", reason));
    }
    Ok(match any {
        true => MeshTlsClients::Any,
        false => MeshTlsClients::Some {
            identities,
            service_accounts,
        },
    })
}

//! Groups of what Linkerd's policies refer to, and service accounts among it.

use serde::Serialize;

use crate::decode::{Cursor, Decoded};
use crate::scalar;

/// Linkerd's own group.
pub(super) const POLICY_GROUP: &str = "policy.linkerd.io";
/// The core group.
pub(super) const EMPTY_GROUP: &str = "";

/// Whether `written` is the group `known`; Linkerd takes `core` for the core group as well.
pub(super) fn same_group(known: &str, written: &str) -> bool {
    known == written || (known == EMPTY_GROUP && written == "core")
}

/// A service account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccountRef {
    /// Namespace; none means that of the object it is written in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
}

pub(super) fn account(cursor: &Cursor<'_>) -> Decoded<AccountRef> {
    let fields = cursor.fields(&["namespace", "name"])?;
    let namespace = fields.optional("namespace", scalar::label);
    let name = fields.required("name", scalar::subdomain);
    Ok(AccountRef {
        namespace: namespace?,
        name: name?,
    })
}

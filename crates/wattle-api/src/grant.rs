//! Gateway API ReferenceGrant: which references from other namespaces are welcome.

use serde::Serialize;

use crate::decode::{Cursor, Decoded};
use crate::scalar;

/// Most entries on either side (Gateway API).
const MAX_ITEMS: usize = 16;

/// `spec` of a ReferenceGrant; any `from` may refer to any `to`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReferenceGrant {
    /// Who may refer.
    pub from: Vec<GrantFrom>,
    /// To what, in the grant's namespace.
    pub to: Vec<GrantTo>,
}

/// Who may refer: objects of a kind in a namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GrantFrom {
    /// API group; empty for the core group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Namespace.
    pub namespace: String,
}

/// What may be referred to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GrantTo {
    /// API group; empty for the core group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Name; none means all of the kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

pub(crate) fn reference_grant(cursor: &Cursor<'_>) -> Decoded<ReferenceGrant> {
    let fields = cursor.fields(&["from", "to"])?;
    let from = fields.required("from", |at| at.list(MAX_ITEMS, grant_from));
    let to = fields.required("to", |at| at.list(MAX_ITEMS, grant_to));
    Ok(ReferenceGrant { from: from?, to: to? })
}

fn grant_from(cursor: &Cursor<'_>) -> Decoded<GrantFrom> {
    let fields = cursor.fields(&["group", "kind", "namespace"])?;
    let group = fields.required("group", scalar::text);
    let kind = fields.required("kind", scalar::filled);
    let namespace = fields.required("namespace", scalar::label);
    Ok(GrantFrom {
        group: group?,
        kind: kind?,
        namespace: namespace?,
    })
}

fn grant_to(cursor: &Cursor<'_>) -> Decoded<GrantTo> {
    let fields = cursor.fields(&["group", "kind", "name"])?;
    let group = fields.required("group", scalar::text);
    let kind = fields.required("kind", scalar::filled);
    let name = fields.optional("name", scalar::subdomain);
    Ok(GrantTo {
        group: group?,
        kind: kind?,
        name: name?,
    })
}

//! Gateway API TLSRoute and TCPRoute: where whole connections go.

use serde::Serialize;

use crate::decode::{Cursor, Decoded, Fields};
use crate::reference::{BackendRef, ParentRef, parent_refs, some_backend_refs};
use crate::scalar;

/// Most host names of a TLSRoute (Gateway API).
const MAX_HOSTNAMES: usize = 1024;
/// Most rules that are read before their number is judged; older versions of the API allowed as many.
const MAX_RULES: usize = 16;

/// `spec` of a TLSRoute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TlsRoute {
    /// What the route attaches to; for the mesh, Services.
    pub parent_refs: Vec<ParentRef>,
    /// Server names (SNI) it is for, with `*.` in front for any label; at least one, at most 1024.
    pub hostnames: Vec<String>,
    /// Where connections go.
    #[serde(rename = "rules", serialize_with = "as_list")]
    pub rule: StreamRule,
}

/// `spec` of a TCPRoute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TcpRoute {
    /// What the route attaches to; for the mesh, Services.
    pub parent_refs: Vec<ParentRef>,
    /// Where connections go.
    #[serde(rename = "rules", serialize_with = "as_list")]
    pub rule: StreamRule,
}

/// The one rule of a route for connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamRule {
    /// Name of the rule (GEP-995).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where connections go, by weight; 1 to 16.
    pub backend_refs: Vec<BackendRef>,
}

/// The API writes a list of exactly one.
fn as_list<S: serde::Serializer>(rule: &StreamRule, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq([rule])
}

pub(crate) fn tls_route(cursor: &Cursor<'_>) -> Decoded<TlsRoute> {
    let fields = cursor.fields(&["parentRefs", "hostnames", "rules", "useDefaultGateways"])?;
    fields.without_effect(&["useDefaultGateways"]);
    let parent_refs = parent_refs(&fields);
    let hostnames = fields.required("hostnames", |at| {
        let names = at.list(MAX_HOSTNAMES, |at| scalar::hostname(at, true))?;
        if names.is_empty() {
            return Err(at.refuse("empty", "found no host name, expected at least one"));
        }
        Ok(names)
    });
    let rule = only_rule(&fields);
    Ok(TlsRoute {
        parent_refs: parent_refs?,
        hostnames: hostnames?,
        rule: rule?,
    })
}

pub(crate) fn tcp_route(cursor: &Cursor<'_>) -> Decoded<TcpRoute> {
    let fields = cursor.fields(&["parentRefs", "rules", "useDefaultGateways"])?;
    fields.without_effect(&["useDefaultGateways"]);
    let parent_refs = parent_refs(&fields);
    let rule = only_rule(&fields);
    Ok(TcpRoute {
        parent_refs: parent_refs?,
        rule: rule?,
    })
}

fn only_rule(fields: &Fields<'_>) -> Decoded<StreamRule> {
    fields.required("rules", |at| {
        let mut rules = at.list(MAX_RULES, rule)?;
        match (rules.pop(), rules.len()) {
            (Some(rule), 0) => Ok(rule),
            (_, others) => {
                let found = if others == 0 { 0 } else { others + 1 };
                let reason = format!("found {found} rules, expected exactly one");
                Err(at.refuse_with("too-many", reason, "write one rule with all backends"))
            }
        }
    })
}

fn rule(cursor: &Cursor<'_>) -> Decoded<StreamRule> {
    let fields = cursor.fields(&["name", "backendRefs"])?;
    let name = fields.optional("name", scalar::subdomain);
    let backend_refs = some_backend_refs(&fields);
    Ok(StreamRule {
        name: name?,
        backend_refs: backend_refs?,
    })
}

//! How Gateway API objects name each other: parents, backends, and the targets of policies.

use serde::Serialize;

use crate::decode::{Cursor, Decoded, Fields};
use crate::filter::{self, Filter, FilterTypes};
use crate::scalar::{self, Port};

/// Most parents of a route (Gateway API).
const MAX_PARENTS: usize = 32;
/// Most backends of a rule, and targets of a policy (Gateway API).
const MAX_ITEMS: usize = 16;
/// Largest weight (Gateway API).
const MAX_WEIGHT: u32 = 1_000_000;
/// What Linkerd calls the core group.
const CORE: &str = "core";

fn is_core(group: &str) -> bool {
    group.is_empty() || group == CORE
}

/// What a route attaches to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ParentRef {
    /// API group; default `gateway.networking.k8s.io`, empty or `core` for a Service.
    pub group: String,
    /// Kind; default Gateway.
    pub kind: String,
    /// Namespace; default the route's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// Name of a listener or of a Service port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section_name: Option<String>,
    /// Port; none means every port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<Port>,
}

impl ParentRef {
    /// Whether the parent is a core Service.
    #[must_use]
    pub fn is_service(&self) -> bool {
        is_core(&self.group) && self.kind == "Service"
    }

    /// Whether the core group is called `core`, as Linkerd alone does.
    #[must_use]
    pub fn is_linkerds(&self) -> bool {
        self.group == CORE
    }

    /// Whether the parent is a Linkerd Server.
    #[must_use]
    pub fn is_server(&self) -> bool {
        self.group == "policy.linkerd.io" && self.kind == "Server"
    }
}

/// Where requests or connections go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendRef {
    /// API group; default the core group.
    pub group: String,
    /// Kind; default Service.
    pub kind: String,
    /// Namespace; default the route's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// Port; always there for a Service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<Port>,
    /// Share of the requests relative to the rule's other backends, 0 to 1,000,000; default 1.
    pub weight: u32,
    /// What is changed for this backend only; always empty in a TLSRoute or TCPRoute.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
}

impl BackendRef {
    /// Whether the backend is a core Service.
    #[must_use]
    pub fn is_service(&self) -> bool {
        is_core(&self.group) && self.kind == "Service"
    }
}

/// A backend on its own, without a weight or filters (`BackendObjectReference`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendObject {
    /// API group; default the core group.
    pub group: String,
    /// Kind; default Service.
    pub kind: String,
    /// Namespace; default that of the object it is written in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name.
    pub name: String,
    /// Port; always there for a Service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<Port>,
}

impl BackendObject {
    /// Whether the backend is a core Service.
    #[must_use]
    pub fn is_service(&self) -> bool {
        is_core(&self.group) && self.kind == "Service"
    }
}

/// What a policy is for, in the policy's own namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PolicyTarget {
    /// API group; empty for the core group.
    pub group: String,
    /// Kind.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Name of a Service port; none means the whole object. Only a BackendTLSPolicy has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section_name: Option<String>,
}

impl PolicyTarget {
    /// Whether the target is a core Service.
    #[must_use]
    pub fn is_service(&self) -> bool {
        self.group.is_empty() && self.kind == "Service"
    }
}

/// An API group; empty for the core group.
pub(crate) fn group(cursor: &Cursor<'_>) -> Decoded<String> {
    match cursor.node.text() {
        Some("") => Ok(String::new()),
        _ => scalar::subdomain(cursor),
    }
}

/// `parentRefs` of a route, each told apart from the others.
pub(crate) fn parent_refs(fields: &Fields<'_>) -> Decoded<Vec<ParentRef>> {
    let parents = fields.list("parentRefs", MAX_PARENTS, parent_ref)?;
    if let Some(at) = fields.at("parentRefs") {
        check_parents(&at, &parents)?;
    }
    Ok(parents)
}

fn check_parents(cursor: &Cursor<'_>, parents: &[ParentRef]) -> Decoded<()> {
    for (index, parent) in parents.iter().enumerate() {
        if parents[..index].contains(parent) {
            let reason = format!("{} {} is given twice", parent.kind, parent.name);
            return Err(cursor.refuse_with(
                "duplicate-parent",
                reason,
                "tell them apart by sectionName or port",
            ));
        }
    }
    Ok(())
}

fn parent_ref(cursor: &Cursor<'_>) -> Decoded<ParentRef> {
    let fields = cursor.fields(&["group", "kind", "namespace", "name", "sectionName", "port"])?;
    let group = fields.optional("group", group);
    let kind = fields.optional("kind", scalar::filled);
    let namespace = fields.optional("namespace", scalar::label);
    let name = fields.required("name", scalar::subdomain);
    let section_name = fields.optional("sectionName", scalar::subdomain);
    let port = fields.optional("port", scalar::port);
    let parent = ParentRef {
        group: group?.unwrap_or_else(|| "gateway.networking.k8s.io".to_owned()),
        kind: kind?.unwrap_or_else(|| "Gateway".to_owned()),
        namespace: namespace?,
        name: name?,
        section_name: section_name?,
        port: port?,
    };
    if parent.kind == "Service" && !parent.is_service() {
        let reason = format!(
            "found kind Service in group {}, expected the core group",
            parent.group
        );
        return Err(cursor.refuse_with("wrong-group", reason, "write group: \"\""));
    }
    Ok(parent)
}

/// `backendRefs` of a rule, whose filters may be of `types`; none means that a backend has no filters.
pub(crate) fn backend_refs(fields: &Fields<'_>, types: Option<FilterTypes>) -> Decoded<Vec<BackendRef>> {
    fields.list("backendRefs", MAX_ITEMS, |at| backend_ref(at, types))
}

/// `backendRefs` of a rule that must have at least one, without filters.
pub(crate) fn some_backend_refs(fields: &Fields<'_>) -> Decoded<Vec<BackendRef>> {
    fields.required("backendRefs", |at| {
        let backends = at.list(MAX_ITEMS, |at| backend_ref(at, None))?;
        if backends.is_empty() {
            return Err(at.refuse("empty", "found no backend, expected at least one"));
        }
        Ok(backends)
    })
}

fn backend_ref(cursor: &Cursor<'_>, types: Option<FilterTypes>) -> Decoded<BackendRef> {
    let known = ["group", "kind", "namespace", "name", "port", "weight", "filters"];
    let known = if types.is_some() { &known[..] } else { &known[..6] };
    let fields = cursor.fields(known)?;
    let object = object(&fields, cursor);
    let weight = fields.optional("weight", |at| scalar::count(at, 0, MAX_WEIGHT));
    let filters = match types {
        Some(types) => fields.optional("filters", |at| filter::filters(at, types)),
        None => Ok(None),
    };
    let object = object?;
    Ok(BackendRef {
        group: object.group,
        kind: object.kind,
        namespace: object.namespace,
        name: object.name,
        port: object.port,
        weight: weight?.unwrap_or(1),
        filters: filters?.unwrap_or_default(),
    })
}

/// A backend without weight and filters.
pub(crate) fn backend_object(cursor: &Cursor<'_>) -> Decoded<BackendObject> {
    let fields = cursor.fields(&["group", "kind", "namespace", "name", "port"])?;
    object(&fields, cursor)
}

fn object(fields: &Fields<'_>, cursor: &Cursor<'_>) -> Decoded<BackendObject> {
    let group = fields.optional("group", group);
    let kind = fields.optional("kind", scalar::filled);
    let namespace = fields.optional("namespace", scalar::label);
    let name = fields.required("name", scalar::subdomain);
    let port = fields.optional("port", scalar::port);
    let object = BackendObject {
        group: group?.unwrap_or_default(),
        kind: kind?.unwrap_or_else(|| "Service".to_owned()),
        namespace: namespace?,
        name: name?,
        port: port?,
    };
    if object.is_service() && object.port.is_none() {
        return Err(cursor.refuse_with("missing-field", "a Service backend needs a port", "add port"));
    }
    Ok(object)
}

/// Whether a target may name a section of the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sections {
    /// It is always for the whole object.
    Whole,
    /// It may have a `sectionName`.
    Named,
}

/// `targetRefs` of a policy: at least one, each told apart from the others.
pub(crate) fn policy_targets(fields: &Fields<'_>, sections: Sections) -> Decoded<Vec<PolicyTarget>> {
    fields.required("targetRefs", |at| {
        let targets = at.list(MAX_ITEMS, |at| policy_target(at, sections))?;
        if targets.is_empty() {
            return Err(at.refuse("empty", "found no target, expected at least one"));
        }
        for (index, target) in targets.iter().enumerate() {
            let same = |other: &&PolicyTarget| {
                (&other.group, &other.kind, &other.name) == (&target.group, &target.kind, &target.name)
            };
            let clash = targets[..index].iter().filter(same).any(|other| {
                other.section_name == target.section_name
                    || target.section_name.is_none()
                    || other.section_name.is_none()
            });
            if clash {
                let reason = format!("{} {} is given twice", target.kind, target.name);
                return Err(at.refuse("duplicate-target", reason));
            }
        }
        Ok(targets)
    })
}

fn policy_target(cursor: &Cursor<'_>, sections: Sections) -> Decoded<PolicyTarget> {
    let known = ["group", "kind", "name", "sectionName"];
    let known = match sections {
        Sections::Whole => &known[..3],
        Sections::Named => &known[..],
    };
    let fields = cursor.fields(known)?;
    let group = fields.required("group", group);
    let kind = fields.required("kind", scalar::filled);
    let name = fields.required("name", scalar::subdomain);
    let section_name = fields.optional("sectionName", scalar::subdomain);
    Ok(PolicyTarget {
        group: group?,
        kind: kind?,
        name: name?,
        section_name: section_name?,
    })
}

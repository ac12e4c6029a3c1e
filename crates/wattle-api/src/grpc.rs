//! Gateway API GRPCRoute: rules for calls by service and method.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::decode::{Cursor, Decoded};
use crate::filter::{self, Filter, GRPC_FILTERS};
use crate::matching::{self, HeaderMatch, ValueMatch};
use crate::reference::{BackendRef, ParentRef, backend_refs, parent_refs};
use crate::route::check_rules;
use crate::scalar::{self, Pattern};
use crate::session::{SessionPersistence, session_persistence};
use crate::tree::quote;

/// Most rules or hostnames of a route (Gateway API).
const MAX_ITEMS: usize = 16;
/// Most matches of a rule (Gateway API).
const MAX_MATCHES: usize = 64;
/// Longest service or method in bytes (Gateway API).
const MAX_NAME: usize = 1024;

/// `spec` of a GRPCRoute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GrpcRoute {
    /// What the route attaches to; for the mesh, Services.
    pub parent_refs: Vec<ParentRef>,
    /// Host names; without meaning on a Service parent (GEP-1426).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hostnames: Vec<String>,
    /// The rules; a route without rules matches nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<GrpcRule>,
}

/// One rule of a GRPCRoute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GrpcRule {
    /// Name of the rule, unique in its route (GEP-995).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The rule applies when any of them matches; never empty.
    pub matches: Vec<GrpcMatch>,
    /// What is changed on the way: header modifiers, mirrors and unsupported filters only.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
    /// Where matching calls go, by weight; empty means status UNAVAILABLE.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub backend_refs: Vec<BackendRef>,
    /// Whether calls of one session stay at one endpoint (GEP-1619).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_persistence: Option<SessionPersistence>,
}

/// Conditions that must all hold for a call; the default is any call.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct GrpcMatch {
    /// Service and method; none means any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<MethodMatch>,
    /// Headers that must all match; names unique without regard to case.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderMatch>,
}

/// How service and method of a call match; at least one of them is there, and both are of one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MethodMatch {
    /// The service with its package; none means any.
    pub service: Option<ValueMatch>,
    /// The method; none means any.
    pub method: Option<ValueMatch>,
}

impl Serialize for MethodMatch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let parts = [("service", &self.service), ("method", &self.method)];
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in parts {
            match value {
                Some(ValueMatch::Exact(text)) => map.serialize_entry(key, text)?,
                Some(ValueMatch::RegularExpression(pattern)) => {
                    map.serialize_entry(key, pattern)?;
                }
                None => {}
            }
        }
        let exact = [&self.service, &self.method]
            .into_iter()
            .flatten()
            .all(|value| matches!(value, ValueMatch::Exact(_)));
        map.serialize_entry("type", if exact { "Exact" } else { "RegularExpression" })?;
        map.end()
    }
}

pub(crate) fn grpc_route(cursor: &Cursor<'_>) -> Decoded<GrpcRoute> {
    let fields = cursor.fields(&["parentRefs", "hostnames", "rules", "useDefaultGateways"])?;
    fields.without_effect(&["useDefaultGateways"]);
    let parent_refs = parent_refs(&fields);
    let hostnames = fields.list("hostnames", MAX_ITEMS, |at| scalar::hostname(at, true));
    let rules = fields.list("rules", MAX_ITEMS, rule)?;
    if let Some(at) = fields.at("rules") {
        let counted = rules
            .iter()
            .map(|rule| (rule.name.as_deref(), rule.matches.len()));
        check_rules(&at, counted)?;
    }
    Ok(GrpcRoute {
        parent_refs: parent_refs?,
        hostnames: hostnames?,
        rules,
    })
}

fn rule(cursor: &Cursor<'_>) -> Decoded<GrpcRule> {
    let known = ["name", "matches", "filters", "backendRefs", "sessionPersistence"];
    let fields = cursor.fields(&known)?;
    let name = fields.optional("name", scalar::subdomain);
    let matches = fields.list("matches", MAX_MATCHES, call_match);
    let filters = fields.optional("filters", |at| filter::filters(at, GRPC_FILTERS));
    let backend_refs = backend_refs(&fields, Some(GRPC_FILTERS));
    let session_persistence = fields.optional("sessionPersistence", session_persistence);
    let mut matches = matches?;
    if matches.is_empty() {
        matches.push(GrpcMatch::default());
    }
    Ok(GrpcRule {
        name: name?,
        matches,
        filters: filters?.unwrap_or_default(),
        backend_refs: backend_refs?,
        session_persistence: session_persistence?,
    })
}

fn call_match(cursor: &Cursor<'_>) -> Decoded<GrpcMatch> {
    let fields = cursor.fields(&["method", "headers"])?;
    let method = fields.optional("method", method_match);
    let headers = fields.optional("headers", matching::header_matches);
    Ok(GrpcMatch {
        method: method?,
        headers: headers?.unwrap_or_default(),
    })
}

fn method_match(cursor: &Cursor<'_>) -> Decoded<MethodMatch> {
    let fields = cursor.fields(&["type", "service", "method"])?;
    let exact = fields.optional("type", |at| {
        scalar::word(at, &[("Exact", true), ("RegularExpression", false)])
    });
    let exact = exact?.unwrap_or(true);
    let service = fields.optional("service", |at| name(at, exact, is_service));
    let method = fields.optional("method", |at| name(at, exact, is_identifier));
    let found = MethodMatch {
        service: service?.flatten(),
        method: method?.flatten(),
    };
    if found.service.is_none() && found.method.is_none() {
        let reason = "expected a service, a method, or both";
        return Err(cursor.refuse_with("missing-field", reason, "remove method if any call may match"));
    }
    Ok(found)
}

/// A service or method; empty means any, as in the Gateway API.
fn name(cursor: &Cursor<'_>, exact: bool, is_valid: fn(&str) -> bool) -> Decoded<Option<ValueMatch>> {
    let text = scalar::text(cursor)?;
    if text.is_empty() {
        return Ok(None);
    }
    if text.len() > MAX_NAME {
        let reason = format!("found {} bytes, expected at most {MAX_NAME}", text.len());
        return Err(cursor.refuse("too-long", reason));
    }
    if !exact {
        let pattern: Pattern = scalar::pattern(cursor)?;
        return Ok(Some(ValueMatch::RegularExpression(pattern)));
    }
    if !is_valid(&text) {
        let reason = format!("found {}, expected letters, digits and _", quote(&text));
        return Err(cursor.refuse("invalid-name", reason));
    }
    Ok(Some(ValueMatch::Exact(text)))
}

/// A service: identifiers with dots between, and perhaps one in front.
fn is_service(text: &str) -> bool {
    text.strip_prefix('.')
        .unwrap_or(text)
        .split('.')
        .all(is_identifier)
}

fn is_identifier(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

//! Which requests a rule for HTTP is for.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::decode::{Cursor, Decoded};
use crate::istio::gateway_ref::{GatewayRef, gateway_ref};
use crate::istio::string_match::{StringMatch, string_match, string_match_or_present};
use crate::istio::value::{MAX_ITEMS, flag, mapping, words};
use crate::meta::Labels;
use crate::scalar::{self, Port};
use crate::tree::quote;

/// Conditions that must all hold; without any it matches every request.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpMatch {
    /// Name for logs and messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<StringMatch>,
    /// The scheme.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme: Option<StringMatch>,
    /// The method.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<StringMatch>,
    /// The host as in the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authority: Option<StringMatch>,
    /// Headers that must be there and match, by name in lower case.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, StringMatch>,
    /// Headers that must not match, by name in lower case.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub without_headers: BTreeMap<String, StringMatch>,
    /// Query parameters that must be there and match.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub query_params: BTreeMap<String, StringMatch>,
    /// The port the request was sent to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<Port>,
    /// Labels of the client's workload; they choose the proxies that get the rule.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub source_labels: Labels,
    /// Namespace of the client's workload; it chooses the proxies that get the rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_namespace: Option<String>,
    /// Where it applies; empty means where the VirtualService does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gateways: Vec<GatewayRef>,
    /// Whether `uri` is compared without regard to case, if it is exact or a prefix; default false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ignore_uri_case: bool,
    /// Prefix of a route's own statistics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stat_prefix: Option<String>,
}

const FIELDS: &[&str] = &[
    "name",
    "uri",
    "scheme",
    "method",
    "authority",
    "headers",
    "withoutHeaders",
    "queryParams",
    "port",
    "sourceLabels",
    "sourceNamespace",
    "gateways",
    "ignoreUriCase",
    "statPrefix",
];

pub(super) fn http_match(cursor: &Cursor<'_>) -> Decoded<HttpMatch> {
    let fields = cursor.fields(FIELDS)?;
    let name = words(&fields, "name");
    let uri = fields.optional("uri", string_match);
    let scheme = fields.optional("scheme", string_match);
    let method = fields.optional("method", string_match);
    let authority = fields.optional("authority", string_match);
    let headers = fields.optional("headers", header_matches);
    let without_headers = fields.optional("withoutHeaders", header_matches);
    let query_params = fields.optional("queryParams", |at| {
        mapping(at, MAX_ITEMS, |key, at| {
            Ok((key.to_owned(), string_match_or_present(at)?))
        })
    });
    let port = fields.optional("port", scalar::port);
    let source_labels = fields.optional("sourceLabels", scalar::labels);
    let source_namespace = fields.optional("sourceNamespace", scalar::label);
    let gateways = fields.list("gateways", MAX_ITEMS, gateway_ref);
    let ignore_uri_case = flag(&fields, "ignoreUriCase");
    let stat_prefix = words(&fields, "statPrefix");
    let found = HttpMatch {
        name: name?,
        uri: uri?,
        scheme: scheme?,
        method: method?,
        authority: authority?,
        headers: headers?.unwrap_or_default(),
        without_headers: without_headers?.unwrap_or_default(),
        query_params: query_params?.unwrap_or_default(),
        port: port?,
        source_labels: source_labels?.unwrap_or_default(),
        source_namespace: source_namespace?,
        gateways: gateways?,
        ignore_uri_case: ignore_uri_case?,
        stat_prefix: stat_prefix?,
    };
    if found.ignore_uri_case && matches!(found.uri, None | Some(StringMatch::Regex(_))) {
        let hint = "start the pattern with (?i)";
        cursor.warn("no-effect", "ignoreUriCase needs uri as exact or prefix", hint);
    }
    Ok(found)
}

fn header_matches(cursor: &Cursor<'_>) -> Decoded<BTreeMap<String, StringMatch>> {
    mapping(cursor, MAX_ITEMS, |key, at| {
        let key = header_name(key, at);
        let value = string_match_or_present(at);
        Ok((key?, value?))
    })
}

fn header_name(key: &str, cursor: &Cursor<'_>) -> Decoded<String> {
    if key.starts_with("@request.auth.") {
        let reason = "matching on a token's claims is not supported yet";
        return Err(cursor.refuse("unsupported-field", reason));
    }
    let lower = key.to_ascii_lowercase();
    if matches!(lower.as_str(), ":path" | ":method" | ":authority" | ":scheme") {
        let instead = if lower == ":path" { "uri" } else { &lower[1..] };
        let reason = format!("found {}, expected a header name", quote(key));
        return Err(cursor.refuse_with("invalid-header", reason, &format!("write it under {instead}")));
    }
    if lower.len() > 256 || http::HeaderName::from_bytes(lower.as_bytes()).is_err() {
        let reason = format!("found {}, expected a header name", quote(key));
        return Err(cursor.refuse("invalid-header", reason));
    }
    Ok(lower)
}

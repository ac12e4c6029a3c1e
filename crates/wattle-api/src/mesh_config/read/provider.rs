//! Services that authorize: `extensionProviders`.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::{AuthorizationCheck, Authorizer, BodyInCheck, HttpAuthorizer, ProviderService};
use super::open;
use crate::decode::{Cursor, Decoded, Fields};
use crate::istio::time;
use crate::matcher::TextMatch;
use crate::scalar::{self, Port};
use crate::tree::quote;

/// Most entries of a list of a provider.
const MAX_ITEMS: usize = 64;
/// Most bytes of a body that a service is shown.
const MAX_SHOWN: u32 = 4 * 1024 * 1024;
/// Longest time for an answer (Istio's default).
const MAX_TIMEOUT: Duration = Duration::from_secs(600);
/// Longest fixed value of a header.
const MAX_VALUE: usize = 4096;

const HTTP: &str = "envoyExtAuthzHttp";
const GRPC: &str = "envoyExtAuthzGrpc";

/// The name, and how it is asked if it authorizes.
pub(super) fn provider(cursor: &Cursor<'_>) -> Decoded<(String, Option<AuthorizationCheck>)> {
    let (fields, others) = open(cursor, &["name", HTTP, GRPC])?;
    fields.without_effect(&others);
    let name = fields.required("name", scalar::filled);
    let http = fields.optional(HTTP, http);
    let grpc = fields.optional(GRPC, grpc);
    let check = match (http?, grpc?) {
        (Some(_), Some(_)) => {
            let reason = format!("{HTTP} and {GRPC} exclude each other");
            return Err(fields.refuse("incompatible-fields", reason));
        }
        (Some(http), None) => Some(AuthorizationCheck::Http(Box::new(http))),
        (None, grpc) => grpc.map(AuthorizationCheck::Grpc),
    };
    if check.is_none() && others.is_empty() {
        let reason = format!("a provider needs a service, such as {GRPC}");
        return Err(fields.refuse("missing-field", reason));
    }
    Ok((name?, check))
}

/// Fields of services of both protocols.
const COMMON: &[&str] = &[
    "service",
    "port",
    "timeout",
    "failOpen",
    "statusOnError",
    "includeRequestBodyInCheck",
    "clearRouteCache",
];

fn grpc(cursor: &Cursor<'_>) -> Decoded<Authorizer> {
    common(&cursor.fields(COMMON)?)
}

const HTTP_FIELDS: &[&str] = &[
    "pathPrefix",
    "includeHeadersInCheck",
    "includeRequestHeadersInCheck",
    "includeAdditionalHeadersInCheck",
    "headersToUpstreamOnAllow",
    "headersToDownstreamOnDeny",
    "headersToDownstreamOnAllow",
];

fn http(cursor: &Cursor<'_>) -> Decoded<HttpAuthorizer> {
    let fields = cursor.fields(&[COMMON, HTTP_FIELDS].concat())?;
    let common = common(&fields);
    let path_prefix = fields.optional("pathPrefix", path_prefix);
    let headers = |key: &str| fields.list(key, MAX_ITEMS, header_match);
    let old = headers("includeHeadersInCheck");
    let shown = headers("includeRequestHeadersInCheck");
    let added = fields.optional("includeAdditionalHeadersInCheck", added);
    let to_upstream = headers("headersToUpstreamOnAllow");
    let on_deny = headers("headersToDownstreamOnDeny");
    let on_allow = headers("headersToDownstreamOnAllow");
    if let Some(body) = fields.at("includeRequestBodyInCheck")
        && body.node.child("packAsBytes").is_some()
    {
        body.warn(
            "no-effect",
            "packAsBytes has no effect: over HTTP a body is bytes",
            "",
        );
    }
    let mut include_request_headers_in_check = old?;
    include_request_headers_in_check.extend(shown?);
    Ok(HttpAuthorizer {
        common: common?,
        path_prefix: path_prefix?.unwrap_or_default(),
        include_request_headers_in_check,
        include_additional_headers_in_check: added?.unwrap_or_default(),
        headers_to_upstream_on_allow: to_upstream?,
        headers_to_downstream_on_deny: on_deny?,
        headers_to_downstream_on_allow: on_allow?,
    })
}

fn common(fields: &Fields<'_>) -> Decoded<Authorizer> {
    let service = fields.required("service", service);
    let port = fields.required("port", port);
    let timeout = fields.optional("timeout", timeout);
    let fail_open = fields.optional("failOpen", scalar::flag);
    let status_on_error = fields.optional("statusOnError", status);
    let body = fields.optional("includeRequestBodyInCheck", body);
    if let Some(cache) = fields.at("clearRouteCache") {
        let reason = "the field has no effect: a route is chosen before the service is asked";
        cache.warn("no-effect", reason, "");
    }
    Ok(Authorizer {
        service: service?,
        port: port?,
        timeout: timeout?,
        fail_open: fail_open?.unwrap_or_default(),
        status_on_error: status_on_error?,
        include_request_body_in_check: body?,
    })
}

/// A number, or its digits in a text: this is protobuf as JSON, and Istio's own pages quote it.
fn port(cursor: &Cursor<'_>) -> Decoded<Port> {
    let written = cursor.node.text().and_then(|text| text.parse().ok());
    match written.and_then(Port::new) {
        Some(port) => Ok(port),
        None => scalar::port(cursor),
    }
}

fn service(cursor: &Cursor<'_>) -> Decoded<ProviderService> {
    let text = scalar::filled(cursor)?;
    let (namespace, host) = match text.split_once('/') {
        Some((namespace, host)) => (Some(namespace), host),
        None => (None, text.as_str()),
    };
    if !namespace.is_none_or(scalar::is_label) || !scalar::is_subdomain(host) {
        let reason = format!("found {}, expected NAMESPACE/HOST or HOST", quote(&text));
        return Err(cursor.refuse("invalid-host", reason));
    }
    Ok(ProviderService {
        namespace: namespace.map(str::to_owned),
        host: host.to_owned(),
    })
}

fn timeout(cursor: &Cursor<'_>) -> Decoded<Duration> {
    let timeout = time(cursor)?;
    if timeout > MAX_TIMEOUT {
        return Err(cursor.refuse("out-of-range", "expected at most 10m"));
    }
    Ok(timeout)
}

/// Istio writes it as text.
fn status(cursor: &Cursor<'_>) -> Decoded<u16> {
    let text = scalar::text(cursor)?;
    let status = text.parse().ok().filter(|status| (200..=599).contains(status));
    status.ok_or_else(|| {
        let reason = format!("found {}, expected a status from 200 to 599", quote(&text));
        cursor.refuse("out-of-range", reason)
    })
}

fn body(cursor: &Cursor<'_>) -> Decoded<BodyInCheck> {
    let fields = cursor.fields(&["maxRequestBytes", "allowPartialMessage", "packAsBytes"])?;
    let most = fields.required("maxRequestBytes", |at| scalar::count(at, 1, MAX_SHOWN));
    let partial = fields.optional("allowPartialMessage", scalar::flag);
    let bytes = fields.optional("packAsBytes", scalar::flag);
    Ok(BodyInCheck {
        max_request_bytes: most?,
        allow_partial_message: partial?.unwrap_or_default(),
        pack_as_bytes: bytes?.unwrap_or_default(),
    })
}

fn path_prefix(cursor: &Cursor<'_>) -> Decoded<String> {
    let prefix = scalar::text(cursor)?;
    let sound = prefix.is_empty() || prefix.starts_with('/') && !prefix.contains(['?', '#']);
    if !sound || http::uri::PathAndQuery::try_from(prefix.as_str()).is_err() {
        let reason = format!("found {}, expected a path from / on", quote(&prefix));
        return Err(cursor.refuse("invalid-path", reason));
    }
    Ok(prefix)
}

/// `name`, `start*`, `*end` or `*`; names are compared in lower case.
fn header_match(cursor: &Cursor<'_>) -> Decoded<TextMatch> {
    let text = scalar::filled(cursor)?.to_ascii_lowercase();
    let plain = text.trim_matches('*');
    if !plain.is_empty() && http::HeaderName::from_bytes(plain.as_bytes()).is_err() {
        let reason = format!("found {}, expected a header name", quote(&text));
        return Err(cursor.refuse("invalid-header", reason));
    }
    Ok(TextMatch::new(&text))
}

fn added(cursor: &Cursor<'_>) -> Decoded<BTreeMap<String, String>> {
    let entries = cursor.entries()?;
    if entries.len() > MAX_ITEMS {
        let reason = format!("found {} headers, expected at most {MAX_ITEMS}", entries.len());
        return Err(cursor.refuse("too-many", reason));
    }
    let decoded = entries.iter().map(|entry| {
        let at = cursor.entry(entry);
        let name = http::HeaderName::from_bytes(entry.key.as_bytes()).map_err(|_| {
            let reason = format!("found {}, expected a header name", quote(&entry.key));
            at.refuse("invalid-header", reason)
        })?;
        let value = scalar::text(&at)?;
        if value.len() > MAX_VALUE || http::HeaderValue::from_str(&value).is_err() {
            return Err(at.refuse("invalid-header", "expected a value that a header may have"));
        }
        Ok((name.as_str().to_owned(), value))
    });
    decoded.collect()
}

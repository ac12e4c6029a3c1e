//! Messages to routes.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use wattle_model::{
    Action, Filters, HeaderMatch, HeaderModifier, PathMatch, PathRewrite, Pattern, QueryMatch, Redirect,
    RequestMatch, RouteRule, RuleRef, TextMatch, Timeouts, UrlRewrite, WeightedBackend,
};

use super::mesh_to_model::{backend_index, object_ref};
use super::{DecodeError, Reader};
use crate::proto::mesh;

type Decoded<T> = Result<T, DecodeError>;

pub(crate) fn rule(reader: &mut Reader, message: mesh::RouteRule, backends: usize) -> Decoded<RouteRule> {
    let origin = reader.at("origin", |reader| {
        let origin = reader.required(message.origin, "origin")?;
        Ok(RuleRef {
            object: object_ref(reader, origin.object.unwrap_or_default())?,
            rule: origin.rule,
            matched: origin.matched,
            name: reader.text(origin.name)?,
        })
    })?;
    // A rule without its matches would match everything: absent is refused, empty is meant.
    let matches = reader.required(message.matches, "matches")?;
    let action = match reader.required(message.action, "action")? {
        mesh::route_rule::Action::Forward(forward) => {
            Action::Forward(reader.list("forward", forward.backends, |reader, item| {
                weighted(reader, item, backends)
            })?)
        }
        mesh::route_rule::Action::Redirect(value) => {
            Action::Redirect(reader.at("redirect", |r| redirect(r, value))?)
        }
    };
    Ok(RouteRule {
        origin,
        matches: reader.at("matches", |reader| request_match(reader, matches))?,
        filters: Arc::new(reader.at("filters", |reader| {
            filters(reader, message.filters.unwrap_or_default())
        })?),
        action: Arc::new(action),
        retry: None,
        session: None,
        timeouts: Timeouts {
            request: duration(message.request_timeout_nanos),
            backend_request: duration(message.backend_request_timeout_nanos),
            ..Timeouts::default()
        },
    })
}

fn duration(nanos: u64) -> Option<Duration> {
    (nanos > 0).then(|| Duration::from_nanos(nanos))
}

fn weighted(
    reader: &mut Reader,
    message: mesh::WeightedBackend,
    backends: usize,
) -> Decoded<WeightedBackend> {
    let filters = match message.filters {
        None => None,
        Some(message) => Some(Arc::new(reader.at("filters", |reader| filters(reader, message))?)),
    };
    Ok(WeightedBackend {
        backend: backend_index(reader, message.backend_plus_one, backends)?,
        written: message.written.into(),
        weight: message.weight,
        filters,
    })
}

fn request_match(reader: &mut Reader, message: mesh::RequestMatch) -> Decoded<RequestMatch> {
    let path = match message.path {
        None => None,
        Some(path) => Some(reader.at("path", |reader| path_match(reader, path))?),
    };
    let method = match message.method.as_str() {
        "" => None,
        method => Some(TextMatch::Exact(method.into())),
    };
    Ok(RequestMatch {
        path,
        method,
        headers: reader.list("headers", message.headers, |reader, header| {
            Ok(HeaderMatch {
                name: name(reader, &header.name)?,
                value: value(reader, header.value)?,
                inverted: false,
            })
        })?,
        query: reader.list("query", message.query, |reader, query| {
            Ok(QueryMatch {
                name: query.name.into(),
                value: value(reader, query.value)?,
            })
        })?,
        ..RequestMatch::default()
    })
}

fn path_match(reader: &Reader, message: mesh::PathMatch) -> Decoded<PathMatch> {
    Ok(match reader.required(message.kind, "kind")? {
        mesh::path_match::Kind::Exact(text) => PathMatch::Exact(text.into()),
        mesh::path_match::Kind::Prefix(text) => PathMatch::Prefix(text.into()),
        mesh::path_match::Kind::Regex(text) => PathMatch::Regex(pattern(reader, &text)?),
    })
}

fn value(reader: &mut Reader, message: Option<mesh::TextMatch>) -> Decoded<TextMatch> {
    let message = reader.required(message, "value")?;
    text_match(reader, message)
}

pub(crate) fn text_match(reader: &mut Reader, message: mesh::TextMatch) -> Decoded<TextMatch> {
    use mesh::text_match::Kind;
    Ok(match reader.required(message.kind, "kind")? {
        Kind::Exact(text) => TextMatch::Exact(text.into()),
        Kind::Prefix(text) => TextMatch::Prefix(text.into()),
        Kind::Suffix(text) => TextMatch::Suffix(text.into()),
        Kind::Present(_) => TextMatch::Present,
        Kind::Regex(text) => TextMatch::Regex(pattern(reader, &text)?),
    })
}

fn pattern(reader: &Reader, text: &str) -> Decoded<Pattern> {
    Pattern::new(text)
        .map_err(|error| reader.error(format!("\"{text}\" is not a regular expression: {error}")))
}

fn name(reader: &Reader, text: &str) -> Decoded<HeaderName> {
    HeaderName::from_bytes(text.as_bytes())
        .map_err(|_| reader.error(format!("\"{text}\" is not a header name")))
}

fn filters(reader: &mut Reader, message: mesh::Filters) -> Decoded<Filters> {
    let rewrite = message.rewrite.unwrap_or_default();
    Ok(Filters {
        request_headers: headers(reader, message.request_headers.unwrap_or_default())?,
        response_headers: headers(reader, message.response_headers.unwrap_or_default())?,
        rewrite: UrlRewrite {
            host: rewrite.host.map(Into::into),
            path: path_rewrite(reader, rewrite.path)?,
        },
        ..Filters::default()
    })
}

fn headers(reader: &mut Reader, message: mesh::HeaderModifier) -> Decoded<HeaderModifier> {
    Ok(HeaderModifier {
        set: reader.list("set", message.set, header)?,
        add: reader.list("add", message.add, header)?,
        remove: reader.list("remove", message.remove, |reader, text| name(reader, &text))?,
    })
}

fn header(reader: &mut Reader, message: mesh::Header) -> Decoded<(HeaderName, HeaderValue)> {
    let value = HeaderValue::from_bytes(&message.value)
        .map_err(|_| reader.error(format!("value of header {} has forbidden bytes", message.name)))?;
    Ok((name(reader, &message.name)?, value))
}

fn path_rewrite(reader: &Reader, message: Option<mesh::PathRewrite>) -> Decoded<Option<PathRewrite>> {
    let Some(message) = message else { return Ok(None) };
    Ok(Some(match reader.required(message.kind, "kind")? {
        mesh::path_rewrite::Kind::Full(text) => PathRewrite::Full(text.into()),
        mesh::path_rewrite::Kind::Prefix(text) => PathRewrite::Prefix(text.into()),
    }))
}

fn redirect(reader: &mut Reader, message: mesh::Redirect) -> Decoded<Redirect> {
    let status = match message.status {
        301 | 302 | 303 | 307 | 308 => message.status as u16,
        other => return Err(reader.error(format!("status {other}, 301, 302, 303, 307 or 308 expected"))),
    };
    Ok(Redirect {
        scheme: message.scheme.map(Into::into),
        host: message.host.map(Into::into),
        port: match reader.port(message.port)? {
            0 => wattle_model::RedirectPort::Listener,
            port => wattle_model::RedirectPort::Fixed(port),
        },
        path: path_rewrite(reader, message.path)?,
        status,
    })
}

//! Matches of a VirtualService, as the model's predicates.

use std::collections::BTreeMap;

use http::HeaderName;
use wattle_api::istio::{HttpMatch, StringMatch};
use wattle_model::{HeaderMatch, PathMatch, Pattern, QueryMatch, RequestMatch, TextMatch};

/// Claims of a token, written as a header; they need request authentication, which is not there.
const CLAIMS: &str = "@request.auth.";

/// The predicate of `matched`; `None` when a part of it cannot be had, so that it must match nothing.
pub(super) fn request(matched: &HttpMatch) -> Option<RequestMatch> {
    let header = |inverted: bool| {
        move |(name, value): (&String, &StringMatch)| {
            let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
            let value = text(value)?;
            Some(HeaderMatch {
                name,
                value,
                inverted,
            })
        }
    };
    let query = |(name, value): (&String, &StringMatch)| {
        Some(QueryMatch {
            name: name.as_str().into(),
            value: text(value)?,
        })
    };
    let wanted = matched.headers.iter().map(header(false));
    let unwanted = matched.without_headers.iter().map(header(true));
    let optional = |written: &Option<StringMatch>| {
        written
            .as_ref()
            .map(text)
            .map_or(Some(None), |found| found.map(Some))
    };
    Some(RequestMatch {
        hosts: Vec::new(),
        path: path(matched)?,
        method: optional(&matched.method)?,
        scheme: optional(&matched.scheme)?,
        authority: optional(&matched.authority)?,
        headers: wanted.chain(unwanted).collect::<Option<_>>()?,
        query: matched.query_params.iter().map(query).collect::<Option<_>>()?,
        caller_labels: labels(&matched.source_labels),
    })
}

/// Labels that a caller must have.
pub(crate) fn labels(written: &wattle_api::Labels) -> Vec<wattle_model::CallerLabel> {
    written
        .iter()
        .map(|(key, value)| (key.as_str().into(), value.as_str().into()))
        .collect()
}

/// Does the match compare claims of a token?
pub(crate) fn asks_for_claims(matched: &HttpMatch) -> bool {
    let mut names = matched.headers.keys().chain(matched.without_headers.keys());
    names.any(|name| name.starts_with(CLAIMS))
}

fn path(matched: &HttpMatch) -> Option<Option<PathMatch>> {
    let any_case = matched.ignore_uri_case;
    Some(match &matched.uri {
        None | Some(StringMatch::Present) => None,
        Some(StringMatch::Exact(path)) if any_case => Some(PathMatch::ExactAnyCase(path.as_str().into())),
        Some(StringMatch::Exact(path)) => Some(PathMatch::Exact(path.as_str().into())),
        // Every path starts with it.
        Some(StringMatch::Prefix(prefix)) if prefix == "/" => None,
        Some(StringMatch::Prefix(prefix)) if any_case => {
            Some(PathMatch::StartsWithAnyCase(prefix.as_str().into()))
        }
        Some(StringMatch::Prefix(prefix)) => Some(PathMatch::StartsWith(prefix.as_str().into())),
        Some(StringMatch::Regex(pattern)) => Some(PathMatch::Regex(Pattern::new(pattern.as_str()).ok()?)),
    })
}

pub(super) fn text(written: &StringMatch) -> Option<TextMatch> {
    Some(match written {
        StringMatch::Present => TextMatch::Present,
        StringMatch::Exact(text) => TextMatch::Exact(text.as_str().into()),
        StringMatch::Prefix(text) => TextMatch::Prefix(text.as_str().into()),
        StringMatch::Regex(pattern) => TextMatch::Regex(Pattern::new(pattern.as_str()).ok()?),
    })
}

/// A match in which both hold: what only one names is its own, what both name is the inner's, which Istio wants to be the
/// narrower.
pub(super) fn both(outer: &HttpMatch, inner: &HttpMatch) -> HttpMatch {
    let union = |outer: &BTreeMap<String, StringMatch>, inner: &BTreeMap<String, StringMatch>| {
        let mut all = outer.clone();
        all.extend(inner.clone());
        all
    };
    let mut source_labels = outer.source_labels.clone();
    source_labels.extend(inner.source_labels.clone());
    HttpMatch {
        name: inner.name.clone().or_else(|| outer.name.clone()),
        uri: inner.uri.clone().or_else(|| outer.uri.clone()),
        scheme: inner.scheme.clone().or_else(|| outer.scheme.clone()),
        method: inner.method.clone().or_else(|| outer.method.clone()),
        authority: inner.authority.clone().or_else(|| outer.authority.clone()),
        headers: union(&outer.headers, &inner.headers),
        without_headers: union(&outer.without_headers, &inner.without_headers),
        query_params: union(&outer.query_params, &inner.query_params),
        port: inner.port.or(outer.port),
        source_labels,
        source_namespace: inner
            .source_namespace
            .clone()
            .or_else(|| outer.source_namespace.clone()),
        gateways: if inner.gateways.is_empty() {
            outer.gateways.clone()
        } else {
            inner.gateways.clone()
        },
        ignore_uri_case: if inner.uri.is_some() {
            inner.ignore_uri_case
        } else {
            outer.ignore_uri_case
        },
        stat_prefix: inner.stat_prefix.clone().or_else(|| outer.stat_prefix.clone()),
    }
}

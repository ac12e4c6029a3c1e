//! Matches of a route, as the model's predicates.

use http::HeaderName;
use wattle_api::{Match, PathMatch as Path, ValueMatch};
use wattle_model::{HeaderMatch, PathMatch, Pattern, QueryMatch, RequestMatch, TextMatch};

/// The predicate of `matched`; `None` when a part of it cannot be had, so that it must match nothing.
pub(crate) fn request(matched: &Match) -> Option<RequestMatch> {
    let query = |query: &wattle_api::QueryMatch| {
        Some(QueryMatch {
            name: query.name.as_str().into(),
            value: value(&query.value)?,
        })
    };
    Some(RequestMatch {
        path: path(&matched.path)?,
        method: matched.method.map(|method| TextMatch::Exact(method.into())),
        headers: headers(&matched.headers)?,
        query: matched.query_params.iter().map(query).collect::<Option<_>>()?,
        ..RequestMatch::default()
    })
}

/// Conditions on headers; `None` when one of them cannot be had.
pub(crate) fn headers(written: &[wattle_api::HeaderMatch]) -> Option<Vec<HeaderMatch>> {
    let header = |header: &wattle_api::HeaderMatch| {
        Some(HeaderMatch {
            name: HeaderName::from_bytes(header.name.as_bytes()).ok()?,
            value: value(&header.value)?,
            inverted: false,
        })
    };
    written.iter().map(header).collect()
}

fn path(path: &Path) -> Option<Option<PathMatch>> {
    Some(match path {
        Path::Exact(path) => Some(PathMatch::Exact(path.as_str().into())),
        Path::PathPrefix(prefix) if prefix == "/" => None,
        Path::PathPrefix(prefix) => Some(PathMatch::Prefix(prefix.as_str().into())),
        Path::RegularExpression(pattern) => Some(PathMatch::Regex(Pattern::new(pattern.as_str()).ok()?)),
    })
}

fn value(value: &ValueMatch) -> Option<TextMatch> {
    Some(match value {
        ValueMatch::Exact(text) => TextMatch::Exact(text.as_str().into()),
        ValueMatch::RegularExpression(pattern) => TextMatch::Regex(Pattern::new(pattern.as_str()).ok()?),
    })
}

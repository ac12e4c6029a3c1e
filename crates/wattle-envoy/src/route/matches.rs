//! When a route applies.

use envoy_types::pb::envoy::config::route::v3 as xds;
use wattle_model::{HeaderMatch, PathMatch, QueryMatch, RequestMatch, TextMatch};
use xds::header_matcher::HeaderMatchSpecifier;
use xds::query_parameter_matcher::QueryParameterMatchSpecifier;
use xds::route_match::PathSpecifier;

use super::AnyPath as _;
use crate::notes::Notes;
use crate::proto::flag;
use crate::text::{compared, escaped, portable, regex};

/// A match but for hosts and the caller's labels, which are settled already; `None` when it cannot be said, which was
/// written down.
pub(crate) fn route_match(wanted: &RequestMatch, notes: &mut Notes) -> Option<xds::RouteMatch> {
    let said = said(wanted);
    if said.is_none() {
        notes.gap("an expression that RE2 does not know: the rule is left out");
    }
    said
}

fn said(wanted: &RequestMatch) -> Option<xds::RouteMatch> {
    let mut made = match &wanted.path {
        None => xds::RouteMatch::default().any_path(),
        Some(path) => xds::RouteMatch {
            path_specifier: Some(path_specifier(path)?),
            case_sensitive: is_any_case(path).then(|| flag(false)).flatten(),
            ..Default::default()
        },
    };
    let texts = [
        (":method", &wanted.method),
        (":scheme", &wanted.scheme),
        (":authority", &wanted.authority),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            made.headers.push(header(name, text)?);
        }
    }
    for header in &wanted.headers {
        made.headers.push(field(header)?);
    }
    for query in &wanted.query {
        made.query_parameters.push(parameter(query)?);
    }
    Some(made)
}

fn is_any_case(path: &PathMatch) -> bool {
    matches!(path, PathMatch::ExactAnyCase(_) | PathMatch::StartsWithAnyCase(_))
}

fn path_specifier(path: &PathMatch) -> Option<PathSpecifier> {
    Some(match path {
        PathMatch::Exact(path) | PathMatch::ExactAnyCase(path) => PathSpecifier::Path(path.to_string()),
        PathMatch::StartsWith(path) | PathMatch::StartsWithAnyCase(path) => {
            PathSpecifier::Prefix(path.to_string())
        }
        PathMatch::Prefix(prefix) => below(prefix.strip_suffix('/').unwrap_or(prefix)),
        PathMatch::Regex(pattern) => {
            portable(pattern.as_str()).then(|| PathSpecifier::SafeRegex(regex(pattern.as_str())))?
        }
    })
}

/// Whole elements below `prefix`, which does not end in a slash unless it ended in two.
fn below(prefix: &str) -> PathSpecifier {
    match prefix {
        "" => PathSpecifier::Prefix("/".to_owned()),
        plain if is_separated(plain) => PathSpecifier::PathSeparatedPrefix(plain.to_owned()),
        odd => PathSpecifier::SafeRegex(regex(format!("{}(?:/.*)?", escaped(odd)))),
    }
}

/// Would Envoy take it as `path_separated_prefix`?
pub(super) fn is_separated(prefix: &str) -> bool {
    prefix.len() > 1 && !prefix.ends_with('/') && !prefix.contains(['?', '#'])
}

/// A header that must be there with a value.
pub(crate) fn header(name: &str, text: &TextMatch) -> Option<xds::HeaderMatcher> {
    let specifier = match text {
        TextMatch::Present => HeaderMatchSpecifier::PresentMatch(true),
        text => HeaderMatchSpecifier::StringMatch(compared(text)?),
    };
    Some(xds::HeaderMatcher {
        name: name.to_owned(),
        header_match_specifier: Some(specifier),
        ..Default::default()
    })
}

fn field(wanted: &HeaderMatch) -> Option<xds::HeaderMatcher> {
    let matcher = header(wanted.name.as_str(), &wanted.value)?;
    // A header that is absent has not the value that is not wanted.
    let text = !matches!(wanted.value, TextMatch::Present);
    Some(xds::HeaderMatcher {
        invert_match: wanted.inverted,
        treat_missing_header_as_empty: wanted.inverted && text,
        ..matcher
    })
}

fn parameter(wanted: &QueryMatch) -> Option<xds::QueryParameterMatcher> {
    let specifier = match &wanted.value {
        TextMatch::Present => QueryParameterMatchSpecifier::PresentMatch(true),
        text => QueryParameterMatchSpecifier::StringMatch(compared(text)?),
    };
    Some(xds::QueryParameterMatcher {
        name: wanted.name.to_string(),
        query_parameter_match_specifier: Some(specifier),
    })
}

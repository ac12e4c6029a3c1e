//! Predicates over requests to messages.

use wattle_model::{HeaderMatch, HostMatch, PathMatch, QueryMatch, RequestMatch, TextMatch};

use super::parts_to_mesh::labels;
use crate::proto::mesh;

pub(super) fn request_match(value: &RequestMatch) -> mesh::RequestMatch {
    mesh::RequestMatch {
        hosts: host_matches(&value.hosts),
        path: value.path.as_ref().map(path_match),
        method: value.method.as_ref().map(text_match),
        scheme: value.scheme.as_ref().map(text_match),
        authority: value.authority.as_ref().map(text_match),
        headers: value.headers.iter().map(header).collect(),
        query: value.query.iter().map(query).collect(),
        caller_labels: labels(&value.caller_labels),
    }
}

pub(super) fn host_matches(values: &[HostMatch]) -> Vec<mesh::HostMatch> {
    use mesh::host_match::Kind;
    let host_match = |value: &HostMatch| mesh::HostMatch {
        kind: Some(match value {
            HostMatch::Exact(host) => Kind::Exact(host.to_string()),
            HostMatch::Suffix(suffix) => Kind::Suffix(suffix.to_string()),
            HostMatch::Any => Kind::Any(true),
        }),
    };
    values.iter().map(host_match).collect()
}

fn path_match(value: &PathMatch) -> mesh::PathMatch {
    use mesh::path_match::Kind;
    mesh::PathMatch {
        kind: Some(match value {
            PathMatch::Exact(text) => Kind::Exact(text.to_string()),
            PathMatch::Prefix(text) => Kind::Prefix(text.to_string()),
            PathMatch::StartsWith(text) => Kind::StartsWith(text.to_string()),
            PathMatch::Regex(pattern) => Kind::Regex(pattern.as_str().to_owned()),
            PathMatch::ExactAnyCase(text) => Kind::ExactAnyCase(text.to_string()),
            PathMatch::StartsWithAnyCase(text) => Kind::StartsWithAnyCase(text.to_string()),
        }),
    }
}

fn header(value: &HeaderMatch) -> mesh::HeaderMatch {
    mesh::HeaderMatch {
        name: value.name.to_string(),
        value: Some(text_match(&value.value)),
        inverted: value.inverted,
    }
}

fn query(value: &QueryMatch) -> mesh::QueryMatch {
    mesh::QueryMatch {
        name: value.name.to_string(),
        value: Some(text_match(&value.value)),
    }
}

pub(super) fn text_matches(values: &[TextMatch]) -> Vec<mesh::TextMatch> {
    values.iter().map(text_match).collect()
}

fn text_match(value: &TextMatch) -> mesh::TextMatch {
    use mesh::text_match::Kind;
    let kind = match value {
        TextMatch::Exact(text) => Kind::Exact(text.to_string()),
        TextMatch::Prefix(text) => Kind::Prefix(text.to_string()),
        TextMatch::Suffix(text) => Kind::Suffix(text.to_string()),
        TextMatch::Present => Kind::Present(true),
        TextMatch::Regex(pattern) => Kind::Regex(pattern.as_str().to_owned()),
    };
    mesh::TextMatch { kind: Some(kind) }
}

//! Routes to messages.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use wattle_model::{
    Action, Filters, HeaderModifier, PathMatch, PathRewrite, Redirect, RequestMatch, RouteRule, TextMatch,
    UrlRewrite, WeightedBackend,
};

use super::model_to_mesh::{object_ref, plus_one};
use crate::proto::mesh;

pub(crate) fn rule(value: &RouteRule) -> mesh::RouteRule {
    mesh::RouteRule {
        origin: Some(mesh::RuleRef {
            object: Some(object_ref(&value.origin.object)),
            rule: value.origin.rule,
            matched: value.origin.matched,
            name: value.origin.name.to_string(),
        }),
        matches: Some(request_match(&value.matches)),
        filters: filters(&value.filters),
        request_timeout_nanos: nanos(value.timeouts.request),
        backend_request_timeout_nanos: nanos(value.timeouts.backend_request),
        action: Some(match value.action.as_ref() {
            Action::Forward(backends) => mesh::route_rule::Action::Forward(mesh::Forward {
                backends: backends.iter().map(weighted).collect(),
            }),
            Action::Redirect(value) => mesh::route_rule::Action::Redirect(redirect(value)),
            Action::Respond(_) | Action::Refuse(_) => {
                mesh::route_rule::Action::Forward(mesh::Forward::default())
            }
        }),
    }
}

/// A timeout; a limit of zero would be "none" on the wire, so it becomes the shortest there is.
fn nanos(limit: Option<Duration>) -> u64 {
    limit.map_or(0, |limit| {
        u64::try_from(limit.as_nanos()).unwrap_or(u64::MAX).max(1)
    })
}

fn weighted(value: &WeightedBackend) -> mesh::WeightedBackend {
    mesh::WeightedBackend {
        backend_plus_one: plus_one(value.backend),
        written: value.written.to_string(),
        weight: value.weight,
        filters: value.filters.as_deref().map(filters_always),
    }
}

fn request_match(value: &RequestMatch) -> mesh::RequestMatch {
    mesh::RequestMatch {
        path: value.path.as_ref().map(|path| mesh::PathMatch {
            kind: Some(match path {
                PathMatch::Exact(text) => mesh::path_match::Kind::Exact(text.to_string()),
                PathMatch::Prefix(text) => mesh::path_match::Kind::Prefix(text.to_string()),
                PathMatch::StartsWith(text)
                | PathMatch::ExactAnyCase(text)
                | PathMatch::StartsWithAnyCase(text) => mesh::path_match::Kind::Exact(text.to_string()),
                PathMatch::Regex(pattern) => mesh::path_match::Kind::Regex(pattern.as_str().to_owned()),
            }),
        }),
        method: value
            .method
            .as_ref()
            .map(|method| match method {
                TextMatch::Exact(text) => text.to_string(),
                other => other.to_string(),
            })
            .unwrap_or_default(),
        headers: value
            .headers
            .iter()
            .map(|header| named(header.name.as_str(), &header.value))
            .collect(),
        query: value
            .query
            .iter()
            .map(|query| named(&query.name, &query.value))
            .collect(),
    }
}

fn named(name: &str, value: &TextMatch) -> mesh::NamedMatch {
    mesh::NamedMatch {
        name: name.to_owned(),
        value: Some(text_match(value)),
    }
}

pub(crate) fn text_match(value: &TextMatch) -> mesh::TextMatch {
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

fn filters(value: &Filters) -> Option<mesh::Filters> {
    (*value != Filters::default()).then(|| filters_always(value))
}

fn filters_always(value: &Filters) -> mesh::Filters {
    mesh::Filters {
        request_headers: Some(headers(&value.request_headers)),
        response_headers: Some(headers(&value.response_headers)),
        rewrite: Some(rewrite(&value.rewrite)),
    }
}

fn headers(value: &HeaderModifier) -> mesh::HeaderModifier {
    mesh::HeaderModifier {
        set: value.set.iter().map(header).collect(),
        add: value.add.iter().map(header).collect(),
        remove: value.remove.iter().map(|name| name.as_str().to_owned()).collect(),
    }
}

fn header((name, value): &(HeaderName, HeaderValue)) -> mesh::Header {
    mesh::Header {
        name: name.as_str().to_owned(),
        value: value.as_bytes().to_vec(),
    }
}

fn rewrite(value: &UrlRewrite) -> mesh::UrlRewrite {
    mesh::UrlRewrite {
        host: value.host.as_ref().map(ToString::to_string),
        path: value.path.as_ref().map(path_rewrite),
    }
}

fn path_rewrite(value: &PathRewrite) -> mesh::PathRewrite {
    mesh::PathRewrite {
        kind: Some(match value {
            PathRewrite::Full(text) => mesh::path_rewrite::Kind::Full(text.to_string()),
            PathRewrite::Matched(text) => mesh::path_rewrite::Kind::Full(text.to_string()),
            PathRewrite::Regex(_) => mesh::path_rewrite::Kind::Full(String::new()),
            PathRewrite::Prefix(text) => mesh::path_rewrite::Kind::Prefix(text.to_string()),
        }),
    }
}

fn redirect(value: &Redirect) -> mesh::Redirect {
    mesh::Redirect {
        scheme: value.scheme.as_ref().map(ToString::to_string),
        host: value.host.as_ref().map(ToString::to_string),
        port: match value.port {
            wattle_model::RedirectPort::Fixed(port) => port.into(),
            _ => 0,
        },
        path: value.path.as_ref().map(path_rewrite),
        status: value.status.into(),
    }
}

//! What a route does to a request and its response on the way.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::host::host_of;
use crate::path::below;
use crate::{Cors, Fault, Mirror, PathMatch, RequestFacts, Substitution};

/// Changes to headers; [`HeaderModifier::apply`] says in which order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderModifier {
    /// Replace all values of the name by this one.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// Append a value.
    pub add: Vec<(HeaderName, HeaderValue)>,
    /// Remove all values of the name.
    pub remove: Vec<HeaderName>,
}

/// A new path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathRewrite {
    /// The whole path becomes this; the query stays.
    Full(Box<str>),
    /// The matched prefix becomes this (only below a [`PathMatch::Prefix`](crate::PathMatch::Prefix)).
    Prefix(Box<str>),
    /// What the rule's path match matched becomes this (Istio `rewrite.uri`): the prefix, or else the whole path.
    Matched(Box<str>),
    /// Every match of an expression becomes something else (Istio `uriRegexRewrite`).
    Regex(Substitution),
}

/// Gateway API `URLRewrite`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UrlRewrite {
    /// New authority host.
    pub host: Option<Box<str>>,
    /// New path.
    pub path: Option<PathRewrite>,
}

/// Gateway API `RequestRedirect`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// `http` or `https`; default: the request's.
    pub scheme: Option<Box<str>>,
    /// Host of the location; default: the request's.
    pub host: Option<Box<str>>,
    /// Port of the location.
    pub port: RedirectPort,
    /// Path of the location; default: the request's.
    pub path: Option<PathRewrite>,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
}

/// Which port a redirect's location has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RedirectPort {
    /// The well-known one of the filter's scheme, else the dialled one (Gateway API's default).
    #[default]
    Listener,
    /// This one.
    Fixed(u16),
    /// The one in the request's authority, as it was sent; dropped when it is the old scheme's own and the scheme
    /// changes (Envoy's default).
    AsSent,
    /// None: the scheme's own (Istio `FROM_PROTOCOL_DEFAULT`).
    OfScheme,
    /// The dialled one (Istio `FROM_REQUEST_PORT`).
    Dialled,
}

/// An answer that a rule gives by itself (Istio `directResponse`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectResponse {
    /// 200 to 599.
    pub status: u16,
    /// Body; may be empty, at most 1 MiB.
    pub body: Box<[u8]>,
}

/// Filters of a rule or of one backend of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// Changes to the request's headers.
    pub request_headers: HeaderModifier,
    /// Changes to the response's headers.
    pub response_headers: HeaderModifier,
    /// Rewrite of host and path.
    pub rewrite: UrlRewrite,
    /// Copies that are sent elsewhere.
    pub mirrors: Vec<Mirror>,
    /// Who may call from a web page of another origin; rules only.
    pub cors: Option<Box<Cors>>,
    /// Faults that are injected; rules only.
    pub fault: Option<Fault>,
}

impl HeaderModifier {
    /// Removes, then sets, then adds, as Envoy does; a rule's modifier is applied before that of its backend.
    pub fn apply(&self, headers: &mut HeaderMap) {
        for name in &self.remove {
            headers.remove(name);
        }
        for (name, value) in &self.set {
            headers.insert(name.clone(), value.clone());
        }
        for (name, value) in &self.add {
            headers.append(name.clone(), value.clone());
        }
    }

    /// True when nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.set.is_empty() && self.add.is_empty() && self.remove.is_empty()
    }
}

impl PathRewrite {
    /// The new path. `matched` is the path match of the rule: a prefix is replaced only where one matched, and the
    /// slashes around it are kept to one (Gateway API `HTTPPathModifier`).
    pub fn apply<'a>(&'a self, path: &'a str, matched: Option<&PathMatch>) -> Cow<'a, str> {
        match self {
            Self::Full(new) => Cow::Borrowed(new),
            Self::Matched(new) => matched_becomes(new, path, matched),
            Self::Regex(substitution) => substitution.apply(path),
            Self::Prefix(new) => {
                let prefix = match matched {
                    Some(PathMatch::Prefix(prefix)) => prefix,
                    None => "/",
                    Some(_) => return Cow::Borrowed(path),
                };
                let Some(rest) = below(path, prefix) else {
                    return Cow::Borrowed(path);
                };
                let joined = format!("{}{rest}", new.strip_suffix('/').unwrap_or(new));
                if joined.is_empty() {
                    Cow::Borrowed("/")
                } else {
                    Cow::Owned(joined)
                }
            }
        }
    }
}

/// Istio's `rewrite.uri`, with its care for the slashes around a prefix that becomes `/`.
fn matched_becomes<'a>(new: &'a str, path: &'a str, matched: Option<&PathMatch>) -> Cow<'a, str> {
    let prefix = match matched {
        None => "/",
        Some(PathMatch::StartsWith(prefix) | PathMatch::StartsWithAnyCase(prefix)) => prefix,
        Some(PathMatch::Prefix(prefix)) => prefix.strip_suffix('/').unwrap_or(prefix),
        Some(PathMatch::Exact(_) | PathMatch::ExactAnyCase(_) | PathMatch::Regex(_)) => {
            return Cow::Borrowed(new);
        }
    };
    let Some(rest) = path.get(prefix.len()..) else {
        return Cow::Borrowed(path);
    };
    match rest.strip_prefix('/') {
        Some(rest) if new == "/" => Cow::Owned(format!("/{rest}")),
        _ => Cow::Owned(format!("{new}{rest}")),
    }
}

impl UrlRewrite {
    /// The path and query to send instead; `None` when they stay as they are.
    pub fn path_and_query(&self, request: &RequestFacts<'_>, matched: Option<&PathMatch>) -> Option<String> {
        let path = self.path.as_ref()?.apply(request.path, matched);
        Some(with_query(&path, request.query))
    }

    /// The authority to send instead; `None` when it stays as it is.
    pub fn authority(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// True when nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.host.is_none() && self.path.is_none()
    }
}

impl Filters {
    /// True when nothing is changed.
    pub fn is_empty(&self) -> bool {
        self.request_headers.is_empty()
            && self.response_headers.is_empty()
            && self.rewrite.is_empty()
            && self.mirrors.is_empty()
            && self.cors.is_none()
            && self.fault.is_none()
    }
}

impl Redirect {
    /// The `location` of the answer. `port` is the one the client dialled; `matched` the path match of the rule.
    ///
    /// Gateway API: the port is the filter's, else the well-known one of the filter's scheme, else the dialled one;
    /// `:80` of http and `:443` of https are left out. The query is kept.
    pub fn location(&self, request: &RequestFacts<'_>, port: u16, matched: Option<&PathMatch>) -> String {
        let path = self.path.as_ref().map_or(Cow::Borrowed(request.path), |path| {
            path.apply(request.path, matched)
        });
        let target = with_query(&path, request.query);
        let host = self.host.as_deref().unwrap_or_else(|| host_of(request.authority));
        if host.is_empty() {
            return target;
        }
        let scheme = self.scheme.as_deref().unwrap_or(request.scheme);
        match self.shown_port(request, scheme, port) {
            Some(port) => format!("{scheme}://{host}:{port}{target}"),
            None => format!("{scheme}://{host}{target}"),
        }
    }

    /// The port that the location names; `None` when the scheme says it.
    fn shown_port(&self, request: &RequestFacts<'_>, scheme: &str, dialled: u16) -> Option<u16> {
        let named = match self.port {
            RedirectPort::Listener => {
                let asked = self.scheme.as_deref().and_then(well_known_port);
                asked.unwrap_or(dialled)
            }
            RedirectPort::Fixed(port) => port,
            RedirectPort::Dialled => dialled,
            RedirectPort::OfScheme => return None,
            RedirectPort::AsSent => {
                let sent = request.authority.get(host_of(request.authority).len() + 1..);
                // A new host names its own port.
                let sent = sent
                    .filter(|_| self.host.is_none())
                    .and_then(|port| port.parse().ok());
                let own = well_known_port(request.scheme);
                return sent.filter(|port| scheme == request.scheme || Some(*port) != own);
            }
        };
        (well_known_port(scheme) != Some(named)).then_some(named)
    }
}

fn well_known_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

fn with_query(path: &str, query: Option<&str>) -> String {
    query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
}

#[cfg(test)]
mod tests;

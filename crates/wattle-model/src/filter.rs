//! What a route does to a request and its response on the way.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::path::below;
use crate::{PathMatch, RequestFacts};

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
    /// Port of the location; default: by scheme, else the listener's.
    pub port: Option<u16>,
    /// Path of the location; default: the request's.
    pub path: Option<PathRewrite>,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
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
        self.request_headers.is_empty() && self.response_headers.is_empty() && self.rewrite.is_empty()
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
        let port = self
            .port
            .or_else(|| self.scheme.as_deref().and_then(well_known_port))
            .unwrap_or(port);
        if well_known_port(scheme) == Some(port) {
            format!("{scheme}://{host}{target}")
        } else {
            format!("{scheme}://{host}:{port}{target}")
        }
    }
}

/// The host of an authority, without its port.
pub(crate) fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port))
            if port.bytes().all(|byte| byte.is_ascii_digit())
                && (!host.contains(':') || host.ends_with(']')) =>
        {
            host
        }
        _ => authority,
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
mod tests {
    use super::*;

    fn facts<'a>(path: &'a str, query: Option<&'a str>, headers: &'a HeaderMap) -> RequestFacts<'a> {
        RequestFacts {
            method: "GET",
            scheme: "http",
            authority: "shop.test:8080",
            path,
            query,
            headers,
        }
    }

    #[test]
    fn a_prefix_is_replaced_as_the_gateway_api_tabulates() {
        let table = [
            ("/foo/bar", "/foo", "/xyz", "/xyz/bar"),
            ("/foo/bar", "/foo", "/xyz/", "/xyz/bar"),
            ("/foo/bar", "/foo/", "/xyz", "/xyz/bar"),
            ("/foo/bar", "/foo/", "/xyz/", "/xyz/bar"),
            ("/foo", "/foo", "/xyz", "/xyz"),
            ("/foo/", "/foo", "/xyz", "/xyz/"),
            ("/foo/bar", "/foo", "", "/bar"),
            ("/foo/", "/foo", "", "/"),
            ("/foo", "/foo", "", "/"),
            ("/foo/", "/foo", "/", "/"),
            ("/foo", "/foo", "/", "/"),
            ("/bar", "/", "/xyz", "/xyz/bar"),
        ];
        for (path, prefix, new, expected) in table {
            let matched = PathMatch::Prefix(prefix.into());
            let rewrite = PathRewrite::Prefix(new.into());
            assert_eq!(
                rewrite.apply(path, Some(&matched)),
                expected,
                "{path} {prefix} {new}"
            );
        }
    }

    #[test]
    fn a_rewrite_keeps_the_query() {
        let headers = HeaderMap::new();
        let request = facts("/old", Some("a=1"), &headers);
        let rewrite = UrlRewrite {
            host: None,
            path: Some(PathRewrite::Full("/new".into())),
        };
        assert_eq!(
            rewrite.path_and_query(&request, None).as_deref(),
            Some("/new?a=1")
        );
        assert_eq!(UrlRewrite::default().path_and_query(&request, None), None);
    }

    #[test]
    fn headers_are_removed_then_set_then_added() {
        let name = |name| HeaderName::from_static(name);
        let value = |value| HeaderValue::from_static(value);
        let mut headers = HeaderMap::new();
        headers.append("x-a", value("old"));
        headers.append("x-a", value("older"));
        headers.append("x-b", value("gone"));
        let modifier = HeaderModifier {
            set: vec![(name("x-a"), value("set"))],
            add: vec![(name("x-a"), value("added")), (name("x-b"), value("new"))],
            remove: vec![name("x-b")],
        };
        modifier.apply(&mut headers);
        assert_eq!(
            headers.get_all("x-a").iter().collect::<Vec<_>>(),
            ["set", "added"]
        );
        assert_eq!(headers.get_all("x-b").iter().collect::<Vec<_>>(), ["new"]);
    }

    #[test]
    fn a_redirect_goes_where_the_gateway_api_says() {
        let headers = HeaderMap::new();
        let base = Redirect {
            scheme: None,
            host: None,
            port: None,
            path: None,
            status: 302,
        };
        let https = Redirect {
            scheme: Some("https".into()),
            ..base.clone()
        };
        let table = [
            (base.clone(), 80, "http://shop.test/p?q=1"),
            (base.clone(), 8080, "http://shop.test:8080/p?q=1"),
            (https.clone(), 8080, "https://shop.test/p?q=1"),
            (
                Redirect {
                    port: Some(8443),
                    ..https.clone()
                },
                80,
                "https://shop.test:8443/p?q=1",
            ),
            (
                Redirect {
                    port: Some(443),
                    ..base.clone()
                },
                80,
                "http://shop.test:443/p?q=1",
            ),
            (
                Redirect {
                    host: Some("other.test".into()),
                    ..base.clone()
                },
                80,
                "http://other.test/p?q=1",
            ),
            (
                Redirect {
                    path: Some(PathRewrite::Full("/n".into())),
                    ..base
                },
                80,
                "http://shop.test/n?q=1",
            ),
        ];
        for (redirect, port, expected) in table {
            assert_eq!(
                redirect.location(&facts("/p", Some("q=1"), &headers), port, None),
                expected
            );
        }
    }

    #[test]
    fn a_request_without_a_host_is_redirected_on_its_own_server() {
        let headers = HeaderMap::new();
        let request = RequestFacts {
            authority: "",
            ..facts("/p", None, &headers)
        };
        let redirect = Redirect {
            scheme: None,
            host: None,
            port: None,
            path: None,
            status: 302,
        };
        assert_eq!(redirect.location(&request, 80, None), "/p");
    }

    #[test]
    fn the_port_is_not_part_of_the_host() {
        let table = [
            ("a:80", "a"),
            ("a", "a"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("::1", "::1"),
            ("a:b", "a:b"),
        ];
        for (authority, host) in table {
            assert_eq!(host_of(authority), host);
        }
    }
}

//! Does a request match? Each predicate answers with the first thing that does not hold, so that the same code
//! decides and explains.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::host::host_of;
use crate::matching::CallerLabel;
use crate::path::{has_path_prefix, percent_decode};
use crate::{HeaderMatch, HostMatch, PathMatch, QueryMatch, RequestFacts, RequestMatch, TextMatch};

mod written;

use written::{Bare, Hosts, Unlike};

impl TextMatch {
    /// Does `text` match, byte for byte?
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(wanted) => **wanted == *text,
            Self::Prefix(wanted) => text.starts_with(&**wanted),
            Self::Suffix(wanted) => text.ends_with(&**wanted),
            Self::Present => true,
            Self::Regex(pattern) => pattern.is_match(text),
        }
    }

    /// Does `text` match without regard to ASCII case? An expression is compared as written.
    pub fn matches_ignoring_case(&self, text: &str) -> bool {
        let (text, bytes) = (text, text.as_bytes());
        match self {
            Self::Exact(wanted) => wanted.eq_ignore_ascii_case(text),
            Self::Prefix(wanted) => bytes
                .get(..wanted.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(wanted.as_bytes())),
            Self::Suffix(wanted) => {
                let start = bytes.len().checked_sub(wanted.len());
                start.is_some_and(|start| bytes[start..].eq_ignore_ascii_case(wanted.as_bytes()))
            }
            Self::Present => true,
            Self::Regex(pattern) => pattern.is_match(text),
        }
    }
}

impl PathMatch {
    /// Does `path`, without its query, match?
    pub fn matches(&self, path: &str) -> bool {
        match self {
            Self::Exact(wanted) => **wanted == *path,
            Self::Prefix(prefix) => has_path_prefix(path, prefix),
            Self::StartsWith(prefix) => path.starts_with(&**prefix),
            Self::Regex(pattern) => pattern.is_match(path),
            Self::ExactAnyCase(wanted) => wanted.eq_ignore_ascii_case(path),
            Self::StartsWithAnyCase(prefix) => {
                let start = path.as_bytes().get(..prefix.len());
                start.is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
            }
        }
    }
}

impl HeaderMatch {
    /// The same to whoever reads any one of several values.
    fn may_match(&self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(&self.name).iter();
        let one = |value: &HeaderValue| self.value.matches(&String::from_utf8_lossy(value.as_bytes()));
        self.matches(headers) || (!self.inverted && values.any(one))
    }

    /// Is the header there, with a value that matches? Inverted: is it not so?
    pub fn matches(&self, headers: &HeaderMap) -> bool {
        let there = joined_header(headers, &self.name).is_some_and(|value| self.value.matches(&value));
        there != self.inverted
    }
}

impl QueryMatch {
    /// Is the parameter there, with a first value that matches?
    pub fn matches(&self, query: Option<&str>) -> bool {
        first_parameter(query, &self.name).is_some_and(|value| self.value.matches(&value))
    }

    /// The same to whoever reads any one of several values.
    fn may_match(&self, query: Option<&str>) -> bool {
        parameters(query, &self.name).any(|value| self.value.matches(&value))
    }
}

/// The values of a header joined by `,`; bytes that are not UTF-8 become U+FFFD.
pub(crate) fn joined_header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Cow<'a, str>> {
    let mut values = headers
        .get_all(name)
        .iter()
        .map(|value| String::from_utf8_lossy(value.as_bytes()));
    let first = values.next()?;
    Some(values.fold(first, |joined, value| Cow::Owned(format!("{joined},{value}"))))
}

pub(crate) fn first_parameter<'a>(query: Option<&'a str>, name: &'a str) -> Option<Cow<'a, str>> {
    parameters(query, name).next()
}

fn parameters<'a>(query: Option<&'a str>, name: &'a str) -> impl Iterator<Item = Cow<'a, str>> {
    let pairs = query.into_iter().flat_map(|query| query.split('&'));
    pairs
        .map(|part| part.split_once('=').unwrap_or((part, "")))
        .filter(move |(key, _)| percent_decode(key) == name)
        .map(|(_, value)| percent_decode(value))
}

/// The part of a [`RequestMatch`] that a request does not satisfy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch<'a> {
    /// The host.
    Host(&'a [HostMatch]),
    /// The path.
    Path(&'a PathMatch),
    /// The method.
    Method(&'a TextMatch),
    /// The scheme.
    Scheme(&'a TextMatch),
    /// The authority.
    Authority(&'a TextMatch),
    /// A label of the caller's workload.
    Caller(&'a CallerLabel),
    /// A header.
    Header(&'a HeaderMatch),
    /// A query parameter.
    Query(&'a QueryMatch),
}

impl RequestMatch {
    /// Does everything hold?
    pub fn matches(&self, request: &RequestFacts<'_>) -> bool {
        self.mismatch(request).is_none()
    }

    /// Does everything hold to whoever reads any one of several values of a header or parameter?
    pub(crate) fn may_match(&self, request: &RequestFacts<'_>) -> bool {
        match self.mismatch(request) {
            None => true,
            // Everything else holds: these are compared last.
            Some(Mismatch::Header(_) | Mismatch::Query(_)) => {
                self.headers
                    .iter()
                    .all(|header| header.may_match(request.headers))
                    && self.query.iter().all(|query| query.may_match(request.query))
            }
            Some(_) => false,
        }
    }

    /// The first thing that does not hold, cheapest first.
    pub fn mismatch(&self, request: &RequestFacts<'_>) -> Option<Mismatch<'_>> {
        if let Some(path) = self.path.as_ref().filter(|path| !path.matches(request.path)) {
            return Some(Mismatch::Path(path));
        }
        let texts = [
            (&self.method, request.method, Mismatch::Method as fn(_) -> _),
            (&self.scheme, request.scheme, Mismatch::Scheme),
            (&self.authority, request.authority, Mismatch::Authority),
        ];
        for (wanted, found, mismatch) in texts {
            if let Some(wanted) = wanted.as_ref().filter(|wanted| !wanted.matches(found)) {
                return Some(mismatch(wanted));
            }
        }
        if !self.hosts.is_empty() {
            let host = host_of(request.authority);
            if !self.hosts.iter().any(|wanted| wanted.matches(host)) {
                return Some(Mismatch::Host(&self.hosts));
            }
        }
        if let Some(label) = self
            .caller_labels
            .iter()
            .find(|label| !request.caller.labels.contains(label))
        {
            return Some(Mismatch::Caller(label));
        }
        if let Some(header) = self
            .headers
            .iter()
            .find(|header| !header.matches(request.headers))
        {
            return Some(Mismatch::Header(header));
        }
        self.query
            .iter()
            .find(|query| !query.matches(request.query))
            .map(Mismatch::Query)
    }
}

impl Mismatch<'_> {
    /// What was wanted and what was found, e.g. `path /x does not start with /api`.
    pub fn explain(&self, request: &RequestFacts<'_>) -> String {
        match self {
            Self::Path(wanted) => format!("path {} {}", request.path, Unlike(wanted)),
            Self::Method(wanted) => format!("method {} is not {}", request.method, Bare(wanted)),
            Self::Scheme(wanted) => format!("scheme {} is not {}", request.scheme, Bare(wanted)),
            Self::Authority(wanted) => format!("authority {} is not {}", request.authority, Bare(wanted)),
            Self::Host(wanted) => format!("host {} is not {}", host_of(request.authority), Hosts(wanted)),
            Self::Caller((key, value)) => {
                let found = request.caller.labels.iter().find(|(known, _)| known == key);
                match found {
                    Some((_, found)) => format!("the caller's label {key} is {found}, wanted {value}"),
                    None => format!("the caller has no label {key}, wanted {value}"),
                }
            }
            Self::Header(wanted) if wanted.inverted => {
                let found = joined_header(request.headers, &wanted.name).unwrap_or_default();
                format!(
                    "header {} is {found:?}, wanted anything but {}",
                    wanted.name, wanted.value
                )
            }
            Self::Header(wanted) => {
                let found = joined_header(request.headers, &wanted.name);
                differs("header", wanted.name.as_str(), &wanted.value, found.as_deref())
            }
            Self::Query(wanted) => {
                let found = first_parameter(request.query, &wanted.name);
                differs("query parameter", &wanted.name, &wanted.value, found.as_deref())
            }
        }
    }
}

fn differs(what: &str, name: &str, wanted: &TextMatch, found: Option<&str>) -> String {
    match found {
        Some(found) => format!("{what} {name} is {found:?}, wanted {wanted}"),
        None => format!("{what} {name} is absent, wanted {wanted}"),
    }
}

#[cfg(test)]
mod tests;

//! Predicates over requests, as Gateway API, Istio and Linkerd state them.

use std::sync::Arc;

use http::HeaderName;

use crate::{HostMatch, Pattern};

/// How a text is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextMatch {
    /// Equal, byte for byte.
    Exact(Box<str>),
    /// Starts with.
    Prefix(Box<str>),
    /// Ends with.
    Suffix(Box<str>),
    /// Anything, but present.
    Present,
    /// The whole text matches.
    Regex(Pattern),
}

/// How a path is compared; the query is never part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathMatch {
    /// Equal, case-sensitive.
    Exact(Box<str>),
    /// Prefix by whole path elements, trailing `/` ignored (Gateway API `PathPrefix`).
    Prefix(Box<str>),
    /// Prefix by characters (Istio `uri.prefix`).
    StartsWith(Box<str>),
    /// The whole path matches.
    Regex(Pattern),
    /// Equal without regard to ASCII case (Istio `ignoreUriCase`).
    ExactAnyCase(Box<str>),
    /// Prefix by characters without regard to ASCII case (Istio `ignoreUriCase`).
    StartsWithAnyCase(Box<str>),
}

/// A header that must be there with a value, or must not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderMatch {
    /// Name, compared without case.
    pub name: HeaderName,
    /// Comparison with the value; several values of one header are joined by `,` (RFC 9110 §5.3).
    pub value: TextMatch,
    /// True when the comparison must fail; it fails for a header that is absent (Istio `withoutHeaders`).
    pub inverted: bool,
}

/// A query parameter that must be there with a value; the first of several counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryMatch {
    /// Name, case-sensitive.
    pub name: Box<str>,
    /// Comparison with the (percent-decoded) value.
    pub value: TextMatch,
}

/// A label that the caller's workload must have.
pub type CallerLabel = (Arc<str>, Arc<str>);

/// All of these must hold; an empty one matches every request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestMatch {
    /// Host of the authority, any of them; empty is any host.
    pub hosts: Vec<HostMatch>,
    /// Path; `None` is any path.
    pub path: Option<PathMatch>,
    /// Method; `None` is any.
    pub method: Option<TextMatch>,
    /// Scheme as the application meant it; `None` is any.
    pub scheme: Option<TextMatch>,
    /// Authority with its port as sent, case-sensitive (Istio `authority`); `None` is any.
    pub authority: Option<TextMatch>,
    /// Headers, all of them.
    pub headers: Vec<HeaderMatch>,
    /// Query parameters, all of them.
    pub query: Vec<QueryMatch>,
    /// Labels of the caller's workload, all of them (Istio `sourceLabels`).
    pub caller_labels: Vec<CallerLabel>,
}

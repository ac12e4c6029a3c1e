//! Which rule comes first: Gateway API `HTTPRouteRule` precedence, as an order on values.

use std::cmp::Reverse;
use std::sync::Arc;

use wattle_api::{HttpRoute, Match, PathMatch, Resource};

/// Sorts before what it wins over.
///
/// Exact paths, then expressions (which the specification leaves open), then prefixes, longer ones first; then a
/// method, more headers, more query parameters; then the older route, namespace, name, and the order in the route.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    path: (u8, Reverse<usize>),
    without_method: bool,
    headers: Reverse<usize>,
    query: Reverse<usize>,
    age: Age,
    position: (usize, usize),
}

/// The older route first; one without a timestamp counts as the youngest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Age {
    unknown: bool,
    created: Option<i128>,
    namespace: Arc<str>,
    name: Arc<str>,
}

impl Rank {
    pub(crate) fn new(route: &Resource<HttpRoute>, rule: usize, index: usize, matched: &Match) -> Self {
        let created = route.meta.creation_timestamp.map(|at| at.as_nanosecond());
        Self {
            path: path(&matched.path),
            without_method: matched.method.is_none(),
            headers: Reverse(matched.headers.len()),
            query: Reverse(matched.query_params.len()),
            age: Age {
                unknown: created.is_none(),
                created,
                namespace: Arc::clone(&route.meta.namespace),
                name: Arc::clone(&route.meta.name),
            },
            position: (rule, index),
        }
    }
}

fn path(path: &PathMatch) -> (u8, Reverse<usize>) {
    match path {
        PathMatch::Exact(_) => (0, Reverse(0)),
        PathMatch::RegularExpression(pattern) => (1, Reverse(pattern.as_str().len())),
        PathMatch::PathPrefix(prefix) => (2, Reverse(prefix.strip_suffix('/').unwrap_or(prefix).len())),
    }
}

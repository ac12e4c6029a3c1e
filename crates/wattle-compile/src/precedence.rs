//! Which rule comes first: the precedence of Gateway API rules, as an order on values.

use std::cmp::Reverse;

use wattle_api::{GrpcMatch, Match, Meta, MethodMatch, PathMatch, ValueMatch};

use crate::any_route::Age;

/// Sorts before what it wins over: first by how specific the match is, then the older route, namespace, name, and the
/// order in the route. Ranks of one kind of route only are compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    /// The most important measure first; more is more specific.
    specificity: Reverse<[usize; 5]>,
    age: Age,
    position: (usize, usize),
}

/// Where in its route a match stands: index of the rule, and of the match in it.
pub(crate) type Position = (usize, usize);

impl Rank {
    /// Exact paths, then expressions (which the specification leaves open), then prefixes, longer ones first; then a
    /// method, more headers, more query parameters.
    pub(crate) fn http(route: &Meta, position: Position, matched: &Match) -> Self {
        let (class, length) = path(&matched.path);
        let method = usize::from(matched.method.is_some());
        Self::new(
            [
                class,
                length,
                method,
                matched.headers.len(),
                matched.query_params.len(),
            ],
            route,
            position,
        )
    }

    /// More characters of the service, then of the method, then more headers.
    pub(crate) fn grpc(route: &Meta, position: Position, matched: &GrpcMatch) -> Self {
        let length = |part: fn(&MethodMatch) -> &Option<ValueMatch>| {
            let value = matched.method.as_ref().and_then(|method| part(method).as_ref());
            value.map_or(0, |value| text(value).chars().count())
        };
        let service = length(|method| &method.service);
        let method = length(|method| &method.method);
        Self::new([service, method, matched.headers.len(), 0, 0], route, position)
    }

    /// Server names: exact ones first, then longer ones.
    pub(crate) fn server_name(route: &Meta, index: usize, name: &str) -> Self {
        let exact = usize::from(!name.starts_with('*'));
        Self::new([exact, name.len(), 0, 0, 0], route, (0, index))
    }

    fn new(specificity: [usize; 5], route: &Meta, position: Position) -> Self {
        Self {
            specificity: Reverse(specificity),
            age: Age::of(route),
            position,
        }
    }
}

fn path(path: &PathMatch) -> (usize, usize) {
    match path {
        PathMatch::Exact(_) => (2, 0),
        PathMatch::RegularExpression(pattern) => (1, pattern.as_str().len()),
        PathMatch::PathPrefix(prefix) => (0, prefix.strip_suffix('/').unwrap_or(prefix).len()),
    }
}

fn text(value: &ValueMatch) -> &str {
    match value {
        ValueMatch::Exact(text) => text,
        ValueMatch::RegularExpression(pattern) => pattern.as_str(),
    }
}

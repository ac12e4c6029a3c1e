//! Rules of a GRPCRoute: a call is a request for the path `/SERVICE/METHOD`.

use std::sync::Arc;

use wattle_api::{GrpcMatch, GrpcRoute, MethodMatch, Timeouts, ValueMatch};
use wattle_model::{PathMatch, Pattern, RequestMatch, RouteRule};

use super::{Compiler, rule_ref};
use crate::matches;
use crate::precedence::Rank;

pub(super) fn rules(spec: &GrpcRoute, compiler: &mut Compiler<'_, '_>) -> Vec<(Rank, RouteRule)> {
    let mut compiled = Vec::new();
    for (index, rule) in spec.rules.iter().enumerate() {
        let effect = compiler.effect(&rule.filters, &rule.backend_refs);
        let retry = super::retry::of(None, &compiler.said).map(Arc::new);
        let session = compiler.session(rule.session_persistence.as_ref(), index, "/", &effect);
        for (position, matched) in rule.matches.iter().enumerate() {
            let Some(predicate) = call(matched) else { continue };
            let compiled_rule = RouteRule {
                origin: rule_ref(&compiler.route, (index, position), rule.name.as_deref()),
                matches: predicate,
                filters: Arc::clone(&effect.filters),
                action: Arc::clone(&effect.action),
                timeouts: super::retry::timeouts(&Timeouts::default(), true, &compiler.said),
                retry: retry.clone(),
                session: session.clone(),
            };
            let rank = Rank::grpc(compiler.route.meta, (index, position), matched);
            compiled.push((rank, compiled_rule));
        }
    }
    compiled
}

/// The predicate of `matched`; `None` when a part of it cannot be had, so that it must match nothing.
pub(crate) fn call(matched: &GrpcMatch) -> Option<RequestMatch> {
    let path = match &matched.method {
        Some(method) => Some(path(method)?),
        None => None,
    };
    Some(RequestMatch {
        path,
        headers: matches::headers(&matched.headers)?,
        ..RequestMatch::default()
    })
}

fn path(matched: &MethodMatch) -> Option<PathMatch> {
    match (&matched.service, &matched.method) {
        (Some(ValueMatch::Exact(service)), Some(ValueMatch::Exact(method))) => {
            Some(PathMatch::Exact(format!("/{service}/{method}").into()))
        }
        (Some(ValueMatch::Exact(service)), None) => Some(PathMatch::Prefix(format!("/{service}").into())),
        (service, method) => {
            let pattern = format!("/{}/{}", element(service.as_ref()), element(method.as_ref()));
            Pattern::new(&pattern).ok().map(PathMatch::Regex)
        }
    }
}

/// One element of the path as an expression.
fn element(value: Option<&ValueMatch>) -> String {
    match value {
        None => "[^/]+".to_owned(),
        Some(ValueMatch::Exact(text)) => regex::escape(text),
        Some(ValueMatch::RegularExpression(pattern)) => format!("(?:{})", pattern.as_str()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_method_match_is_a_match_of_the_path() {
        let exact = |text: &str| Some(ValueMatch::Exact(text.to_owned()));
        let regex = |text: &str| {
            Some(ValueMatch::RegularExpression(
                wattle_api::Pattern::new(text).unwrap(),
            ))
        };
        let table = [
            (exact("a.B"), exact("C"), "/a.B/C", true),
            (exact("a.B"), exact("C"), "/a.B/CD", false),
            (exact("a.B"), None, "/a.B/C", true),
            (exact("a.B"), None, "/a.BC/C", false),
            (None, exact("C"), "/a.B/C", true),
            (None, exact("C"), "/C", false),
            (None, exact("C"), "/x/a.B/C", false),
            (None, exact("a.c"), "/B/abc", false),
            (regex("a|b"), regex("C.*"), "/b/Cx", true),
            (regex("a|b"), None, "/c/C", false),
        ];
        for (service, method, asked, expected) in table {
            let matched = MethodMatch { service, method };
            let path = path(&matched).unwrap();
            assert_eq!(path.matches(asked), expected, "{matched:?} {asked}");
        }
    }
}

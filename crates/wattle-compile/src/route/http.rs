//! Rules of an HTTPRoute, the Gateway API's and Linkerd's.

use std::sync::Arc;

use wattle_api::{HttpRoute, HttpRule, Match, PathMatch};
use wattle_model::RouteRule;

use super::{Compiler, rule_ref};
use crate::matches;
use crate::precedence::Rank;

pub(super) fn rules(spec: &HttpRoute, compiler: &mut Compiler<'_, '_>) -> Vec<(Rank, RouteRule)> {
    let mut compiled = Vec::new();
    for (index, rule) in spec.rules.iter().enumerate() {
        let effect = compiler.effect(&rule.filters, &rule.backend_refs);
        let retry = super::retry::of(rule.retry.as_ref(), &compiler.said).map(Arc::new);
        let session = compiler.session(
            rule.session_persistence.as_ref(),
            index,
            cookie_path(rule),
            &effect,
        );
        for (position, matched) in rule.matches.iter().enumerate() {
            let Some(predicate) = matches::request(matched) else {
                continue;
            };
            let compiled_rule = RouteRule {
                origin: rule_ref(&compiler.route, (index, position), rule.name.as_deref()),
                matches: predicate,
                filters: Arc::clone(&effect.filters),
                action: Arc::clone(&effect.action),
                timeouts: super::retry::timeouts(&rule.timeouts, rule.retry.is_none(), &compiler.said),
                retry: retry.clone(),
                session: session.clone(),
            };
            let rank = Rank::http(compiler.route.meta, (index, position), matched);
            compiled.push((rank, compiled_rule));
        }
    }
    compiled
}

/// Path of a session's cookie: the path of the rule's only match, where that is one path (GEP-1619).
fn cookie_path(rule: &HttpRule) -> &str {
    match rule.matches.as_slice() {
        [
            Match {
                path: PathMatch::Exact(path) | PathMatch::PathPrefix(path),
                ..
            },
        ] => path,
        _ => "/",
    }
}

//! The gate of a port: what its Server lets in, as rules that allow. Routes are told apart by what they match and what
//! those before them do not.

use envoy_types::pb::envoy::config::rbac::v3 as xds;
use envoy_types::pb::envoy::r#type::matcher::v3::{PathMatcher, path_matcher};
use wattle_model::{Gate, GateRoute, HostMatch, PathMatch, PolicyRule, RequestMatch, TextMatch};
use xds::permission::Rule;

use super::clause::{Held, all, any, permission};
use super::operation::host;
use super::{Subject, Written};
use crate::notes::Notes;
use crate::route::header;
use crate::text::{escaped, exact, matching, source, string};

/// The rules of a gate; `None` when it lets everything in.
pub(super) fn rules(gate: &Gate, subject: Subject) -> Option<Written> {
    let mut written = Written::default();
    if !subject.is_request() || gate.routes.is_empty() {
        if gate.audit {
            return None;
        }
        written.policies(gate.allow.iter(), subject);
        return Some(written);
    }
    let matches: Vec<_> = gate.routes.iter().map(|route| said(&route.matches)).collect();
    let known = matches.iter().flatten().cloned();
    let some_route = any(known.collect());
    if gate.audit {
        let rule = PolicyRule::default();
        written.rule("audited".to_owned(), &rule, subject, some_route);
        return Some(written);
    }
    for policy in &gate.allow {
        written.policy(policy, subject, &some_route);
    }
    let mut earlier = Vec::new();
    for (route, matched) in gate.routes.iter().zip(matches) {
        // Whether a request is for a later route is not known from here on.
        let Some(matched) = matched else { break };
        if !route.allow.is_empty() {
            let own = all([std::slice::from_ref(&matched), &earlier[..]].concat());
            route
                .allow
                .iter()
                .for_each(|policy| written.policy(policy, subject, &own));
        }
        earlier.push(matched.not());
    }
    Some(written)
}

/// Writes down what cannot be said of a gate.
pub(super) fn note(gate: &Gate, notes: &mut Notes) {
    let place = "inbound".into();
    if gate.audit {
        notes.at(Some(&gate.origin), &place);
        notes.gap("what nothing authorizes is let in and not marked");
    }
    let lost = |route: &&GateRoute| said(&route.matches).is_none();
    if let Some(route) = gate.routes.iter().find(lost) {
        notes.at(Some(&route.origin.object), &place);
        notes.gap(
            "a query parameter or an expression that cannot be compared: this route lets nobody in, and those behind it \
             let in no more than their Server does",
        );
    }
}

/// Does a route compare paths?
pub(super) fn asks_for_paths(gate: &Gate) -> bool {
    gate.routes.iter().any(|route| route.matches.path.is_some())
}

/// When a route applies; `None` when that cannot be said.
fn said(wanted: &RequestMatch) -> Option<Held<xds::Permission>> {
    if !wanted.query.is_empty() || !wanted.caller_labels.is_empty() {
        return None;
    }
    let mut parts = vec![hosts(&wanted.hosts)?];
    if let Some(path) = &wanted.path {
        parts.push(self::path(path)?);
    }
    let texts = [
        (":method", &wanted.method),
        (":scheme", &wanted.scheme),
        (":authority", &wanted.authority),
    ];
    for (name, text) in texts {
        if let Some(text) = text {
            parts.push(Held::If(permission(Rule::Header(header(name, text)?))));
        }
    }
    for wanted in &wanted.headers {
        let there = header(wanted.name.as_str(), &wanted.value)?;
        let there = Held::If(permission(Rule::Header(there)));
        parts.push(if wanted.inverted { there.not() } else { there });
    }
    Some(all(parts))
}

fn hosts(wanted: &[HostMatch]) -> Option<Held<xds::Permission>> {
    if wanted.is_empty() {
        return Some(Held::Always);
    }
    let said = |wanted: &HostMatch| {
        let text = match wanted {
            HostMatch::Any => return Some(Held::Always),
            HostMatch::Exact(host) => TextMatch::Exact(host.clone()),
            HostMatch::Suffix(suffix) => TextMatch::Suffix(suffix.clone()),
        };
        Some(Held::If(permission(host(&text)?)))
    };
    Some(any(wanted.iter().map(said).collect::<Option<_>>()?))
}

fn path(wanted: &PathMatch) -> Option<Held<xds::Permission>> {
    use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern::Prefix;
    let text = match wanted {
        PathMatch::Exact(path) => exact(path),
        PathMatch::Prefix(prefix) => match prefix.strip_suffix('/').unwrap_or(prefix) {
            "" => return Some(Held::Always),
            prefix => matching(format!("{}(?:/.*)?", escaped(prefix))),
        },
        PathMatch::StartsWith(prefix) if prefix.is_empty() => return Some(Held::Always),
        PathMatch::StartsWith(prefix) => string(Prefix(prefix.to_string())),
        PathMatch::Regex(pattern) => matching(source(pattern)?),
        PathMatch::ExactAnyCase(path) => matching(format!("(?i){}", escaped(path))),
        PathMatch::StartsWithAnyCase(prefix) => matching(format!("(?i){}.*", escaped(prefix))),
    };
    Some(Held::If(permission(Rule::UrlPath(PathMatcher {
        rule: Some(path_matcher::Rule::Path(text)),
    }))))
}

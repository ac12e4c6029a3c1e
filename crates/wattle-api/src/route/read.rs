//! Decoding of an HTTPRoute.

use super::{HttpRoute, Match, Rule, Timeouts};
use crate::decode::{Cursor, Decoded, Fields};
use crate::filter::{self, Filter, HTTP_FILTERS};
use crate::matching::{self, PathMatch};
use crate::reference::{backend_refs, parent_refs};
use crate::retry::retry;
use crate::scalar;
use crate::session::session_persistence;

/// Most rules of a route (Gateway API).
const MAX_RULES: usize = 16;
/// Most matches of a rule (Gateway API).
const MAX_MATCHES: usize = 64;
/// Most matches of all rules of a route together (Gateway API).
const MAX_MATCHES_TOTAL: usize = 128;
/// Most hostnames (Gateway API).
const MAX_HOSTNAMES: usize = 16;

pub(crate) fn http_route(cursor: &Cursor<'_>) -> Decoded<HttpRoute> {
    let fields = cursor.fields(&["parentRefs", "hostnames", "rules", "useDefaultGateways"])?;
    fields.without_effect(&["useDefaultGateways"]);
    let parent_refs = parent_refs(&fields);
    let hostnames = fields.list("hostnames", MAX_HOSTNAMES, |at| scalar::hostname(at, true));
    let rules = match fields.at("rules") {
        Some(at) => at.list(MAX_RULES, rule).and_then(|rules| {
            let counted = rules
                .iter()
                .map(|rule| (rule.name.as_deref(), rule.matches.len()));
            check_rules(&at, counted)?;
            Ok(rules)
        }),
        None => Ok(vec![everything()]),
    };
    Ok(HttpRoute {
        parent_refs: parent_refs?,
        hostnames: hostnames?,
        rules: rules?,
    })
}

/// What the Gateway API defaults an absent `rules` to.
fn everything() -> Rule {
    Rule {
        name: None,
        matches: vec![Match::default()],
        filters: Vec::new(),
        backend_refs: Vec::new(),
        timeouts: Timeouts::default(),
        retry: None,
        session_persistence: None,
    }
}

/// Checks the rules of a route, each given by its name and its number of matches.
pub(crate) fn check_rules<'r>(
    cursor: &Cursor<'_>,
    rules: impl Iterator<Item = (Option<&'r str>, usize)>,
) -> Decoded<()> {
    let mut names = std::collections::BTreeSet::new();
    let mut matches = 0;
    for (name, count) in rules {
        matches += count;
        if let Some(name) = name.filter(|name| !names.insert(*name)) {
            return Err(cursor.refuse("duplicate-rule", format!("two rules are named {name}")));
        }
    }
    if matches > MAX_MATCHES_TOTAL {
        let reason = format!("found {matches} matches in all rules, expected at most {MAX_MATCHES_TOTAL}");
        return Err(cursor.refuse("too-many", reason));
    }
    Ok(())
}

fn rule(cursor: &Cursor<'_>) -> Decoded<Rule> {
    let known = [
        "name",
        "matches",
        "filters",
        "backendRefs",
        "timeouts",
        "retry",
        "sessionPersistence",
    ];
    let fields = cursor.fields(&known)?;
    let name = fields.optional("name", scalar::subdomain);
    let matches = http_matches(&fields);
    let filters = fields.optional("filters", |at| filter::filters(at, HTTP_FILTERS));
    let backend_refs = backend_refs(&fields, Some(HTTP_FILTERS));
    let timeouts = fields.optional("timeouts", timeouts);
    let retry = fields.optional("retry", retry);
    let session_persistence = fields.optional("sessionPersistence", session_persistence);
    let rule = Rule {
        name: name?,
        matches: matches?,
        filters: filters?.unwrap_or_default(),
        backend_refs: backend_refs?,
        timeouts: timeouts?.unwrap_or_default(),
        retry: retry?,
        session_persistence: session_persistence?,
    };
    check_rule(cursor, &rule)?;
    Ok(rule)
}

fn check_rule(cursor: &Cursor<'_>, rule: &Rule) -> Decoded<()> {
    let redirects = rule
        .filters
        .iter()
        .any(|filter| matches!(filter, Filter::RequestRedirect(_)));
    if redirects && !rule.backend_refs.is_empty() {
        let reason = "a rule that redirects cannot have backendRefs";
        return Err(cursor.refuse_with(
            "incompatible-filters",
            reason,
            "remove the backendRefs or the redirect",
        ));
    }
    let backend_filters = rule.backend_refs.iter().flat_map(|backend| &backend.filters);
    let replaces_prefix = rule
        .filters
        .iter()
        .chain(backend_filters)
        .any(Filter::replaces_prefix);
    let one_prefix = matches!(
        rule.matches.as_slice(),
        [Match {
            path: PathMatch::PathPrefix(_),
            ..
        }]
    );
    if replaces_prefix && !one_prefix {
        let reason = "ReplacePrefixMatch needs exactly one match in the rule, of type PathPrefix";
        return Err(cursor.refuse_with("incompatible-filters", reason, "split the rule"));
    }
    Ok(())
}

/// `matches` of a rule; none written means any request.
pub(crate) fn http_matches(fields: &Fields<'_>) -> Decoded<Vec<Match>> {
    let mut matches = fields.list("matches", MAX_MATCHES, route_match)?;
    if matches.is_empty() {
        matches.push(Match::default());
    }
    Ok(matches)
}

fn route_match(cursor: &Cursor<'_>) -> Decoded<Match> {
    let fields = cursor.fields(&["path", "headers", "queryParams", "method"])?;
    let path = fields.optional("path", matching::path_match);
    let headers = fields.optional("headers", matching::header_matches);
    let query_params = fields.optional("queryParams", matching::query_matches);
    let method = fields.optional("method", matching::method);
    Ok(Match {
        path: path?.unwrap_or_default(),
        headers: headers?.unwrap_or_default(),
        query_params: query_params?.unwrap_or_default(),
        method: method?,
    })
}

fn timeouts(cursor: &Cursor<'_>) -> Decoded<Timeouts> {
    let fields = cursor.fields(&["request", "backendRequest"])?;
    let request = fields.optional("request", scalar::duration);
    let backend_request = fields.optional("backendRequest", scalar::duration);
    let timeouts = Timeouts {
        request: request?,
        backend_request: backend_request?,
    };
    match (timeouts.request, timeouts.backend_request) {
        (Some(request), Some(backend)) if !request.is_zero() && backend > request => {
            Err(cursor.refuse("incompatible-timeouts", "backendRequest is longer than request"))
        }
        _ => Ok(timeouts),
    }
}

//! Decoding of an HTTPRoute.

use super::{BackendRef, HttpRoute, Match, ParentRef, Rule, Timeouts};
use crate::decode::{Cursor, Decoded};
use crate::filter::{self, Filter};
use crate::matching::{self, PathMatch};
use crate::scalar;

/// Most rules of a route (Gateway API).
const MAX_RULES: usize = 16;
/// Most matches of a rule (Gateway API).
const MAX_MATCHES: usize = 64;
/// Most matches of all rules of a route together (Gateway API).
const MAX_MATCHES_TOTAL: usize = 128;
/// Most parents of a route (Gateway API).
const MAX_PARENTS: usize = 32;
/// Most hostnames, filters or backends (Gateway API).
const MAX_ITEMS: usize = 16;
/// Largest weight (Gateway API).
const MAX_WEIGHT: u32 = 1_000_000;

pub(crate) fn http_route(cursor: &Cursor<'_>) -> Decoded<HttpRoute> {
    let fields = cursor.fields(&["parentRefs", "hostnames", "rules", "useDefaultGateways"])?;
    fields.without_effect(&["useDefaultGateways"]);
    let parent_refs = fields.list("parentRefs", MAX_PARENTS, parent_ref);
    let hostnames = fields.list("hostnames", MAX_ITEMS, |at| scalar::hostname(at, true));
    let rules = match fields.at("rules") {
        Some(at) => at.list(MAX_RULES, rule).and_then(|rules| check_rules(&at, rules)),
        None => Ok(vec![everything()]),
    };
    let parent_refs = parent_refs?;
    if let Some(parents) = fields.at("parentRefs") {
        check_parents(&parents, &parent_refs)?;
    }
    Ok(HttpRoute {
        parent_refs,
        hostnames: hostnames?,
        rules: rules?,
    })
}

/// What the Gateway API defaults an absent `rules` to.
fn everything() -> Rule {
    Rule {
        name: None,
        matches: vec![any_request()],
        filters: Vec::new(),
        backend_refs: Vec::new(),
        timeouts: Timeouts::default(),
    }
}

fn any_request() -> Match {
    Match {
        path: PathMatch::default(),
        headers: Vec::new(),
        query_params: Vec::new(),
        method: None,
    }
}

fn check_parents(cursor: &Cursor<'_>, parents: &[ParentRef]) -> Decoded<()> {
    for (index, parent) in parents.iter().enumerate() {
        if parents[..index].contains(parent) {
            let reason = format!("{} {} is given twice", parent.kind, parent.name);
            return Err(cursor.refuse_with(
                "duplicate-parent",
                reason,
                "tell them apart by sectionName or port",
            ));
        }
    }
    Ok(())
}

fn check_rules(cursor: &Cursor<'_>, rules: Vec<Rule>) -> Decoded<Vec<Rule>> {
    let matches: usize = rules.iter().map(|rule| rule.matches.len()).sum();
    if matches > MAX_MATCHES_TOTAL {
        let reason = format!("found {matches} matches in all rules, expected at most {MAX_MATCHES_TOTAL}");
        return Err(cursor.refuse("too-many", reason));
    }
    let mut names = std::collections::BTreeSet::new();
    for name in rules.iter().filter_map(|rule| rule.name.as_deref()) {
        if !names.insert(name) {
            return Err(cursor.refuse("duplicate-rule", format!("two rules are named {name}")));
        }
    }
    Ok(rules)
}

fn parent_ref(cursor: &Cursor<'_>) -> Decoded<ParentRef> {
    let fields = cursor.fields(&["group", "kind", "namespace", "name", "sectionName", "port"])?;
    let group = fields.optional("group", group);
    let kind = fields.optional("kind", scalar::filled);
    let namespace = fields.optional("namespace", scalar::label);
    let name = fields.required("name", scalar::subdomain);
    let section_name = fields.optional("sectionName", scalar::subdomain);
    let port = fields.optional("port", scalar::port);
    let parent = ParentRef {
        group: group?.unwrap_or_else(|| "gateway.networking.k8s.io".to_owned()),
        kind: kind?.unwrap_or_else(|| "Gateway".to_owned()),
        namespace: namespace?,
        name: name?,
        section_name: section_name?,
        port: port?,
    };
    if parent.kind == "Service" && !parent.group.is_empty() {
        let reason = format!(
            "found kind Service in group {}, expected the core group",
            parent.group
        );
        return Err(cursor.refuse_with("wrong-group", reason, "write group: \"\""));
    }
    Ok(parent)
}

fn group(cursor: &Cursor<'_>) -> Decoded<String> {
    match cursor.node.text() {
        Some("") => Ok(String::new()),
        _ => scalar::subdomain(cursor),
    }
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
    fields.without_effect(&["retry", "sessionPersistence"]);
    let name = fields.optional("name", scalar::subdomain);
    let matches = fields.list("matches", MAX_MATCHES, route_match);
    let filters = fields.optional("filters", filter::filters);
    let backend_refs = fields.list("backendRefs", MAX_ITEMS, backend_ref);
    let timeouts = fields.optional("timeouts", timeouts);
    let mut matches = matches?;
    if matches.is_empty() {
        matches.push(any_request());
    }
    let rule = Rule {
        name: name?,
        matches,
        filters: filters?.unwrap_or_default(),
        backend_refs: backend_refs?,
        timeouts: timeouts?.unwrap_or_default(),
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

fn backend_ref(cursor: &Cursor<'_>) -> Decoded<BackendRef> {
    let fields = cursor.fields(&["group", "kind", "namespace", "name", "port", "weight", "filters"])?;
    let group = fields.optional("group", group);
    let kind = fields.optional("kind", scalar::filled);
    let namespace = fields.optional("namespace", scalar::label);
    let name = fields.required("name", scalar::subdomain);
    let port = fields.optional("port", scalar::port);
    let weight = fields.optional("weight", |at| scalar::count(at, 0, MAX_WEIGHT));
    let filters = fields.optional("filters", filter::filters);
    let backend = BackendRef {
        group: group?.unwrap_or_default(),
        kind: kind?.unwrap_or_else(|| "Service".to_owned()),
        namespace: namespace?,
        name: name?,
        port: port?,
        weight: weight?.unwrap_or(1),
        filters: filters?.unwrap_or_default(),
    };
    if backend.is_service() && backend.port.is_none() {
        return Err(cursor.refuse_with("missing-field", "a Service backend needs a port", "add port"));
    }
    Ok(backend)
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

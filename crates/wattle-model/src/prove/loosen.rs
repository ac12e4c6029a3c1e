//! Policies without what cannot be reasoned about: each lets in at least as much as before.

use std::sync::Arc;

use crate::{Attribute, Authorization, Condition, Gate, Operation, Policy, PolicyRule, Source, TextMatch};

/// The same, or more that is let in; what was taken to hold is added to `assumed`.
pub(super) fn authorization(exact: &Authorization, assumed: &mut Vec<String>) -> Authorization {
    if !exact.external.is_empty() {
        assumed.push("services that are asked (CUSTOM) let it in".to_owned());
    }
    let allow = |policies: &[Policy], assumed: &mut Vec<String>| -> Vec<Policy> {
        changed(policies, assumed, allowing)
    };
    let gates = exact.gates.iter().map(|gate| {
        let mut all = allow(&gate.allow, assumed);
        for route in &gate.routes {
            assumed.push(format!("a request matches the routes of {}", gate.origin));
            all.extend(allow(&route.allow, assumed));
        }
        Gate {
            allow: all,
            routes: Vec::new(),
            ..gate.clone()
        }
    });
    let gates = gates.collect();
    Authorization {
        external: Vec::new(),
        deny: changed(&exact.deny, assumed, denying),
        gates,
        allow: allow(&exact.allow, assumed),
        audit: Vec::new(),
        dry_run: None::<Arc<Authorization>>,
    }
}

/// A rule that is written more simply; `None` when nothing of it is left.
type Change = fn(&PolicyRule, &mut Vec<&'static str>) -> Option<PolicyRule>;

fn changed(policies: &[Policy], assumed: &mut Vec<String>, change: Change) -> Vec<Policy> {
    let mut all = Vec::new();
    for policy in policies {
        let mut rules = Vec::new();
        for (index, rule) in policy.rules.iter().enumerate() {
            let mut unknown = Vec::new();
            rules.extend(change(rule, &mut unknown));
            assumed.extend(
                unknown
                    .iter()
                    .map(|what| format!("{what} of rule {index} of {}", policy.origin)),
            );
        }
        all.push(Policy {
            origin: policy.origin.clone(),
            rules,
        });
    }
    all
}

/// Unknown parts of an ALLOW rule are taken to hold.
fn allowing(rule: &PolicyRule, unknown: &mut Vec<&'static str>) -> Option<PolicyRule> {
    Some(PolicyRule {
        from: rule
            .from
            .iter()
            .map(|source| source_allowing(source, unknown))
            .collect(),
        to: rule
            .to
            .iter()
            .map(|operation| operation_allowing(operation, unknown))
            .collect(),
        when: rule
            .when
            .iter()
            .filter(|condition| {
                let known = is_known(condition);
                if !known {
                    unknown.push("condition");
                }
                known
            })
            .cloned()
            .collect(),
        unsupported: rule.unsupported.clone(),
    })
}

/// A DENY rule counts only as far as it is known to match.
fn denying(rule: &PolicyRule, unknown: &mut Vec<&'static str>) -> Option<PolicyRule> {
    if !rule.when.iter().all(is_known) {
        unknown.push("condition");
        return None;
    }
    let from: Vec<Source> = rule
        .from
        .iter()
        .filter_map(|source| source_denying(source, unknown))
        .collect();
    let to: Vec<Operation> = rule
        .to
        .iter()
        .filter_map(|operation| operation_denying(operation, unknown))
        .collect();
    let gone = (from.is_empty() && !rule.from.is_empty()) || (to.is_empty() && !rule.to.is_empty());
    (!gone).then(|| PolicyRule {
        from,
        to,
        ..rule.clone()
    })
}

fn is_plain(text: &TextMatch) -> bool {
    !matches!(text, TextMatch::Regex(_))
}

/// Paths that a lenient server reads otherwise than they are written have classes of their own.
fn is_plain_path(text: &TextMatch) -> bool {
    match text {
        TextMatch::Exact(path) | TextMatch::Prefix(path) | TextMatch::Suffix(path) => {
            let cut_short = matches!(text, TextMatch::Suffix(_)) && path.starts_with('.');
            let odd = ["%", "\\", "//", "/."].iter().any(|odd| path.contains(odd));
            !odd && !cut_short
        }
        TextMatch::Present => true,
        TextMatch::Regex(_) => false,
    }
}

fn is_known(condition: &Condition) -> bool {
    let identity = matches!(
        condition.attribute,
        Attribute::SourcePrincipal
            | Attribute::SourceNamespace
            | Attribute::SourceServiceAccount
            | Attribute::SourceTrustDomain
    );
    identity && condition.values.iter().chain(&condition.not_values).all(is_plain)
}

/// The list when all of it is known, else any text.
fn wanted(
    list: &[TextMatch],
    known: fn(&TextMatch) -> bool,
    what: &'static str,
    unknown: &mut Vec<&'static str>,
) -> Vec<TextMatch> {
    if list.iter().all(known) {
        return list.to_vec();
    }
    unknown.push(what);
    Vec::new()
}

/// What is known of the list.
fn known_of(
    list: &[TextMatch],
    known: fn(&TextMatch) -> bool,
    what: &'static str,
    unknown: &mut Vec<&'static str>,
) -> Vec<TextMatch> {
    let some: Vec<TextMatch> = list.iter().filter(|text| known(text)).cloned().collect();
    if some.len() < list.len() {
        unknown.push(what);
    }
    some
}

fn is_elsewhere(source: &Source) -> bool {
    !source.ip_blocks.is_empty()
        || !source.not_ip_blocks.is_empty()
        || !source.remote_ip_blocks.is_empty()
        || !source.not_remote_ip_blocks.is_empty()
        || !source.request_principals.is_empty()
        || !source.not_request_principals.is_empty()
}

fn source_allowing(source: &Source, unknown: &mut Vec<&'static str>) -> Source {
    if is_elsewhere(source) {
        unknown.push("addresses and tokens");
    }
    let mut any = |list: &[TextMatch]| wanted(list, is_plain, "expression for a source", unknown);
    let (principals, namespaces) = (any(&source.principals), any(&source.namespaces));
    let (service_accounts, trust_domains) = (any(&source.service_accounts), any(&source.trust_domains));
    let mut none = |list: &[TextMatch]| known_of(list, is_plain, "expression for a source", unknown);
    Source {
        principals,
        not_principals: none(&source.not_principals),
        namespaces,
        not_namespaces: none(&source.not_namespaces),
        service_accounts,
        not_service_accounts: none(&source.not_service_accounts),
        trust_domains,
        not_trust_domains: none(&source.not_trust_domains),
        ..Source::default()
    }
}

fn source_denying(source: &Source, unknown: &mut Vec<&'static str>) -> Option<Source> {
    let lists = [
        &source.principals,
        &source.not_principals,
        &source.namespaces,
        &source.not_namespaces,
        &source.service_accounts,
        &source.not_service_accounts,
        &source.trust_domains,
        &source.not_trust_domains,
    ];
    if is_elsewhere(source) || !lists.into_iter().flatten().all(is_plain) {
        unknown.push("a source with addresses, tokens or expressions");
        return None;
    }
    Some(source.clone())
}

fn operation_allowing(operation: &Operation, unknown: &mut Vec<&'static str>) -> Operation {
    if !operation.hosts.is_empty() || !operation.not_hosts.is_empty() {
        unknown.push("hosts");
    }
    Operation {
        hosts: Vec::new(),
        not_hosts: Vec::new(),
        methods: wanted(&operation.methods, is_plain, "expression for a method", unknown),
        not_methods: known_of(
            &operation.not_methods,
            is_plain,
            "expression for a method",
            unknown,
        ),
        paths: wanted(&operation.paths, is_plain_path, "expression for a path", unknown),
        not_paths: known_of(
            &operation.not_paths,
            is_plain_path,
            "expression for a path",
            unknown,
        ),
        ..operation.clone()
    }
}

fn operation_denying(operation: &Operation, unknown: &mut Vec<&'static str>) -> Option<Operation> {
    let methods = operation.methods.iter().chain(&operation.not_methods);
    let paths = operation.paths.iter().chain(&operation.not_paths);
    let known = methods.into_iter().all(is_plain) && paths.into_iter().all(is_plain_path);
    if !known || !operation.hosts.is_empty() || !operation.not_hosts.is_empty() {
        unknown.push("an operation with hosts or expressions");
        return None;
    }
    Some(operation.clone())
}

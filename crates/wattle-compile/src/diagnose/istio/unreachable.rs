//! Rules that nothing reaches, because an earlier one takes all that they match.

use std::collections::BTreeMap;

use wattle_api::istio::{HttpMatch, HttpRule, StringMatch};

use super::super::Findings;

pub(super) fn check(rules: &[HttpRule], findings: &mut Findings<'_>) {
    let any = [HttpMatch::default()];
    let matches = |rule: &HttpRule| {
        if rule.matches.is_empty() {
            any.to_vec()
        } else {
            rule.matches.clone()
        }
    };
    for (index, rule) in rules.iter().enumerate() {
        let earlier = rules[..index].iter().position(|earlier| {
            let taken = matches(earlier);
            matches(rule)
                .iter()
                .all(|one| taken.iter().any(|other| covers(other, one)))
        });
        if let Some(earlier) = earlier {
            let reason = format!("nothing reaches it: spec.http[{earlier}] takes all that it matches");
            let hint = "move it up, or remove it";
            findings.warn("unreachable-rule", &format!("spec.http[{index}]"), reason, hint);
        }
    }
}

/// Does every request that `narrow` matches match `wide` too? May say no where it is so.
fn covers(wide: &HttpMatch, narrow: &HttpMatch) -> bool {
    let same_case = wide.ignore_uri_case || !narrow.ignore_uri_case;
    let uri = match (&wide.uri, &narrow.uri) {
        (None, _) => true,
        (Some(wide), Some(narrow)) => same_case && text(wide, narrow),
        (Some(StringMatch::Prefix(prefix)), None) => prefix == "/",
        (Some(_), None) => false,
    };
    let optional = |wide: &Option<StringMatch>, narrow: &Option<StringMatch>| match (wide, narrow) {
        (None, _) => true,
        (Some(wide), Some(narrow)) => text(wide, narrow),
        (Some(_), None) => false,
    };
    uri && optional(&wide.method, &narrow.method)
        && optional(&wide.scheme, &narrow.scheme)
        && optional(&wide.authority, &narrow.authority)
        && all(&wide.headers, &narrow.headers)
        && wide
            .without_headers
            .iter()
            .all(|(name, value)| narrow.without_headers.get(name) == Some(value))
        && all(&wide.query_params, &narrow.query_params)
        && wide.port.is_none_or(|port| narrow.port == Some(port))
        && wide
            .source_labels
            .iter()
            .all(|(key, value)| narrow.source_labels.get(key) == Some(value))
        && (wide.source_namespace.is_none() || wide.source_namespace == narrow.source_namespace)
        && (wide.gateways.is_empty() || wide.gateways == narrow.gateways)
}

fn all(wide: &BTreeMap<String, StringMatch>, narrow: &BTreeMap<String, StringMatch>) -> bool {
    wide.iter()
        .all(|(name, wanted)| narrow.get(name).is_some_and(|found| text(wanted, found)))
}

fn text(wide: &StringMatch, narrow: &StringMatch) -> bool {
    match (wide, narrow) {
        (StringMatch::Present, _) => true,
        (StringMatch::Prefix(prefix), StringMatch::Exact(text) | StringMatch::Prefix(text)) => {
            text.starts_with(prefix)
        }
        _ => wide == narrow,
    }
}

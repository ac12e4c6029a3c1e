//! What is asked for.

use envoy_types::pb::envoy::config::rbac::v3 as xds;
use envoy_types::pb::envoy::config::route::v3::{HeaderMatcher, header_matcher::HeaderMatchSpecifier};
use envoy_types::pb::envoy::r#type::matcher::v3::{PathMatcher, StringMatcher, path_matcher};
use wattle_model::{Operation, TextMatch};
use xds::permission::Rule;

use super::Subject;
use super::clause::{Held, all, lists, permission};
use crate::route::header;
use crate::text::{compared, escaped, matching, source};

/// The port of an authority.
const PORT: &str = "(?::[0-9]*)?";

/// All that is present must hold. A connection has no HTTP attributes: an ALLOW rule that asks for one never matches it,
/// a DENY rule drops them.
pub(super) fn held(operation: &Operation, subject: Subject) -> Held<xds::Permission> {
    let ports = lists(&operation.ports, &operation.not_ports, |port, _| {
        Held::If(self::port(*port))
    });
    if !subject.is_request() {
        return match asks_for_http(operation) && !subject.denies {
            true => Held::Never,
            false => ports,
        };
    }
    all(vec![
        ports,
        lists(&operation.hosts, &operation.not_hosts, |text, unwanted| {
            subject.known(host(text).map(permission), unwanted)
        }),
        lists(&operation.methods, &operation.not_methods, |text, unwanted| {
            subject.known(
                header(":method", text).map(|text| permission(Rule::Header(text))),
                unwanted,
            )
        }),
        lists(&operation.paths, &operation.not_paths, |text, unwanted| {
            subject.known(compared(text).map(|text| permission(path(text))), unwanted)
        }),
    ])
}

pub(super) fn port(port: u16) -> xds::Permission {
    permission(Rule::DestinationPort(port.into()))
}

fn asks_for_http(operation: &Operation) -> bool {
    http_fields(operation).into_iter().any(|list| !list.is_empty())
}

fn http_fields(operation: &Operation) -> [&Vec<TextMatch>; 6] {
    [
        &operation.hosts,
        &operation.not_hosts,
        &operation.methods,
        &operation.not_methods,
        &operation.paths,
        &operation.not_paths,
    ]
}

fn path(text: StringMatcher) -> Rule {
    Rule::UrlPath(PathMatcher {
        rule: Some(path_matcher::Rule::Path(text)),
    })
}

/// A host is meant in any case and with any port, unless the text was written with one.
fn host(text: &TextMatch) -> Option<Rule> {
    let expression = match text {
        TextMatch::Exact(host) => format!("(?i){}{PORT}", escaped(host)),
        TextMatch::Prefix(start) => format!("(?i){}.*", escaped(start)),
        TextMatch::Suffix(end) => format!("(?i).*{}{PORT}", escaped(end)),
        TextMatch::Present => return Some(Rule::Any(true)),
        // As written: an expression has its own word on case.
        TextMatch::Regex(pattern) => format!("(?:{}){PORT}", source(pattern)?),
    };
    Some(Rule::Header(HeaderMatcher {
        name: ":authority".to_owned(),
        header_match_specifier: Some(HeaderMatchSpecifier::StringMatch(matching(expression))),
        ..Default::default()
    }))
}

/// Does it name what cannot be said?
pub(super) fn is_doubtful(operation: &Operation) -> bool {
    let lists = http_fields(operation).into_iter();
    lists.flatten().any(|text| compared(text).is_none())
}

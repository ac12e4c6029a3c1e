//! `when`: attributes by key.

use envoy_types::pb::envoy::config::rbac::v3 as xds;
use envoy_types::pb::envoy::config::route::v3::{HeaderMatcher, header_matcher::HeaderMatchSpecifier};
use http::HeaderName;
use wattle_model::{Attribute, Condition, IpBlock, TextMatch};
use xds::permission::Rule;

use super::clause::{Clause, Held, lists, permission};
use super::operation::port;
use super::source::{address, by_account, by_namespace, by_principal, by_trust_domain, named, remote};
use super::{Subject, token};
use crate::proto::cidr;
use crate::route::header;
use crate::text::{compared, escaped, matching, source};

/// What a condition is about.
pub(super) enum Side {
    Source(Held<xds::Principal>),
    Operation(Held<xds::Permission>),
}

pub(super) fn held(when: &Condition, subject: Subject) -> Side {
    let source = |held: &dyn Fn(&TextMatch, bool) -> Held<xds::Principal>| {
        Side::Source(lists(&when.values, &when.not_values, held))
    };
    match &when.attribute {
        Attribute::SourceIp => Side::Source(within(when, address)),
        Attribute::RemoteIp => Side::Source(within(when, |block| remote(block, subject))),
        Attribute::DestinationIp => {
            Side::Operation(within(when, |block| permission(Rule::DestinationIp(cidr(block)))))
        }
        Attribute::SourceNamespace => source(&|text, unwanted| named(by_namespace(text), subject, unwanted)),
        Attribute::SourcePrincipal => source(&|text, unwanted| named(by_principal(text), subject, unwanted)),
        Attribute::SourceServiceAccount => {
            source(&|text, unwanted| named(by_account(text), subject, unwanted))
        }
        Attribute::SourceTrustDomain => {
            source(&|text, unwanted| named(by_trust_domain(text), subject, unwanted))
        }
        Attribute::DestinationPort => {
            Side::Operation(lists(&when.values, &when.not_values, |text, unwanted| {
                numbered(text, subject, unwanted)
            }))
        }
        Attribute::ConnectionSni => {
            Side::Operation(lists(&when.values, &when.not_values, |text, unwanted| {
                subject.known(server_name(text).map(permission), unwanted)
            }))
        }
        Attribute::RequestHeader(name) => Side::Operation(of_header(name, when, subject)),
        Attribute::RequestPrincipal => source(&|text, unwanted| token::by_principal(text, subject, unwanted)),
        Attribute::RequestAudiences => {
            source(&|text, unwanted| token::by_claim(&["aud"], text, subject, unwanted))
        }
        Attribute::RequestPresenter => {
            source(&|text, unwanted| token::by_claim(&["azp"], text, subject, unwanted))
        }
        Attribute::RequestClaim(path) => {
            let path: Vec<&str> = path.iter().map(|name| &**name).collect();
            source(&|text, unwanted| token::by_claim(&path, text, subject, unwanted))
        }
        Attribute::Unknown(_) => Side::Operation(subject.doubt()),
    }
}

fn within<T: Clause>(when: &Condition, said: impl Fn(&IpBlock) -> T) -> Held<T> {
    lists(&when.blocks, &when.not_blocks, |block, _| Held::If(said(block)))
}

/// Where no name was asked for, Envoy compares an empty one.
fn server_name(text: &TextMatch) -> Option<Rule> {
    let name = match text {
        TextMatch::Present => Some(matching("(?s).+")),
        other => compared(other),
    };
    name.map(Rule::RequestedServerName)
}

fn numbered(text: &TextMatch, subject: Subject, unwanted: bool) -> Held<xds::Permission> {
    match text {
        TextMatch::Present => Held::Always,
        TextMatch::Exact(number) => match number.parse::<u16>() {
            Ok(number) => Held::If(port(number)),
            Err(_) => Held::Never,
        },
        _ => subject.known(None, unwanted),
    }
}

fn of_header(name: &HeaderName, when: &Condition, subject: Subject) -> Held<xds::Permission> {
    if !subject.is_request() {
        return subject.doubt();
    }
    lists(&when.values, &when.not_values, |text, unwanted| {
        let said = match subject.denies && !unwanted {
            true => singly(name, text),
            false => header(name.as_str(), text),
        };
        subject.known(said.map(|header| permission(Rule::Header(header))), unwanted)
    })
}

/// A server may read any one of several values, so that a DENY rule looks at each, and at each part of one that is joined.
/// Envoy compares each by itself, or all of them joined, as its runtime says.
fn singly(name: &HeaderName, text: &TextMatch) -> Option<HeaderMatcher> {
    let (before, behind) = ("(?:.*,)?", "(?:,.*)?");
    let expression = match text {
        TextMatch::Present => return header(name.as_str(), text),
        TextMatch::Exact(value) => format!("{before}{}{behind}", escaped(value)),
        TextMatch::Prefix(start) => format!("{before}{}.*", escaped(start)),
        TextMatch::Suffix(end) => format!(".*{}{behind}", escaped(end)),
        TextMatch::Regex(pattern) => format!("{before}(?:{}){behind}", source(pattern)?),
    };
    Some(HeaderMatcher {
        name: name.as_str().to_owned(),
        header_match_specifier: Some(HeaderMatchSpecifier::StringMatch(matching(expression))),
        ..Default::default()
    })
}

/// Does it name what cannot be said?
pub(super) fn is_doubtful(when: &Condition) -> bool {
    let mut texts = when.values.iter().chain(&when.not_values);
    match &when.attribute {
        Attribute::SourceServiceAccount => texts.any(|text| by_account(text).is_none()),
        Attribute::DestinationPort => {
            texts.any(|text| !matches!(text, TextMatch::Present | TextMatch::Exact(_)))
        }
        Attribute::RequestPrincipal => texts.any(|text| !token::is_said(text)),
        Attribute::Unknown(_) => true,
        _ => texts.any(|text| compared(text).is_none()),
    }
}

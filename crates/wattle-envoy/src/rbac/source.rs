//! Who it comes from.

use envoy_types::pb::envoy::config::rbac::v3 as xds;
use envoy_types::pb::envoy::r#type::matcher::v3::StringMatcher;
use wattle_model::{IpBlock, Source, TextMatch};
use xds::principal::{Authenticated, Identifier};

use super::clause::{Held, all, lists, principal};
use super::{Of, Subject, token};
use crate::proto::cidr;
use crate::text::{escaped, exact, matching, source, string};

/// What a SPIFFE name begins with.
const SCHEME: &str = "spiffe://";
/// A part of one.
const PART: &str = "[^/]+";

/// All that is present must hold.
pub(super) fn held(source: &Source, subject: Subject) -> Held<xds::Principal> {
    let by = |said: fn(&TextMatch) -> Option<StringMatcher>| {
        move |text: &TextMatch, unwanted| named(said(text), subject, unwanted)
    };
    all(vec![
        lists(&source.principals, &source.not_principals, by(by_principal)),
        lists(&source.namespaces, &source.not_namespaces, by(by_namespace)),
        lists(
            &source.service_accounts,
            &source.not_service_accounts,
            by(by_account),
        ),
        lists(
            &source.trust_domains,
            &source.not_trust_domains,
            by(by_trust_domain),
        ),
        lists(
            &source.request_principals,
            &source.not_request_principals,
            |text, unwanted| token::by_principal(text, subject, unwanted),
        ),
        lists(&source.ip_blocks, &source.not_ip_blocks, |block, _| {
            Held::If(address(block))
        }),
        lists(
            &source.remote_ip_blocks,
            &source.not_remote_ip_blocks,
            |block, _| Held::If(remote(block, subject)),
        ),
    ])
}

/// A peer whose name is as said; one without a name is not.
pub(super) fn named(said: Option<StringMatcher>, subject: Subject, unwanted: bool) -> Held<xds::Principal> {
    let said = said.map(|name| {
        principal(Identifier::Authenticated(Authenticated {
            principal_name: Some(name),
        }))
    });
    subject.known(said, unwanted)
}

pub(super) fn address(block: &IpBlock) -> xds::Principal {
    principal(Identifier::DirectRemoteIp(cidr(block)))
}

/// The original client's address. Envoy takes it from the last word of `x-forwarded-for`, which anybody can write: it is
/// heard from peers of the mesh alone, and of others it is the peer's own.
pub(super) fn remote(block: &IpBlock, subject: Subject) -> xds::Principal {
    match subject.of {
        Of::Mesh => principal(Identifier::RemoteIp(cidr(block))),
        Of::Anybody | Of::Connection => address(block),
    }
}

/// `TRUST-DOMAIN/ns/NAMESPACE/sa/ACCOUNT`.
pub(super) fn by_principal(text: &TextMatch) -> Option<StringMatcher> {
    use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern::{Prefix, Suffix};
    Some(match text {
        TextMatch::Exact(name) => exact(&format!("{SCHEME}{name}")),
        TextMatch::Prefix(name) => string(Prefix(format!("{SCHEME}{name}"))),
        TextMatch::Suffix(name) if !name.is_empty() => string(Suffix(name.to_string())),
        TextMatch::Suffix(_) | TextMatch::Present => string(Prefix(SCHEME.to_owned())),
        TextMatch::Regex(pattern) => matching(format!("{SCHEME}(?:{})", source(pattern)?)),
    })
}

pub(super) fn by_namespace(text: &TextMatch) -> Option<StringMatcher> {
    Some(matching(format!("{SCHEME}{PART}/ns/{}/sa/{PART}", part(text)?)))
}

pub(super) fn by_trust_domain(text: &TextMatch) -> Option<StringMatcher> {
    Some(matching(format!("{SCHEME}{}/ns/{PART}/sa/{PART}", part(text)?)))
}

/// `NAMESPACE/ACCOUNT`; an expression over both has no counterpart.
pub(super) fn by_account(text: &TextMatch) -> Option<StringMatcher> {
    let both = match text {
        TextMatch::Present => format!("{PART}/sa/{PART}"),
        TextMatch::Exact(text) => match text.split_once('/') {
            Some((namespace, account)) => format!("{}/sa/{}", escaped(namespace), escaped(account)),
            // No account is called so.
            None => return Some(exact("")),
        },
        TextMatch::Prefix(text) => match text.split_once('/') {
            Some((namespace, account)) => format!("{}/sa/{}[^/]*", escaped(namespace), escaped(account)),
            None => format!("{}[^/]*/sa/{PART}", escaped(text)),
        },
        TextMatch::Suffix(text) => match text.rsplit_once('/') {
            Some((namespace, account)) => format!("[^/]*{}/sa/{}", escaped(namespace), escaped(account)),
            None => format!("{PART}/sa/[^/]*{}", escaped(text)),
        },
        TextMatch::Regex(_) => return None,
    };
    Some(matching(format!("{SCHEME}{PART}/ns/{both}")))
}

/// One part of a name as an expression.
fn part(text: &TextMatch) -> Option<String> {
    Some(match text {
        TextMatch::Exact(text) => escaped(text),
        TextMatch::Prefix(text) => format!("{}[^/]*", escaped(text)),
        TextMatch::Suffix(text) => format!("[^/]*{}", escaped(text)),
        TextMatch::Present => PART.to_owned(),
        TextMatch::Regex(pattern) => format!("(?:{})", source(pattern)?),
    })
}

/// Does it name what cannot be said?
pub(super) fn is_doubtful(from: &Source) -> bool {
    let names = [
        &from.principals,
        &from.not_principals,
        &from.namespaces,
        &from.not_namespaces,
        &from.trust_domains,
        &from.not_trust_domains,
    ];
    let tokens = [&from.request_principals, &from.not_request_principals];
    let accounts = [&from.service_accounts, &from.not_service_accounts];
    names
        .into_iter()
        .flatten()
        .any(|text| by_principal(text).is_none())
        || accounts
            .into_iter()
            .flatten()
            .any(|text| by_account(text).is_none())
        || tokens.into_iter().flatten().any(|text| !token::is_said(text))
}

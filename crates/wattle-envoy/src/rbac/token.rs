//! What a verified token says, as the filter that verified it tells the others.

use envoy_types::pb::envoy::config::rbac::v3 as xds;
use envoy_types::pb::envoy::r#type::matcher::v3 as matcher;
use matcher::{
    ListMatcher, MetadataMatcher, OrMatcher, StringMatcher, ValueMatcher, list_matcher, metadata_matcher,
    string_matcher, value_matcher::MatchPattern,
};
use wattle_model::{PrincipalPart, TextMatch, TokenPrincipal};
use xds::principal::Identifier;

use super::Subject;
use super::clause::{Clause, Held, principal};
use crate::listener::{PAYLOAD, TOKENS};
use crate::text::{compared, exact, matching, string};

/// `ISSUER/SUBJECT`; an expression over both has no counterpart.
pub(super) fn by_principal(text: &TextMatch, subject: Subject, unwanted: bool) -> Held<xds::Principal> {
    if !subject.is_request() {
        return without_request(subject, unwanted);
    }
    let said = TokenPrincipal::parts(text).map(|(issuer, subject)| {
        let half = |name, part| one(&[name], vec![text_of(half(part))]);
        xds::Principal::of_all(vec![half("iss", issuer), half("sub", subject)])
    });
    subject.known(said, unwanted)
}

/// A claim that is this text, or a list with it.
pub(super) fn by_claim(
    path: &[&str],
    text: &TextMatch,
    subject: Subject,
    unwanted: bool,
) -> Held<xds::Principal> {
    if !subject.is_request() {
        return without_request(subject, unwanted);
    }
    let said = compared(text).map(|text| {
        let inside = ListMatcher {
            match_pattern: Some(list_matcher::MatchPattern::OneOf(Box::new(text_of(text.clone())))),
        };
        let listed = ValueMatcher {
            match_pattern: Some(MatchPattern::ListMatch(Box::new(inside))),
        };
        one(path, vec![text_of(text), listed])
    });
    subject.known(said, unwanted)
}

/// Can it be said?
pub(super) fn is_said(text: &TextMatch) -> bool {
    TokenPrincipal::parts(text).is_some()
}

/// A connection has no token: what asks for one is never so in an ALLOW rule, and dropped in a DENY rule.
fn without_request<T>(subject: Subject, unwanted: bool) -> Held<T> {
    subject.known(None, unwanted)
}

/// Neither half may be empty.
fn half(part: PrincipalPart<'_>) -> StringMatcher {
    use string_matcher::MatchPattern::{Prefix, Suffix};
    match part {
        PrincipalPart::Exact(text) => exact(text),
        PrincipalPart::Prefix("") | PrincipalPart::Suffix("") => matching("(?s).+"),
        PrincipalPart::Prefix(text) => string(Prefix(text.to_owned())),
        PrincipalPart::Suffix(text) => string(Suffix(text.to_owned())),
    }
}

fn text_of(text: StringMatcher) -> ValueMatcher {
    ValueMatcher {
        match_pattern: Some(MatchPattern::StringMatch(text)),
    }
}

/// One of these values at this path of the payload.
fn one(path: &[&str], mut values: Vec<ValueMatcher>) -> xds::Principal {
    let value = match values.len() {
        1 => values.pop(),
        _ => Some(ValueMatcher {
            match_pattern: Some(MatchPattern::OrMatch(OrMatcher {
                value_matchers: values,
            })),
        }),
    };
    let segments = [PAYLOAD].into_iter().chain(path.iter().copied());
    let segment = |name: &str| metadata_matcher::PathSegment {
        segment: Some(metadata_matcher::path_segment::Segment::Key(name.to_owned())),
    };
    principal(Identifier::SourcedMetadata(xds::SourcedMetadata {
        metadata_matcher: Some(MetadataMatcher {
            filter: TOKENS.to_owned(),
            path: segments.map(segment).collect(),
            value,
            invert: false,
        }),
        ..Default::default()
    }))
}

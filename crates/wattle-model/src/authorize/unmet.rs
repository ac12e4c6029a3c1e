//! What keeps a rule from matching, held without allocation and put into words only for a trace.

use std::fmt;
use std::net::IpAddr;

use super::subject::{Effect, Subject};
use crate::{Attribute, IpBlock, TextMatch};

/// A field of a rule that does not hold.
#[derive(Clone, Copy)]
pub(super) struct Unmet<'r> {
    field: Field<'r>,
    wanted: Wanted<'r>,
}

/// What is compared: a field by its name, or an attribute of a condition.
#[derive(Clone, Copy)]
pub(super) enum Field<'r> {
    Named(&'r str),
    Attribute(&'r Attribute),
}

impl<'r> From<&'r str> for Field<'r> {
    fn from(name: &'r str) -> Self {
        Self::Named(name)
    }
}

impl<'r> From<&'r Attribute> for Field<'r> {
    fn from(attribute: &'r Attribute) -> Self {
        Self::Attribute(attribute)
    }
}

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::Attribute(attribute) => attribute.fmt(f),
        }
    }
}

/// What the field asks for.
#[derive(Clone, Copy)]
pub(super) enum Wanted<'r> {
    /// One of these texts.
    Texts(&'r [TextMatch]),
    /// None of these texts.
    NoTexts(&'r [TextMatch]),
    /// One of these ports.
    Ports(&'r [u16]),
    /// None of these ports.
    NoPorts(&'r [u16]),
    /// One of these ranges.
    Blocks(&'r [IpBlock]),
    /// None of these ranges.
    NoBlocks(&'r [IpBlock]),
    /// A request rather than a TCP connection.
    Http,
    /// Something this version can evaluate.
    Supported,
}

impl<'r> Unmet<'r> {
    pub(super) fn new(field: impl Into<Field<'r>>, wanted: Wanted<'r>) -> Self {
        Self {
            field: field.into(),
            wanted,
        }
    }

    pub(super) fn explain(&self, subject: &Subject<'_>) -> String {
        let field = self.field;
        let found = || found(field, subject);
        match self.wanted {
            Wanted::Texts(texts) => format!("{field} {} is none of {}", found(), Listed(texts)),
            Wanted::NoTexts(texts) => format!("{field} {} is one of {}", found(), Listed(texts)),
            Wanted::Ports(ports) => format!("{field} {} is none of {}", found(), Listed(ports)),
            Wanted::NoPorts(ports) => format!("{field} {} is one of {}", found(), Listed(ports)),
            Wanted::Blocks(blocks) => format!("{field} {} is none of {}", found(), Listed(blocks)),
            Wanted::NoBlocks(blocks) => format!("{field} {} is one of {}", found(), Listed(blocks)),
            Wanted::Http => format!("{field} needs HTTP and this is a TCP connection"),
            Wanted::Supported => format!("{field} cannot be evaluated here, so it is taken not to hold"),
        }
    }
}

/// Checks `value` against both lists; an absent value satisfies no list and offends none.
pub(super) fn texts<'r>(
    field: impl Into<Field<'r>>,
    value: Option<&str>,
    wanted: &'r [TextMatch],
    unwanted: &'r [TextMatch],
) -> Option<Unmet<'r>> {
    let any = |list: &[TextMatch]| value.is_some_and(|value| list.iter().any(|text| text.matches(value)));
    any_of(field, wanted, unwanted, any)
}

/// Checks both lists with `any`, which says whether one of a list matches.
pub(super) fn any_of<'r>(
    field: impl Into<Field<'r>>,
    wanted: &'r [TextMatch],
    unwanted: &'r [TextMatch],
    any: impl Fn(&[TextMatch]) -> bool,
) -> Option<Unmet<'r>> {
    if !wanted.is_empty() && !any(wanted) {
        return Some(Unmet::new(field, Wanted::Texts(wanted)));
    }
    // Most lists of most policies are empty: nothing is found out for them.
    (!unwanted.is_empty() && any(unwanted)).then(|| Unmet::new(field, Wanted::NoTexts(unwanted)))
}

/// Checks an address against both lists.
pub(super) fn blocks<'r>(
    field: impl Into<Field<'r>>,
    address: IpAddr,
    wanted: &'r [IpBlock],
    unwanted: &'r [IpBlock],
) -> Option<Unmet<'r>> {
    let within = |blocks: &[IpBlock]| blocks.iter().any(|block| block.contains(address));
    if !wanted.is_empty() && !within(wanted) {
        return Some(Unmet::new(field, Wanted::Blocks(wanted)));
    }
    within(unwanted).then(|| Unmet::new(field, Wanted::NoBlocks(unwanted)))
}

/// For a field that only HTTP has, on a TCP connection: unmet where a doubt is, dropped where it counts as a match.
pub(super) fn without_http<'r>(
    field: impl Into<Field<'r>>,
    effect: Effect,
    asked: bool,
) -> Option<Unmet<'r>> {
    (asked && !effect.doubts()).then(|| Unmet::new(field, Wanted::Http))
}

fn found(field: Field<'_>, subject: &Subject<'_>) -> String {
    let connection = subject.connection;
    let request = |text: for<'f> fn(&crate::RequestFacts<'f>) -> &'f str| {
        subject
            .request
            .map_or_else(String::new, |request| text(request).to_owned())
    };
    let attribute = match field {
        Field::Attribute(attribute) => attribute,
        Field::Named(name) => match name {
            "principal" => &Attribute::SourcePrincipal,
            "namespace" => &Attribute::SourceNamespace,
            "service account" => &Attribute::SourceServiceAccount,
            "trust domain" => &Attribute::SourceTrustDomain,
            "request principal" => &Attribute::RequestPrincipal,
            "address" => &Attribute::SourceIp,
            "remote address" => &Attribute::RemoteIp,
            "port" => &Attribute::DestinationPort,
            "path" => return subject.path.to_owned(),
            "method" => return request(|request| request.method),
            "host" => return request(|request| request.authority),
            _ => return "as found".to_owned(),
        },
    };
    let peer = connection.peer.as_ref();
    let identity = |text: Option<String>| text.unwrap_or_else(|| "(no identity)".to_owned());
    let token = |text: fn(&crate::TokenFacts) -> Option<String>| match subject.token() {
        None => "(no token)".to_owned(),
        Some(token) => text(token).unwrap_or_else(|| "(not in the token)".to_owned()),
    };
    match attribute {
        Attribute::SourcePrincipal => identity(peer.map(|peer| peer.principal.to_owned())),
        Attribute::SourceNamespace => identity(peer.map(|peer| peer.namespace.to_owned())),
        Attribute::SourceTrustDomain => identity(peer.map(|peer| peer.trust_domain().to_owned())),
        Attribute::SourceServiceAccount => {
            identity(peer.map(|peer| format!("{}/{}", peer.namespace, peer.service_account)))
        }
        Attribute::SourceIp => connection.peer_ip.to_string(),
        Attribute::RemoteIp => subject.remote_ip().to_string(),
        Attribute::DestinationIp => connection.local_ip.to_string(),
        Attribute::DestinationPort => connection.port.to_string(),
        Attribute::ConnectionSni => connection.sni.unwrap_or("(none)").to_owned(),
        Attribute::RequestPrincipal => token(|token| token.principal.as_ref().map(ToString::to_string)),
        Attribute::RequestPresenter => token(|token| token.presenter.as_deref().map(str::to_owned)),
        Attribute::RequestAudiences => token(|token| Some(token.audiences.join(", "))),
        // What a header or claim holds may be a secret.
        Attribute::RequestHeader(_) | Attribute::RequestClaim(_) | Attribute::Unknown(_) => {
            "as found".to_owned()
        }
    }
}

struct Listed<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for Listed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            item.fmt(f)?;
        }
        Ok(())
    }
}

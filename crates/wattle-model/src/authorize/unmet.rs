//! What keeps a rule from matching, held without allocation and put into words only for a trace.

use std::fmt;

use super::{Effect, Subject};
use crate::{IpBlock, TextMatch};

/// A field of a rule that does not hold.
#[derive(Clone, Copy)]
pub(super) struct Unmet<'r> {
    field: &'r str,
    wanted: Wanted<'r>,
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
    pub(super) fn new(field: &'r str, wanted: Wanted<'r>) -> Self {
        Self { field, wanted }
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
    field: &'r str,
    value: Option<&str>,
    wanted: &'r [TextMatch],
    unwanted: &'r [TextMatch],
) -> Option<Unmet<'r>> {
    let any = |list: &[TextMatch]| value.is_some_and(|value| list.iter().any(|text| text.matches(value)));
    any_of(field, wanted, unwanted, any)
}

/// Checks both lists with `any`, which says whether one of a list matches.
pub(super) fn any_of<'r>(
    field: &'r str,
    wanted: &'r [TextMatch],
    unwanted: &'r [TextMatch],
    any: impl Fn(&[TextMatch]) -> bool,
) -> Option<Unmet<'r>> {
    if !wanted.is_empty() && !any(wanted) {
        return Some(Unmet::new(field, Wanted::Texts(wanted)));
    }
    any(unwanted).then_some(Unmet::new(field, Wanted::NoTexts(unwanted)))
}

/// For a field that only HTTP has, on a TCP connection: unmet in ALLOW, dropped in DENY.
pub(super) fn without_http<'r>(field: &'r str, effect: Effect, asked: bool) -> Option<Unmet<'r>> {
    (asked && effect == Effect::Allow).then_some(Unmet::new(field, Wanted::Http))
}

fn found(field: &str, subject: &Subject<'_>) -> String {
    let connection = subject.connection;
    let peer = |text: fn(&crate::PeerFacts<'_>) -> String| connection.peer.as_ref().map(text);
    let identity = || "(no identity)".to_owned();
    match field {
        "principal" | "source.principal" => peer(|peer| peer.principal.to_owned()).unwrap_or_else(identity),
        "namespace" | "source.namespace" => peer(|peer| peer.namespace.to_owned()).unwrap_or_else(identity),
        "service account" | "source.serviceAccount" => {
            peer(|peer| format!("{}/{}", peer.namespace, peer.service_account)).unwrap_or_else(identity)
        }
        "address" | "source.ip" => connection.peer_ip.to_string(),
        "port" | "destination.port" => connection.port.to_string(),
        "path" => subject.path.to_owned(),
        "method" => subject
            .request
            .map_or_else(String::new, |request| request.method.to_owned()),
        "host" => subject
            .request
            .map_or_else(String::new, |request| request.authority.to_owned()),
        _ => "as found".to_owned(),
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

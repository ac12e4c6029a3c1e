//! What is evaluated, and in which direction a doubt is resolved.

use std::net::IpAddr;

use crate::{ConnectionFacts, RequestFacts, TokenFacts};

/// What a policy does when it matches.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Deny,
    Ask,
    Allow,
    Audit,
}

/// What is evaluated, with the path in the form that policies compare.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) connection: &'a ConnectionFacts<'a>,
    pub(super) request: Option<&'a RequestFacts<'a>>,
    pub(super) path: &'a str,
    /// The path as a lenient server may read it, where that is another and must not be excluded either.
    pub(super) lenient: Option<&'a str>,
    pub(super) effect: Effect,
}

impl Effect {
    /// True when a doubt counts as a match, since a match is the safe side.
    pub(super) fn doubts(self) -> bool {
        matches!(self, Self::Deny | Self::Ask)
    }
}

impl<'a> Subject<'a> {
    pub(super) fn token(&self) -> Option<&'a TokenFacts> {
        self.request?.token
    }

    /// Address of the original client.
    pub(super) fn remote_ip(&self) -> IpAddr {
        let said = self.request.and_then(|request| request.remote_ip);
        said.unwrap_or(self.connection.peer_ip)
    }
}

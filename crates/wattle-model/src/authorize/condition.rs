//! `when`: attributes with values. One that is not known here fails closed.

use std::net::IpAddr;

use super::source::has_account;
use super::subject::Subject;
use super::unmet::{Unmet, Wanted, any_of, blocks, texts, without_http};
use crate::compare::joined_header;
use crate::{Attribute, Condition, PeerFacts, TextMatch};

impl Condition {
    pub(super) fn unmet(&self, subject: &Subject<'_>) -> Option<Unmet<'_>> {
        let connection = subject.connection;
        let peer = connection.peer.as_ref();
        match &self.attribute {
            Attribute::SourceIp => self.within(connection.peer_ip),
            Attribute::RemoteIp => self.within(subject.remote_ip()),
            Attribute::DestinationIp => self.within(connection.local_ip),
            Attribute::SourceNamespace => self.among(peer.map(|peer| peer.namespace)),
            Attribute::SourcePrincipal => self.among(peer.map(|peer| peer.principal)),
            Attribute::SourceTrustDomain => self.among(peer.map(PeerFacts::trust_domain)),
            Attribute::SourceServiceAccount => self.any(|list| has_account(list, peer)),
            Attribute::DestinationPort => self.any(|list| has_port(list, connection.port)),
            Attribute::ConnectionSni => self.among(connection.sni),
            http if http.is_http() => self.http_unmet(subject),
            _ => (!subject.effect.doubts()).then_some(self.not(Wanted::Supported)),
        }
    }

    fn http_unmet(&self, subject: &Subject<'_>) -> Option<Unmet<'_>> {
        let Some(request) = subject.request else {
            return without_http(&self.attribute, subject.effect, true);
        };
        let token = request.token;
        match &self.attribute {
            Attribute::RequestHeader(name) => self.header_unmet(name, subject),
            Attribute::RequestPrincipal => {
                let principal = token.and_then(|token| token.principal.as_ref());
                self.any(|list| principal.is_some_and(|principal| list.iter().any(|text| principal.is(text))))
            }
            Attribute::RequestPresenter => self.among(token.and_then(|token| token.presenter.as_deref())),
            Attribute::RequestAudiences => {
                self.any(|list| token.is_some_and(|token| has_one(list, &token.audiences)))
            }
            Attribute::RequestClaim(path) => {
                self.any(|list| token.is_some_and(|token| has_one(list, token.claim(path))))
            }
            _ => None,
        }
    }

    fn header_unmet(&self, name: &http::HeaderName, subject: &Subject<'_>) -> Option<Unmet<'_>> {
        let headers = subject.request?.headers;
        let joined = joined_header(headers, name);
        // A server may read any one of several values, so that a DENY rule looks at each.
        let singly = |list: &[TextMatch]| {
            let mut values = headers.get_all(name).iter();
            let any = |value: &str| list.iter().any(|text| text.matches(value));
            subject.effect.doubts() && values.any(|value| any(&String::from_utf8_lossy(value.as_bytes())))
        };
        if singly(&self.values) {
            return texts(&self.attribute, joined.as_deref(), &[], &self.not_values);
        }
        self.among(joined.as_deref())
    }

    fn among(&self, value: Option<&str>) -> Option<Unmet<'_>> {
        texts(&self.attribute, value, &self.values, &self.not_values)
    }

    fn any(&self, any: impl Fn(&[TextMatch]) -> bool) -> Option<Unmet<'_>> {
        any_of(&self.attribute, &self.values, &self.not_values, any)
    }

    fn within(&self, address: IpAddr) -> Option<Unmet<'_>> {
        blocks(&self.attribute, address, &self.blocks, &self.not_blocks)
    }

    fn not<'r>(&'r self, wanted: Wanted<'r>) -> Unmet<'r> {
        Unmet::new(&self.attribute, wanted)
    }
}

fn has_one(list: &[TextMatch], values: &[Box<str>]) -> bool {
    values
        .iter()
        .any(|value| list.iter().any(|text| text.matches(value)))
}

fn has_port(list: &[TextMatch], port: u16) -> bool {
    list.iter().any(|text| match text {
        TextMatch::Exact(number) => number.parse() == Ok(port),
        other => other.matches(&port.to_string()),
    })
}

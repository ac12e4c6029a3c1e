//! `when`: attributes by key. A key that is not known here fails closed.

use super::unmet::{Unmet, Wanted, any_of, texts, without_http};
use super::{Effect, Subject};
use crate::compare::joined_header;
use crate::{Condition, IpBlock, TextMatch};

impl Condition {
    /// True when this version can evaluate `key`.
    pub fn is_supported(key: &str) -> bool {
        const KEYS: [&str; 6] = [
            "source.ip",
            "source.namespace",
            "source.principal",
            "source.serviceAccount",
            "source.trustDomain",
            "destination.port",
        ];
        KEYS.contains(&key) || header_name(key).is_some()
    }

    pub(super) fn unmet(&self, subject: &Subject<'_>) -> Option<Unmet<'_>> {
        let connection = subject.connection;
        let peer = connection.peer.as_ref();
        let among = |value: Option<&str>| texts(&self.key, value, &self.values, &self.not_values);
        match &*self.key {
            "source.ip" => any_of(&self.key, &self.values, &self.not_values, |list| {
                within(list, subject)
            }),
            "source.namespace" => among(peer.map(|peer| peer.namespace)),
            "source.principal" => among(peer.map(|peer| peer.principal)),
            "source.serviceAccount" => {
                let account = peer.map(|peer| format!("{}/{}", peer.namespace, peer.service_account));
                among(account.as_deref())
            }
            "source.trustDomain" => among(peer.and_then(|peer| peer.principal.split('/').next())),
            "destination.port" => among(Some(&connection.port.to_string())),
            key => match header_name(key) {
                Some(name) => self.header_unmet(name, subject),
                None => (subject.effect == Effect::Allow).then_some(Unmet::new(key, Wanted::Supported)),
            },
        }
    }

    fn header_unmet(&self, name: http::HeaderName, subject: &Subject<'_>) -> Option<Unmet<'_>> {
        let Some(request) = subject.request else {
            return without_http(&self.key, subject.effect, true);
        };
        let joined = joined_header(request.headers, &name);
        // A server may read any one of several values, so that a DENY rule looks at each.
        let singly = |list: &[TextMatch]| {
            let mut values = request.headers.get_all(&name).iter();
            let any = |value: &str| list.iter().any(|text| text.matches(value));
            subject.effect == Effect::Deny
                && values.any(|value| any(&String::from_utf8_lossy(value.as_bytes())))
        };
        if singly(&self.values) {
            return texts(&self.key, joined.as_deref(), &[], &self.not_values);
        }
        texts(&self.key, joined.as_deref(), &self.values, &self.not_values)
    }
}

fn within(list: &[TextMatch], subject: &Subject<'_>) -> bool {
    list.iter().any(|text| match text {
        TextMatch::Exact(block) => match IpBlock::parse(block) {
            Some(block) => block.contains(subject.connection.peer_ip),
            None => subject.effect == Effect::Deny,
        },
        TextMatch::Present => true,
        _ => subject.effect == Effect::Deny,
    })
}

fn header_name(key: &str) -> Option<http::HeaderName> {
    let name = key.strip_prefix("request.headers[")?.strip_suffix(']')?;
    http::HeaderName::from_bytes(name.as_bytes()).ok()
}

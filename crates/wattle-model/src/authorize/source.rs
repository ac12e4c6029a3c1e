//! Who it comes from. A list with an entry never holds without an identity; a `not_` list always does.

use super::subject::Subject;
use super::unmet::{Unmet, any_of, blocks, texts, without_http};
use crate::{PeerFacts, Source, TextMatch};

impl Source {
    pub(super) fn unmet(&self, subject: &Subject<'_>) -> Option<Unmet<'_>> {
        self.identity_unmet(subject.connection.peer.as_ref())
            .or_else(|| self.token_unmet(subject))
            .or_else(|| self.address_unmet(subject))
    }

    fn identity_unmet(&self, peer: Option<&PeerFacts<'_>>) -> Option<Unmet<'_>> {
        let principal = texts(
            "principal",
            peer.map(|peer| peer.principal),
            &self.principals,
            &self.not_principals,
        );
        let namespace = || {
            let own = peer.map(|peer| peer.namespace);
            texts("namespace", own, &self.namespaces, &self.not_namespaces)
        };
        let account = || {
            any_of(
                "service account",
                &self.service_accounts,
                &self.not_service_accounts,
                |list| has_account(list, peer),
            )
        };
        let domain = || {
            let (wanted, unwanted) = (&self.trust_domains, &self.not_trust_domains);
            if wanted.is_empty() && unwanted.is_empty() {
                return None;
            }
            texts(
                "trust domain",
                peer.map(PeerFacts::trust_domain),
                wanted,
                unwanted,
            )
        };
        principal.or_else(namespace).or_else(account).or_else(domain)
    }

    fn token_unmet(&self, subject: &Subject<'_>) -> Option<Unmet<'_>> {
        let (wanted, unwanted) = (&self.request_principals, &self.not_request_principals);
        if subject.request.is_none() {
            let asked = !wanted.is_empty() || !unwanted.is_empty();
            return without_http("request principal", subject.effect, asked);
        }
        let principal = subject.token().and_then(|token| token.principal.as_ref());
        any_of("request principal", wanted, unwanted, |list| {
            principal.is_some_and(|principal| list.iter().any(|text| principal.is(text)))
        })
    }

    fn address_unmet(&self, subject: &Subject<'_>) -> Option<Unmet<'_>> {
        let peer = subject.connection.peer_ip;
        let own = blocks("address", peer, &self.ip_blocks, &self.not_ip_blocks);
        let remote = || {
            let (wanted, unwanted) = (&self.remote_ip_blocks, &self.not_remote_ip_blocks);
            blocks("remote address", subject.remote_ip(), wanted, unwanted)
        };
        own.or_else(remote)
    }
}

/// Does one of the texts match `NAMESPACE/ACCOUNT`?
pub(super) fn has_account(list: &[TextMatch], peer: Option<&PeerFacts<'_>>) -> bool {
    let Some(peer) = peer.filter(|_| !list.is_empty()) else {
        return false;
    };
    // Byte by byte, so that nothing is allocated for a peer.
    let whole = || {
        let (namespace, account) = (peer.namespace.bytes(), peer.service_account.bytes());
        namespace.chain(*b"/").chain(account)
    };
    list.iter().any(|text| match text {
        TextMatch::Exact(text) => whole().eq(text.bytes()),
        TextMatch::Prefix(start) => whole().take(start.len()).eq(start.bytes()),
        TextMatch::Suffix(end) => whole().rev().take(end.len()).eq(end.bytes().rev()),
        TextMatch::Present => true,
        other => other.matches(&format!("{}/{}", peer.namespace, peer.service_account)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_compared_as_namespace_and_name() {
        let peer = PeerFacts {
            principal: "cluster.local/ns/shop/sa/web",
            namespace: "shop",
            service_account: "web",
        };
        let table = [
            (TextMatch::Exact("shop/web".into()), true),
            (TextMatch::Exact("shop/we".into()), false),
            (TextMatch::Exact("shop/web2".into()), false),
            (TextMatch::Exact("web".into()), false),
            (TextMatch::Prefix("shop/".into()), true),
            (TextMatch::Prefix("shop/web".into()), true),
            (TextMatch::Prefix("shop/web2".into()), false),
            (TextMatch::Prefix("hop".into()), false),
            (TextMatch::Suffix("/web".into()), true),
            (TextMatch::Suffix("p/web".into()), true),
            (TextMatch::Suffix("a shop/web".into()), false),
            (TextMatch::Suffix("shop".into()), false),
            (TextMatch::Present, true),
            (TextMatch::Regex(crate::Pattern::new("s.*b").unwrap()), true),
        ];
        for (text, expected) in table {
            let list = [text];
            assert_eq!(has_account(&list, Some(&peer)), expected, "{list:?}");
            assert!(!has_account(&list, None), "{list:?}");
        }
        assert!(!has_account(&[], Some(&peer)));
    }
}

//! Who it comes from. A list with an entry never holds without an identity; a `not_` list always does.

use std::net::IpAddr;

use super::Subject;
use super::unmet::{Unmet, Wanted, texts};
use crate::{IpBlock, Source};

impl Source {
    pub(super) fn unmet(&self, subject: &Subject<'_>) -> Option<Unmet<'_>> {
        let peer = subject.connection.peer.as_ref();
        let principal = texts(
            "principal",
            peer.map(|peer| peer.principal),
            &self.principals,
            &self.not_principals,
        );
        let namespace = || {
            texts(
                "namespace",
                peer.map(|peer| peer.namespace),
                &self.namespaces,
                &self.not_namespaces,
            )
        };
        let address = || self.address_unmet(subject.connection.peer_ip);
        principal
            .or_else(namespace)
            .or_else(|| self.account_unmet(subject))
            .or_else(address)
    }

    fn account_unmet(&self, subject: &Subject<'_>) -> Option<Unmet<'_>> {
        if self.service_accounts.is_empty() && self.not_service_accounts.is_empty() {
            return None;
        }
        let peer = subject.connection.peer.as_ref();
        let account = peer.map(|peer| format!("{}/{}", peer.namespace, peer.service_account));
        texts(
            "service account",
            account.as_deref(),
            &self.service_accounts,
            &self.not_service_accounts,
        )
    }

    fn address_unmet(&self, address: IpAddr) -> Option<Unmet<'_>> {
        let within = |blocks: &[IpBlock]| blocks.iter().any(|block| block.contains(address));
        if !self.ip_blocks.is_empty() && !within(&self.ip_blocks) {
            return Some(Unmet::new("address", Wanted::Blocks(&self.ip_blocks)));
        }
        within(&self.not_ip_blocks).then_some(Unmet::new("address", Wanted::NoBlocks(&self.not_ip_blocks)))
    }
}

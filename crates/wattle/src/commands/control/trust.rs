//! Arguments of `wattle control` about who signs and whom to believe.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use wattle_control::TrustSettings;
use wattle_identity::Lifetimes;

/// Who signs, and whom to believe.
#[derive(Debug, Args)]
pub(super) struct Trust {
    /// Life of an own root
    #[arg(long, env = "WATTLE_CONTROL_ROOT_TTL", value_name = "DURATION", default_value = "87600h", value_parser = crate::commands::duration)]
    root_ttl: Duration,
    /// Life of an own issuer
    #[arg(long, env = "WATTLE_CONTROL_ISSUER_TTL", value_name = "DURATION", default_value = "8760h", value_parser = crate::commands::duration)]
    issuer_ttl: Duration,
    /// Directory with an issuer to use, as Istio's `cacerts` or a Secret of cert-manager; watched
    #[arg(long, env = "WATTLE_CONTROL_ISSUER", value_name = "DIRECTORY")]
    issuer: Option<PathBuf>,
    /// Another name of the trust domain; may be given several times
    #[arg(
        long,
        env = "WATTLE_CONTROL_TRUST_DOMAIN_ALIASES",
        value_name = "NAME",
        value_delimiter = ','
    )]
    trust_domain_alias: Vec<Arc<str>>,
    /// A foreign trust domain and the PEM file of its roots, watched; may be given several times
    #[arg(long, env = "WATTLE_CONTROL_FEDERATED", value_name = "NAME=FILE", value_delimiter = ',', value_parser = federated)]
    federated: Vec<(Arc<str>, PathBuf)>,
    /// PEM file of further roots of the own trust domain, such as SPIRE's, watched
    #[arg(long, env = "WATTLE_CONTROL_ACCEPTED_ROOTS", value_name = "FILE")]
    accepted_roots: Option<PathBuf>,
    /// PEM file of certificate revocation lists, watched
    #[arg(long, env = "WATTLE_CONTROL_REVOKED", value_name = "FILE")]
    revoked: Option<PathBuf>,
}

impl Trust {
    pub(super) fn settings(self, workload: Duration) -> TrustSettings {
        TrustSettings {
            lifetimes: Lifetimes {
                root: self.root_ttl,
                issuer: self.issuer_ttl,
                workload,
            },
            issuer: self.issuer,
            aliases: self.trust_domain_alias,
            accepted: self.accepted_roots,
            federated: self.federated,
            revoked: self.revoked,
        }
    }
}

fn federated(text: &str) -> Result<(Arc<str>, PathBuf), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => Ok((name.into(), file.into())),
        _ => Err(format!("expected TRUST-DOMAIN=FILE, found `{text}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_trust_domain_has_a_name_and_a_file() {
        assert_eq!(
            federated("a.example=/roots.pem"),
            Ok(("a.example".into(), "/roots.pem".into()))
        );
        for wrong in ["a.example", "=/roots.pem", "a.example="] {
            assert!(federated(wrong).is_err(), "{wrong}");
        }
    }
}

//! Changes of the authority: kept first, used then, and everything made anew that depends on it.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use wattle_identity::{BundleSet, Succession, TrustBundle};
use wattle_model::{Trust, TrustedDomain};

use super::files::News;
use super::own::own;
use super::{Current, Issuer, IssuerError, replace};

impl Issuer {
    /// Takes in what is new in the files; whether anything was.
    pub(super) fn take(
        &self,
        current: &mut Current,
        news: News,
        now: SystemTime,
    ) -> Result<bool, IssuerError> {
        let News {
            issuer,
            accepted,
            federated,
            revoked,
        } = news;
        let mut changed = !federated.is_empty() || accepted.is_some() || revoked.is_some();
        if let Some(accepted) = accepted {
            current.accepted = Some(accepted);
        }
        for bundle in federated {
            current
                .federated
                .retain(|known| known.trust_domain() != bundle.trust_domain());
            current.federated.push(bundle);
        }
        if let Some(revoked) = revoked {
            current.revoked = revoked;
        }
        if let Some(plugged) = issuer {
            changed = true;
            current.beside = Some(plugged.roots);
            if let Some(next) = current.succession.adopt(plugged.authority, now)? {
                tracing::info!("the files hold another issuer");
                self.go_on(current, next)?;
            }
        }
        Ok(changed)
    }

    /// Takes a step: kept first, used then.
    pub(super) fn go_on(&self, current: &mut Current, next: Succession) -> Result<(), IssuerError> {
        self.store.keep_succession(&next)?;
        let (from, to) = (current.succession.stage().as_str(), next.stage().as_str());
        tracing::info!(
            from,
            to,
            issuer = next.signing().issuer_id(),
            "the authority goes on"
        );
        (current.succession, current.stale) = (next, true);
        Ok(())
    }

    /// Makes everything that depends on whom to believe and who signs.
    pub(super) fn refresh(&self, current: &mut Current, now: SystemTime) -> Result<(), IssuerError> {
        let mut bundle = current.succession.bundle()?;
        if let Some(beside) = &current.beside {
            bundle = bundle.joined(beside)?;
        }
        if let Some(accepted) = &current.accepted {
            match bundle.joined(accepted) {
                Ok(joined) => bundle = joined,
                Err(error) => tracing::error!(%error, "the accepted roots are left out beside our own"),
            }
        }
        (current.bundle_id, current.bundle) = (bundle.id(), bundle);
        current.callers = BundleSet::only(current.bundle.clone()).with_revoked(current.revoked.clone());
        self.trust.store(Arc::new(self.told(current)));
        self.changed.notify_one();
        write_roots(&self.roots, &current.bundle.to_pem())?;
        let authority = current.succession.known_longest(now);
        if authority.not_after() <= now {
            self.own.store(None);
            current.stale = false;
            tracing::error!(
                "the authority has ended: nobody can be given a certificate until `wattle repair`"
            );
            return Ok(());
        }
        let made = own(authority, &self.id, current.callers.clone(), &self.clock)?;
        self.own.store(Some(Arc::new(made)));
        current.stale = false;
        Ok(())
    }

    fn told(&self, current: &Current) -> Trust {
        let domain = |name: &str, bundle: &TrustBundle| TrustedDomain {
            name: name.into(),
            roots: bundle.roots().iter().map(|root| root.to_vec()).collect(),
        };
        let own = &current.bundle;
        let aliases = self.aliases.iter().map(|alias| domain(alias, own));
        let federated = current
            .federated
            .iter()
            .map(|other| domain(other.trust_domain().as_str(), other));
        Trust {
            issuer: current.succession.signing().issuer_id().into(),
            domains: std::iter::once(domain(self.id.trust_domain(), own))
                .chain(aliases)
                .chain(federated)
                .collect(),
            aliases: self.aliases.clone(),
            revocation_lists: current.revoked.der().to_vec(),
        }
    }
}

/// Replaces the file as a whole, so that a reader never sees half of it.
fn write_roots(path: &Path, pem: &str) -> Result<(), IssuerError> {
    replace(path, pem.as_bytes()).map_err(|error| IssuerError::Write(path.to_owned(), error))
}

//! The authority at rest: made on first start, replaced as a whole at every step of a rotation.

use std::time::SystemTime;

use wattle_identity::{Authority, Lifetimes, Succession, TrustDomain};

use super::{FACTS, Store, StoreError};

impl Store {
    /// The authority of this trust domain and what of its rotation is under way, made when there is none yet.
    pub(crate) fn succession(
        &self,
        trust_domain: &TrustDomain,
        lifetimes: Lifetimes,
        now: SystemTime,
    ) -> Result<Succession, StoreError> {
        let Some(signing) = self.fact(&signing_key(trust_domain))? else {
            let authority =
                Authority::create_for(trust_domain, lifetimes, now).map_err(StoreError::Authority)?;
            let succession = Succession::new(authority.with_lifetimes(lifetimes));
            self.keep_succession(&succession)?;
            return Ok(succession);
        };
        let signing = zeroize::Zeroizing::new(signing);
        let phases = self.fact(&phases_key(trust_domain))?.unwrap_or_default();
        let phases = zeroize::Zeroizing::new(phases);
        let phases = std::str::from_utf8(&phases).map_err(|_| StoreError::Damaged("rotation"))?;
        let found = Succession::from_parts(trust_domain, &signing, phases).map_err(StoreError::Authority)?;
        Ok(found.with_lifetimes(lifetimes))
    }

    /// Whether there is one.
    pub(crate) fn has_authority(&self, trust_domain: &TrustDomain) -> Result<bool, StoreError> {
        Ok(self.fact(&signing_key(trust_domain))?.is_some())
    }

    /// Keeps it in place of the one before, all or nothing.
    pub(crate) fn keep_succession(&self, succession: &Succession) -> Result<(), StoreError> {
        let signing = succession.signing();
        let trust_domain = signing.trust_domain();
        let (pem, phases) = (signing.to_pem(), succession.phases_text());
        let transaction = self.database.begin_write()?;
        {
            let mut facts = transaction.open_table(FACTS)?;
            facts.insert(&*signing_key(trust_domain), pem.as_bytes())?;
            facts.insert(&*phases_key(trust_domain), phases.as_bytes())?;
        }
        Ok(transaction.commit()?)
    }
}

fn signing_key(trust_domain: &TrustDomain) -> String {
    format!("authority/{}", trust_domain.as_str())
}

fn phases_key(trust_domain: &TrustDomain) -> String {
    format!("rotation/{}", trust_domain.as_str())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use wattle_identity::Replaced;

    use super::*;

    #[test]
    fn the_authority_and_its_rotation_are_the_same_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let trust_domain = TrustDomain::new("example.org").unwrap();
        let now = SystemTime::now();
        let open = || {
            let store = Store::open(directory.path()).unwrap();
            let found = store
                .succession(&trust_domain, Lifetimes::default(), now)
                .unwrap();
            (store, found)
        };
        let (store, first) = open();
        drop(store);
        let (store, again) = open();
        assert_eq!(first.bundle().unwrap(), again.bundle().unwrap());
        let rotating = again.begin(Replaced::Root, false, now).unwrap();
        store.keep_succession(&rotating).unwrap();
        drop(store);
        let (_store, found) = open();
        assert_eq!(
            (found.stage(), found.bundle()),
            (rotating.stage(), rotating.bundle())
        );
    }
}

//! The authority at rest: made on first start, the same ever after.

use std::time::SystemTime;

use wattle_identity::{Authority, TrustDomain};

use super::{Store, StoreError};

impl Store {
    /// The authority of this trust domain, made when there is none yet.
    pub(crate) fn authority(
        &self,
        trust_domain: &TrustDomain,
        now: SystemTime,
    ) -> Result<Authority, StoreError> {
        if let Some(pem) = self.fact(&key(trust_domain))? {
            let pem = zeroize::Zeroizing::new(pem);
            return Authority::from_pem(trust_domain, &pem).map_err(StoreError::Authority);
        }
        let authority = Authority::create(trust_domain, now).map_err(StoreError::Authority)?;
        self.keep_authority(&authority)?;
        Ok(authority)
    }

    /// Keeps an authority in place of the one before.
    pub(crate) fn keep_authority(&self, authority: &Authority) -> Result<(), StoreError> {
        self.set_fact(&key(authority.trust_domain()), authority.to_pem().as_bytes())
    }
}

fn key(trust_domain: &TrustDomain) -> String {
    format!("authority/{}", trust_domain.as_str())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_authority_is_the_same_after_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let trust_domain = TrustDomain::new("example.org").unwrap();
        let roots = || {
            let store = Store::open(directory.path()).unwrap();
            store
                .authority(&trust_domain, SystemTime::now())
                .unwrap()
                .bundle()
                .unwrap()
                .to_pem()
        };
        assert_eq!(roots(), roots());
    }
}

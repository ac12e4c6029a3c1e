//! Whom to believe: the roots of the file at first, then what the control plane says.

use std::path::PathBuf;
use std::sync::Arc;

use wattle_identity::{BundleError, BundleSet, RevocationLists, TrustBundle, TrustDomain};
use wattle_model::Trust;
use wattle_model::TrustedDomain;

use super::given::GivenRoots;

/// Why no root was found.
#[derive(Debug, thiserror::Error)]
pub(super) enum BelievedError {
    #[error("roots in {}: {}", .0.display(), .1)]
    Read(PathBuf, std::io::Error),
    #[error("roots in {}: {}", .0.display(), .1)]
    Parse(PathBuf, BundleError),
    #[error("roots that came with the certificate: {0}")]
    Given(String),
    #[error("what the control plane says of trust domain {0} cannot be used: {1}")]
    Told(String, String),
}

/// What is believed, from where it came.
pub(super) struct Believed {
    trust_domain: TrustDomain,
    path: PathBuf,
    /// What the file held when it was looked at last.
    file: Option<Vec<u8>>,
    /// The own trust domain's roots, as the control plane said last; then the file is for finding the control plane only.
    own: Option<TrustBundle>,
    /// Other trust domains and revocations.
    told: Option<Arc<Trust>>,
    /// What whoever gives certificates in the control plane's stead says besides.
    given: Option<GivenRoots>,
}

impl Believed {
    /// Nothing but a file that was not read yet.
    pub(super) fn new(trust_domain: TrustDomain, path: PathBuf) -> Self {
        Self {
            trust_domain,
            path,
            file: None,
            own: None,
            told: None,
            given: None,
        }
    }

    /// Takes in what the control plane says; what cannot be used leaves everything as it was.
    pub(super) fn hear(&mut self, trust: Arc<Trust>) -> Result<(), BelievedError> {
        let own = self.own_of(&trust)?;
        others(&trust, BundleSet::default())?;
        (self.own, self.told) = (Some(own), Some(trust));
        Ok(())
    }

    /// Takes in the roots that came with a certificate; they are the control plane's newest word.
    pub(super) fn came_with_certificate(&mut self, pem: &str) {
        match TrustBundle::from_pem(self.trust_domain.clone(), pem.as_bytes()) {
            Ok(bundle) => self.own = Some(bundle),
            Err(error) => tracing::warn!(%error, "the roots that came with the certificate are not used"),
        }
    }

    /// Takes in what came with a given certificate, instead of what came with the one before.
    pub(super) fn came_besides(&mut self, roots: GivenRoots) -> Option<GivenRoots> {
        self.given.replace(roots)
    }

    /// Takes that back.
    pub(super) fn take_back(&mut self, before: Option<GivenRoots>) {
        self.given = before;
    }

    /// Looks at the file; whether it holds something else than before. Who changed it wants it to count: its roots join.
    pub(super) fn look(&mut self) -> bool {
        let Ok(found) = std::fs::read(&self.path) else {
            return false;
        };
        let before = self.file.replace(found.clone());
        if before.as_ref().is_none_or(|before| *before == found) {
            return false;
        }
        let parsed = TrustBundle::from_pem(self.trust_domain.clone(), &found);
        if let (Some(own), Ok(bundle)) = (&self.own, parsed)
            && let Ok(joined) = own.joined(&bundle)
        {
            self.own = Some(joined);
        }
        true
    }

    /// For meeting workloads. Of a foreign trust domain the control plane's word counts before that of whoever gave the certificate.
    pub(super) fn bundles(&self) -> Result<BundleSet, BelievedError> {
        let mut own = match &self.own {
            Some(own) => own.clone(),
            None => self.file()?,
        };
        if let Some(given) = &self.given {
            own = own.joined(&given.own).map_err(unusable)?;
        }
        let mut set = BundleSet::only(own.clone());
        if let Some(trust) = &self.told {
            set = others(trust, set)?;
            let aliases = trust.aliases.iter();
            for alias in aliases.filter_map(|alias| TrustDomain::new(alias).ok()) {
                // As new as the own ones.
                let _ = set.insert(own.for_alias(alias));
            }
        }
        let Some(given) = &self.given else {
            return Ok(set);
        };
        for foreign in &given.federated {
            if set.bundle(foreign.trust_domain().as_str()).is_none()
                && let Err(error) = set.insert(foreign.clone())
            {
                tracing::warn!(%error, "a foreign trust domain is left out");
            }
        }
        let lists = set.revoked().der().iter().chain(given.revoked.der());
        let revoked = RevocationLists::from_der(lists.cloned().collect()).map_err(unusable)?;
        Ok(set.with_revoked(revoked))
    }

    /// For meeting the control plane, who must be found again also after its roots were replaced unheard.
    pub(super) fn control(&self) -> Result<BundleSet, BelievedError> {
        let bundle = match (&self.own, self.file()) {
            (Some(own), Ok(file)) => own.joined(&file).unwrap_or_else(|_| own.clone()),
            (Some(own), Err(_)) => own.clone(),
            (None, file) => file?,
        };
        let revoked = self
            .told
            .as_ref()
            .map_or(Ok(RevocationLists::default()), |trust| revoked(trust))?;
        Ok(BundleSet::only(bundle).with_revoked(revoked))
    }

    /// Who signs now, as far as was told.
    pub(super) fn issuer(&self) -> Option<&str> {
        self.told.as_ref().map(|trust| &*trust.issuer)
    }

    /// Other names of the own trust domain.
    pub(super) fn aliases(&self) -> Vec<Arc<str>> {
        self.told
            .as_ref()
            .map(|trust| trust.aliases.clone())
            .unwrap_or_default()
    }

    fn file(&self) -> Result<TrustBundle, BelievedError> {
        let text =
            std::fs::read(&self.path).map_err(|error| BelievedError::Read(self.path.clone(), error))?;
        TrustBundle::from_pem(self.trust_domain.clone(), &text)
            .map_err(|error| BelievedError::Parse(self.path.clone(), error))
    }

    fn own_of(&self, trust: &Trust) -> Result<TrustBundle, BelievedError> {
        let name = self.trust_domain.as_str();
        let found = trust.domains.iter().find(|domain| *domain.name == *name);
        bundle(found.ok_or_else(|| BelievedError::Told(name.to_owned(), "it is not mentioned".to_owned()))?)
    }
}

fn unusable(error: impl std::fmt::Display) -> BelievedError {
    BelievedError::Given(error.to_string())
}

/// Adds the trust domains that are not in the set yet, and the revocations.
fn others(trust: &Trust, mut set: BundleSet) -> Result<BundleSet, BelievedError> {
    for domain in &trust.domains {
        if set.bundle(&domain.name).is_none() {
            let told = |error: BundleError| BelievedError::Told(domain.name.to_string(), error.to_string());
            set.insert(bundle(domain)?).map_err(told)?;
        }
    }
    Ok(set.with_revoked(revoked(trust)?))
}

fn bundle(domain: &TrustedDomain) -> Result<TrustBundle, BelievedError> {
    let told = |error: String| BelievedError::Told(domain.name.to_string(), error);
    let name = TrustDomain::new(&domain.name).map_err(|error| told(error.to_string()))?;
    let roots = domain.roots.iter().map(|root| root.clone().into());
    TrustBundle::new(name, roots).map_err(|error| told(error.to_string()))
}

fn revoked(trust: &Trust) -> Result<RevocationLists, BelievedError> {
    RevocationLists::from_der(trust.revocation_lists.clone())
        .map_err(|error| BelievedError::Told("(revocations)".to_owned(), error.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::SystemTime;

    use wattle_identity::Authority;

    use super::*;

    fn authority(name: &str) -> (TrustDomain, TrustBundle) {
        let domain = TrustDomain::new(name).unwrap();
        let bundle = Authority::create(&domain, SystemTime::now())
            .unwrap()
            .bundle()
            .unwrap();
        (domain, bundle)
    }

    fn told(bundles: &[&TrustBundle], aliases: &[&str]) -> Arc<Trust> {
        let domain = |bundle: &&TrustBundle| TrustedDomain {
            name: bundle.trust_domain().as_str().into(),
            roots: bundle.roots().iter().map(|root| root.to_vec()).collect(),
        };
        Arc::new(Trust {
            issuer: "i".into(),
            domains: bundles.iter().map(domain).collect(),
            aliases: aliases.iter().map(|alias| (*alias).into()).collect(),
            revocation_lists: Vec::new(),
        })
    }

    #[test]
    fn what_the_control_plane_says_counts_instead_of_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("roots.pem");
        let ((domain, old), (_, new), (_, other)) = (
            authority("cluster.local"),
            authority("cluster.local"),
            authority("elsewhere.example"),
        );
        std::fs::write(&path, old.to_pem()).unwrap();
        let mut believed = Believed::new(domain, path.clone());
        assert!(!believed.look(), "at first it is not new");
        assert_eq!(believed.bundles().unwrap(), BundleSet::only(old.clone()));
        believed.hear(told(&[&new, &other], &["old.example"])).unwrap();
        let set = believed.bundles().unwrap();
        assert_eq!(set.bundle("cluster.local"), Some(&new));
        assert_eq!(set.bundle("elsewhere.example"), Some(&other));
        assert_eq!(set.bundle("old.example").unwrap().roots(), new.roots());
        assert_eq!(
            believed
                .control()
                .unwrap()
                .bundle("cluster.local")
                .unwrap()
                .roots()
                .len(),
            2
        );
        // Somebody replaces the file: both count until the control plane says what does.
        let (_, newest) = authority("cluster.local");
        std::fs::write(&path, newest.to_pem()).unwrap();
        assert!(believed.look() && !believed.look());
        assert_eq!(
            believed
                .bundles()
                .unwrap()
                .bundle("cluster.local")
                .unwrap()
                .roots()
                .len(),
            2
        );
        believed.came_with_certificate(&newest.to_pem());
        assert_eq!(believed.bundles().unwrap().bundle("cluster.local"), Some(&newest));
    }

    #[test]
    fn what_cannot_be_used_leaves_everything_as_it_was() {
        let (domain, own) = authority("cluster.local");
        let mut believed = Believed::new(domain, "/nowhere".into());
        believed.hear(told(&[&own], &[])).unwrap();
        let (_, other) = authority("elsewhere.example");
        assert!(
            believed.hear(told(&[&other], &[])).is_err(),
            "our own roots are not mentioned"
        );
        let mut damaged = (*told(&[&own], &[])).clone();
        damaged.revocation_lists = vec![vec![1, 2, 3]];
        assert!(believed.hear(Arc::new(damaged)).is_err());
        assert_eq!(believed.bundles().unwrap(), BundleSet::only(own));
    }
}

//! The authority in use, and the control plane's own certificate that it signs.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio_util::sync::CancellationToken;
use wattle_identity::{
    Authority, AuthorityError, BundleError, BundleSet, ClientCertificates, Issued, KeyError, SignError,
    SpiffeError, SpiffeId, Svid, SvidError, SvidRequest, TlsError, TlsSettings, TrustDomain,
};

use crate::store::{Store, StoreError};

/// Namespace and service account of the control plane's own name.
const OWN: (&str, &str) = ("wattle-system", "wattle-control");
/// Longest sleep between two looks at the clock, so that a clock that was set forward is noticed.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// Wait after a failed renewal.
const TRY_AGAIN: Duration = Duration::from_secs(10);

/// Why there is no authority or no certificate of our own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IssuerError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The authority failed.
    #[error("authority failed")]
    Authority(#[from] AuthorityError),
    /// The control plane's own name is not one.
    #[error("own name is not valid")]
    Name(#[from] SpiffeError),
    /// No key could be made.
    #[error("no key of our own")]
    Key(#[from] KeyError),
    /// The authority would not sign.
    #[error("own certificate was not signed")]
    Sign(#[from] SignError),
    /// What it signed cannot be used.
    #[error("own certificate cannot be used")]
    Svid(#[from] SvidError),
    /// The roots make no bundle.
    #[error("trust bundle cannot be made")]
    Bundle(#[from] BundleError),
    /// TLS refused.
    #[error("TLS settings cannot be made")]
    Tls(#[from] TlsError),
    /// The runtime shut down meanwhile.
    #[error("renewal was interrupted")]
    Interrupted(#[source] tokio::task::JoinError),
    /// The roots cannot be written.
    #[error("trust bundle cannot be written to {}", .0.display())]
    Write(PathBuf, #[source] std::io::Error),
}

/// Signs, and proves who the control plane is.
pub(crate) struct Issuer {
    store: Arc<Store>,
    authority: ArcSwap<Authority>,
    own: ArcSwap<Own>,
    ttl: Duration,
    roots: PathBuf,
}

struct Own {
    svid: Svid,
    server: Arc<ServerConfig>,
}

impl Issuer {
    /// Takes the authority from the store, making it when there is none, and writes its roots to `roots`.
    pub(crate) fn open(
        store: Arc<Store>,
        trust_domain: &TrustDomain,
        ttl: Duration,
        roots: PathBuf,
    ) -> Result<Self, IssuerError> {
        let now = SystemTime::now();
        let mut authority = store.authority(trust_domain, now)?.with_max_ttl(ttl);
        if authority.needs_new_issuer(now) {
            authority = renewed(&authority, &store, now)?;
        }
        write_roots(&roots, &authority.bundle()?.to_pem())?;
        let own = own(&authority, now)?;
        Ok(Self {
            store,
            authority: ArcSwap::from_pointee(authority),
            own: ArcSwap::from_pointee(own),
            ttl,
            roots,
        })
    }

    /// Certifies the key of a request for a proven name.
    pub(crate) fn sign(&self, csr: &str, caller: &SpiffeId, ttl: Duration) -> Result<Issued, SignError> {
        self.authority.load().sign(csr, caller, SystemTime::now(), ttl)
    }

    /// Is this the control plane's own name, which nobody else may have?
    pub(crate) fn is_own(&self, id: &SpiffeId) -> bool {
        *id == *self.own.load().svid.id()
    }

    /// For accepting proxies.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        self.own.load().server.clone()
    }

    /// End of the control plane's own certificate.
    pub(crate) fn own_not_after(&self) -> SystemTime {
        self.own.load().svid.not_after()
    }

    /// End of the authority's own chain.
    pub(crate) fn authority_not_after(&self) -> SystemTime {
        self.authority.load().not_after()
    }

    /// Renews the issuer and the own certificate when they are due, until stopped.
    pub(crate) async fn keep(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let due = self.own.load().svid.renew_at(rand::random());
            while let Ok(left) = due.duration_since(SystemTime::now()) {
                tokio::select! {
                    () = tokio::time::sleep(left.min(LOOK_AGAIN)) => {}
                    () = stop.cancelled() => return,
                }
            }
            let issuer = self.clone();
            match tokio::task::spawn_blocking(move || issuer.renew()).await {
                Ok(Ok(())) => tracing::info!("own certificate renewed"),
                Ok(Err(error)) => {
                    tracing::error!(%error, cause = ?std::error::Error::source(&error), "own certificate not renewed");
                    tokio::select! {
                        () = tokio::time::sleep(TRY_AGAIN) => {}
                        () = stop.cancelled() => return,
                    }
                }
                Err(_) => return,
            }
        }
    }

    /// A new certificate of our own, and a new issuer before it when half the old one's life is over.
    pub(crate) fn renew(&self) -> Result<(), IssuerError> {
        let now = SystemTime::now();
        let current = self.authority.load();
        if current.needs_new_issuer(now) {
            let authority = renewed(&current, &self.store, now)?.with_max_ttl(self.ttl);
            write_roots(&self.roots, &authority.bundle()?.to_pem())?;
            self.authority.store(Arc::new(authority));
        }
        self.own.store(Arc::new(own(&self.authority.load(), now)?));
        Ok(())
    }
}

fn renewed(authority: &Authority, store: &Store, now: SystemTime) -> Result<Authority, IssuerError> {
    let renewed = authority.renewed(now)?;
    store.keep_authority(&renewed)?;
    tracing::info!("the authority has a new issuer");
    Ok(renewed)
}

fn own(authority: &Authority, now: SystemTime) -> Result<Own, IssuerError> {
    let id = SpiffeId::new(authority.trust_domain(), OWN.0, OWN.1)?;
    let request = SvidRequest::new(&id)?;
    let issued = authority.sign(request.csr_pem(), &id, now, Duration::ZERO)?;
    let svid = request.into_svid(&issued.chain_pem())?;
    let bundles = Arc::new(BundleSet::only(authority.bundle()?));
    let server = TlsSettings::new(bundles, &[b"h2"]).server(&svid, ClientCertificates::Optional)?;
    Ok(Own { svid, server })
}

/// Replaces the file as a whole, so that a reader never sees half of it.
fn write_roots(path: &Path, pem: &str) -> Result<(), IssuerError> {
    replace(path, pem.as_bytes()).map_err(|error| IssuerError::Write(path.to_owned(), error))
}

/// Replaces a file that anyone may read, as a whole.
pub(crate) fn replace(path: &Path, contents: &[u8]) -> std::io::Result<()> {
    let mut next = path.as_os_str().to_owned();
    next.push(".new");
    let next = PathBuf::from(next);
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o644)
        .open(&next)?;
    file.write_all(contents)?;
    file.sync_all()?;
    std::fs::rename(&next, path)
}

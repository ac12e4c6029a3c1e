//! The authority in use, its rotation, and the control plane's own certificate that it signs.

mod change;
mod driver;
mod error;
mod files;
mod inventory;
mod own;
mod report;

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, UnixTime};
use tokio::sync::Notify;
use wattle_identity::{
    BundleSet, Issued, JoinToken, Peer, Purpose, Rejection, Replaced, RevocationLists, RotationError,
    SignError, SpiffeId, Stage, Succession, TrustBundle, TrustDomain, verify_peer,
};
use wattle_model::Trust;
use wattle_net::Clock;

use crate::config::TrustSettings;
use crate::store::{RedeemError, Store, StoreError};
pub use error::IssuerError;
use files::Files;
pub(crate) use inventory::Connected;
use inventory::Inventory;
use own::Own;

/// Namespace and service account of the control plane's own name.
const OWN: (&str, &str) = ("wattle-system", "wattle-control");

/// Signs, and proves who the control plane is.
pub(crate) struct Issuer {
    clock: Clock,
    store: Arc<Store>,
    inventory: Inventory,
    id: SpiffeId,
    /// Read while a certificate is signed and written down, so that no step of a rotation falls in between.
    current: RwLock<Current>,
    files: Mutex<Files>,
    /// None while the authority has ended.
    own: ArcSwapOption<Own>,
    trust: ArcSwap<Trust>,
    aliases: Vec<Arc<str>>,
    roots: PathBuf,
    changed: Notify,
}

/// Whom to believe now, and who signs.
struct Current {
    succession: Succession,
    /// Roots that the issuer's files name besides.
    beside: Option<TrustBundle>,
    /// Roots of another authority of the same trust domain.
    accepted: Option<TrustBundle>,
    federated: Vec<TrustBundle>,
    revoked: RevocationLists,
    bundle: TrustBundle,
    bundle_id: String,
    /// The same with what is revoked: whom we believe as callers.
    callers: BundleSet,
    /// What depends on all that is to be made again.
    stale: bool,
}

/// How a caller is known.
pub(crate) enum Proof {
    /// By the certificate of its connection with its chain, leaf first.
    Certificate(Arc<[CertificateDer<'static>]>),
    Token(JoinToken),
}

/// Why a certificate was not given.
#[derive(Debug)]
pub(crate) enum NotIssued {
    Token(wattle_identity::TokenError),
    Certificate(Rejection),
    Sign(SignError),
    Store(StoreError),
}

impl Issuer {
    /// Takes the authority from the store, making it when there is none, and writes its roots to `roots`. One that has ended
    /// does not sign until it is repaired.
    pub(crate) fn open(
        store: Arc<Store>,
        trust_domain: &TrustDomain,
        settings: &TrustSettings,
        roots: PathBuf,
        clock: Clock,
    ) -> Result<Self, IssuerError> {
        let now = clock.now();
        let is_new = !store.has_authority(trust_domain)?;
        let succession = store.succession(trust_domain, settings.lifetimes, now)?;
        // Before there was a book, certificates of at most this life were given.
        let missing = if is_new {
            Duration::ZERO
        } else {
            settings.lifetimes.workload
        };
        let inventory = Inventory::open(store.clone(), unix_secs(now + missing))?;
        let bundle = succession.bundle()?;
        let issuer = Self {
            clock,
            store,
            inventory,
            id: SpiffeId::new(trust_domain, OWN.0, OWN.1)?,
            files: Mutex::new(Files::new(trust_domain, settings)?),
            own: ArcSwapOption::empty(),
            trust: ArcSwap::from_pointee(Trust::default()),
            aliases: settings.aliases.clone(),
            current: RwLock::new(Current {
                bundle_id: bundle.id(),
                succession,
                beside: None,
                accepted: None,
                federated: Vec::new(),
                revoked: RevocationLists::default(),
                callers: BundleSet::only(bundle.clone()),
                bundle,
                stale: true,
            }),
            roots,
            changed: Notify::new(),
        };
        issuer.start(is_new, now)?;
        Ok(issuer)
    }

    /// Reads the files for the first time: an issuer in them that cannot be used is an error, unless another is in force.
    fn start(&self, is_new: bool, now: SystemTime) -> Result<(), IssuerError> {
        let mut current = self.write();
        let mut news = self.files().news(now);
        if is_new && let Some(plugged) = news.issuer.take() {
            // Nobody knows the one that was just made: it need not be rotated away.
            let domain = self.id.trust_domain();
            tracing::info!(
                domain,
                issuer = plugged.authority.issuer_id(),
                "the issuer of the files signs"
            );
            let lifetimes = current.succession.signing().lifetimes();
            let fresh = Succession::new(plugged.authority.with_lifetimes(lifetimes));
            self.store.keep_succession(&fresh)?;
            current.succession = fresh;
            current.beside = Some(plugged.roots);
        }
        self.take(&mut current, news, now)?;
        if let Some(what) = current.succession.due(now) {
            let next = current.succession.begin(what, false, now)?;
            self.go_on(&mut current, next)?;
        }
        self.refresh(&mut current, now)
    }

    /// Certifies the key of a request for whom the proof names, and writes it down.
    pub(crate) fn issue(&self, proof: &Proof, csr: &str, ttl: Duration) -> Result<Issued, NotIssued> {
        let current = self.read();
        let (now, signing) = (self.clock.now(), current.succession.signing());
        let (issued, id, shown) = match proof {
            Proof::Certificate(chain) => {
                let peer = current.verified(chain, now).map_err(NotIssued::Certificate)?;
                let issued = signing.sign(csr, peer.id(), now, ttl).map_err(NotIssued::Sign)?;
                (issued, peer.id().clone(), Some(peer.serial().to_owned()))
            }
            Proof::Token(token) => {
                let sign = |id: &SpiffeId| signing.sign(csr, id, now, ttl).map(|issued| (issued, id.clone()));
                let (issued, id) = self.store.redeem(token, now, sign).map_err(|error| match error {
                    RedeemError::Token(error) => NotIssued::Token(error),
                    RedeemError::Use(error) => NotIssued::Sign(error),
                    RedeemError::Store(error) => NotIssued::Store(error),
                })?;
                (issued, id, None)
            }
        };
        self.inventory
            .record(
                (&issued, &id),
                shown.as_deref(),
                &current.bundle_id,
                unix_secs(now),
            )
            .map_err(NotIssued::Store)?;
        Ok(issued.with_roots(&current.bundle))
    }

    /// Is this the control plane's own name, which nobody else may have?
    pub(crate) fn is_own(&self, id: &SpiffeId) -> bool {
        *id == self.id
    }

    /// For accepting proxies; none while the authority has ended.
    pub(crate) fn server(&self) -> Option<Arc<ServerConfig>> {
        self.own.load().as_ref().map(|own| own.server.clone())
    }

    /// End of the control plane's own certificate; 1970 without one.
    pub(crate) fn own_not_after(&self) -> SystemTime {
        self.own
            .load()
            .as_ref()
            .map_or(UNIX_EPOCH, |own| own.svid.not_after())
    }

    /// End of the authority's own chain.
    pub(crate) fn authority_not_after(&self) -> SystemTime {
        self.read().succession.signing().not_after()
    }

    /// Whom proxies are to believe.
    pub(crate) fn trust(&self) -> Arc<Trust> {
        self.trust.load_full()
    }

    /// Begins to replace issuer or root.
    pub(crate) fn rotate(&self, what: Replaced, skips_absent: bool) -> Result<(), IssuerError> {
        self.check_owned()?;
        let now = self.clock.now();
        let mut current = self.write();
        let next = current.succession.begin(what, skips_absent, now)?;
        tracing::info!(?what, "rotation begins");
        self.go_on(&mut current, next)?;
        self.refresh(&mut current, now)
    }

    /// Starts anew after the authority has ended.
    pub(crate) fn repair(&self) -> Result<(), IssuerError> {
        self.check_owned()?;
        let now = self.clock.now();
        let mut current = self.write();
        let next = current.succession.repaired(now)?;
        tracing::warn!("the authority had ended and is made anew");
        self.go_on(&mut current, next)?;
        self.refresh(&mut current, now)
    }

    /// A new certificate of our own, and whatever else is due.
    pub(crate) fn renew(&self) -> Result<(), IssuerError> {
        let now = self.clock.now();
        let mut current = self.write();
        if let Some(what) = current.succession.due(now) {
            let next = current.succession.begin(what, false, now)?;
            self.go_on(&mut current, next)?;
        }
        self.refresh(&mut current, now)
    }

    /// What comes from files is replaced there.
    fn check_owned(&self) -> Result<(), IssuerError> {
        match self.files().has_issuer() {
            true => Err(RotationError::Plugged.into()),
            false => Ok(()),
        }
    }

    fn is_steady(&self) -> bool {
        self.read().succession.stage() == Stage::Steady
    }

    fn read(&self) -> RwLockReadGuard<'_, Current> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Current> {
        self.current.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn files(&self) -> std::sync::MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Current {
    /// Who the chain proves its holder to be by what is believed now: its connection may be older than that, and than a
    /// revocation.
    fn verified(&self, chain: &[CertificateDer<'_>], now: SystemTime) -> Result<Peer, Rejection> {
        let (leaf, intermediates) = chain.split_first().ok_or(Rejection::NoCertificate)?;
        let now = UnixTime::since_unix_epoch(now.duration_since(UNIX_EPOCH).unwrap_or_default());
        verify_peer(&self.callers, leaf, intermediates, Purpose::Client, now)?;
        Peer::from_chain(chain)
    }
}

/// Seconds since 1970.
pub(crate) fn unix_secs(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
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

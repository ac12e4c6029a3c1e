//! By what chain of certificates each peer proved who it is, kept while connections rest on it. When roots or revocations
//! change, each chain is verified anew, once, and the connections of one that is not believed any more end.

use std::cell::{OnceCell, RefCell};
use std::rc::{Rc, Weak};

use hashbrown::HashMap;
use rustls_pki_types::{CertificateDer, UnixTime};
use wattle_http::{Drain as HttpDrain, DrainSignal};
use wattle_identity::{BundleSet, Purpose, Rejection, peer_identity, verify_peer};
use wattle_net::tls::Tie;
use wattle_net::{Drain, Draining, Stream};
use wattle_telemetry::{Family, Kind, Labels};

use super::Worker;
use crate::identity::Credentials;

static REJECTED: Family = Family {
    name: "wattle_peers_rejected_total",
    help: "Peers of open connections that were not believed any more when roots or revocations changed, by what they are and reason.",
    kind: Kind::Counter,
    hides_idle: false,
};

/// A peer's chain, leaf first.
type Chain = Rc<[CertificateDer<'static>]>;

/// The chain of one peer, shared by all its connections of one direction.
pub(crate) struct Proof {
    chain: Chain,
    purpose: Purpose,
    /// When it was verified first. It is judged by this time ever after, since connections outlive certificates.
    verified_at: UnixTime,
    drain: Drain,
    draining: Draining,
    /// Tells HTTP connections of the peer to finish; given when the worker drains as well.
    finish: DrainSignal,
    rejection: OnceCell<Rejection>,
}

impl Proof {
    fn new(purpose: Purpose, chain: Chain, worker: &Worker) -> Self {
        let now = worker.clock.wall();
        let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let (drain, draining) = Drain::new();
        let finish = DrainSignal::new();
        if worker.http_drain.subscribe().is_draining() {
            finish.drain();
        }
        Self {
            chain,
            purpose,
            verified_at: UnixTime::since_unix_epoch(since),
            drain,
            draining,
            finish,
            rejection: OnceCell::new(),
        }
    }

    /// Lets a connection rest on it: that ends when the proof does, after a time to finish.
    pub(crate) fn carry(self: &Rc<Self>, stream: &mut Stream) {
        stream.tie(Tie::new(&self.draining, self.clone()));
    }

    /// Hears when an HTTP connection of the peer has to finish.
    pub(crate) fn finishing(&self) -> HttpDrain {
        self.finish.subscribe()
    }

    /// Why the peer is not believed any more.
    pub(crate) fn rejection(&self) -> Option<&Rejection> {
        self.rejection.get()
    }

    /// Waits until the peer is not believed any more.
    pub(crate) async fn rejected(&self) -> &Rejection {
        self.draining.clone().started().await;
        match self.rejection() {
            Some(rejection) => rejection,
            None => std::future::pending().await,
        }
    }

    fn verify(&self, bundles: &BundleSet) -> Result<(), Rejection> {
        let (leaf, above) = self.chain.split_first().ok_or(Rejection::NoCertificate)?;
        verify_peer(bundles, leaf, above, self.purpose, self.verified_at).map(|_| ())
    }

    fn reject(self: Rc<Self>, worker: &Worker, rejection: Rejection) {
        let id = peer_identity(&self.chain).ok();
        tracing::info!(
            id = id.as_ref().map(tracing::field::display), peer_is = ?self.purpose, reason = rejection.id(),
            detail = %rejection, connections = self.drain.open(),
            "peer is not believed any more: its connections end"
        );
        let peer = match self.purpose {
            Purpose::Client => "client",
            Purpose::Server => "server",
        };
        let labels = Labels::new(&[("peer", peer), ("reason", rejection.id())]);
        worker.shard.counter(&REJECTED, &labels).increment();
        if self.rejection.set(rejection).is_err() {
            return;
        }
        self.finish.drain();
        let grace = worker.settings.drain_grace;
        tokio::task::spawn_local(async move { self.drain.run(grace).await });
    }
}

/// All that connections of one worker rest on: no more than there are connections, and those of the last second.
#[derive(Default)]
pub(crate) struct Proofs(RefCell<HashMap<(Purpose, Chain), Weak<Proof>>>);

impl Proofs {
    /// The proof of a peer whose handshake is done; `under` is what its chain was verified under. Where other roots or
    /// revocations came meanwhile, it is verified anew.
    pub(crate) fn of(
        &self,
        worker: &Worker,
        purpose: Purpose,
        chain: Vec<CertificateDer<'static>>,
        under: &Credentials,
    ) -> Result<Rc<Proof>, Rejection> {
        let key: (Purpose, Chain) = (purpose, chain.into());
        let known = self.0.borrow().get(&key).and_then(Weak::upgrade);
        let proof = match known.filter(|known| known.rejection().is_none()) {
            Some(known) => known,
            None => {
                let proof = Rc::new(Proof::new(purpose, key.1.clone(), worker));
                self.0.borrow_mut().insert(key, Rc::downgrade(&proof));
                proof
            }
        };
        match worker.credentials() {
            Some((now, _)) if now.bundles() != under.bundles() => proof.verify(now.bundles())?,
            _ => {}
        }
        Ok(proof)
    }

    /// Whom to believe has changed: verifies every chain anew, one at a time, so that traffic goes on in between.
    pub(crate) fn judge(&self, worker: &Worker) {
        let open = self.open();
        if open.is_empty() {
            return;
        }
        let worker = worker.weak();
        tokio::task::spawn_local(async move {
            for proof in open {
                if let Some(worker) = worker.upgrade() {
                    judge(&worker, proof);
                }
                tokio::task::yield_now().await;
            }
        });
    }

    /// Tells all HTTP connections to finish.
    pub(crate) fn finish(&self) {
        let open = self.open();
        open.iter()
            .filter_map(Weak::upgrade)
            .for_each(|proof| proof.finish.drain());
    }

    /// Forgets those that no connection rests on.
    pub(crate) fn sweep(&self) {
        self.0.borrow_mut().retain(|_, proof| proof.strong_count() > 0);
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// How many there are that are not believed any more and that connections still rest on.
    #[cfg(test)]
    pub(crate) fn rejected(&self) -> usize {
        let open = self.open().into_iter().filter_map(|proof| proof.upgrade());
        open.filter(|proof| proof.rejection().is_some()).count()
    }

    fn open(&self) -> Vec<Weak<Proof>> {
        self.0.borrow().values().cloned().collect()
    }
}

/// By what is believed now, which may be newer than the change that asked.
fn judge(worker: &Worker, proof: Weak<Proof>) {
    let (Some(proof), Some((now, _))) = (proof.upgrade(), worker.credentials()) else {
        return;
    };
    if proof.rejection().is_none()
        && let Err(rejection) = proof.verify(now.bundles())
    {
        proof.reject(worker, rejection);
    }
}

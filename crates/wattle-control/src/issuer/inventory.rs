//! Who holds which certificate, and who of them knows the newest roots.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wattle_identity::{Issued, Seen, SpiffeId};

use super::unix_secs;
use crate::store::{Leaf, Store, StoreError};

/// Most holders of certificates; a further one gets none.
const MAX_HOLDERS: usize = 100_000;
/// From so many on, ended ones are looked for when one is added.
const SWEEP_FROM: usize = 64;
/// Instead of a previous serial number.
const NONE: &str = "-";

/// The book of certificates given, in memory and in the store.
pub(crate) struct Inventory {
    store: Arc<Store>,
    book: Mutex<Book>,
    /// Certificates given before this time may be missing, seconds since 1970.
    complete_since: u64,
}

#[derive(Default)]
struct Book {
    leaves: HashMap<String, Leaf>,
    /// From the serial numbers that a holder may show.
    holders: HashMap<String, String>,
    /// Number of holders after the last sweep.
    swept: usize,
}

/// What a discovery stream says of its holder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Connected {
    /// Its name.
    pub(crate) id: SpiffeId,
    /// Serial number of the certificate that it was opened with.
    pub(crate) serial: Arc<str>,
    /// When that ends, seconds since 1970.
    pub(crate) not_after_secs: u64,
    /// It acknowledged the newest trust.
    pub(crate) acknowledged: bool,
}

impl Inventory {
    /// Reads the book; `or_since` is the time from which it is complete when there was none.
    pub(crate) fn open(store: Arc<Store>, or_since: u64) -> Result<Self, StoreError> {
        let complete_since = store.leaves_since(or_since)?;
        let mut book = Book::default();
        for leaf in store.leaves()? {
            book.enter(leaf);
        }
        Ok(Self {
            store,
            book: Mutex::new(book),
            complete_since,
        })
    }

    /// Writes a certificate down: for the holder of the one that was shown, else for a new holder.
    pub(crate) fn record(
        &self,
        (issued, id): (&Issued, &SpiffeId),
        shown: Option<&str>,
        bundle: &str,
        now_secs: u64,
    ) -> Result<(), StoreError> {
        let mut book = self.book();
        let ended = book.sweep(now_secs);
        let holder = shown.and_then(|serial| book.holders.get(serial).cloned());
        if holder.is_none() && book.leaves.len() >= MAX_HOLDERS {
            return Err(StoreError::TooManyHolders(MAX_HOLDERS));
        }
        let leaf = Leaf {
            holder: holder.unwrap_or_else(|| issued.serial().to_owned()),
            id: id.clone(),
            serial: issued.serial().to_owned(),
            previous: shown.unwrap_or(NONE).to_owned(),
            issuer: issued.issuer_id().to_owned(),
            bundle: bundle.to_owned(),
            issued_secs: now_secs,
            not_after_secs: unix_secs(issued.not_after()),
        };
        self.store.keep_leaf(&leaf, &ended)?;
        book.enter(leaf);
        Ok(())
    }

    /// The newest certificate of every holder that is valid now, by name.
    pub(crate) fn live(&self, now_secs: u64) -> Vec<Leaf> {
        let book = self.book();
        let live = book
            .leaves
            .values()
            .filter(|leaf| leaf.not_after_secs >= now_secs);
        let mut live: Vec<_> = live.cloned().collect();
        live.sort_by(|a, b| (a.id.as_str(), &a.serial).cmp(&(b.id.as_str(), &b.serial)));
        live
    }

    /// What a rotation waits for, and the names of those who do not know the newest roots.
    pub(crate) fn seen(
        &self,
        bundle: &str,
        connected: &[Connected],
        now_secs: u64,
    ) -> (Seen, BTreeSet<SpiffeId>) {
        let book = self.book();
        let (mut aware, mut present) = (BTreeSet::new(), BTreeSet::new());
        for stream in connected {
            let Some(holder) = book.holders.get(&*stream.serial) else {
                continue;
            };
            present.insert(holder);
            if stream.acknowledged {
                aware.insert(holder);
            }
        }
        let mut seen = Seen {
            incomplete: now_secs < self.complete_since,
            ..Seen::default()
        };
        let mut names = BTreeSet::new();
        for leaf in book
            .leaves
            .values()
            .filter(|leaf| leaf.not_after_secs >= now_secs)
        {
            let is_present = present.contains(&leaf.holder);
            seen.live_issuers.insert(leaf.issuer.clone());
            if is_present {
                seen.connected_issuers.insert(leaf.issuer.clone());
            }
            if leaf.bundle != bundle && !aware.contains(&leaf.holder) {
                seen.unaware += 1;
                seen.unaware_connected += usize::from(is_present);
                names.insert(leaf.id.clone());
            }
        }
        (seen, names)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn enter(&mut self, leaf: Leaf) {
        for serial in [&leaf.serial, &leaf.previous] {
            if serial != NONE {
                self.holders.insert(serial.clone(), leaf.holder.clone());
            }
        }
        if let Some(old) = self.leaves.insert(leaf.holder.clone(), leaf.clone()) {
            for serial in [old.serial, old.previous] {
                if serial != leaf.serial && serial != leaf.previous {
                    self.holders.remove(&serial);
                }
            }
        }
    }

    /// Forgets what has ended; gives the holders that are gone.
    fn sweep(&mut self, now_secs: u64) -> Vec<String> {
        if self.leaves.len() < SWEEP_FROM.max(self.swept * 2) && self.leaves.len() < MAX_HOLDERS {
            return Vec::new();
        }
        let ended: Vec<_> = self
            .leaves
            .values()
            .filter(|leaf| leaf.not_after_secs < now_secs)
            .cloned()
            .collect();
        for leaf in &ended {
            self.leaves.remove(&leaf.holder);
            self.holders.remove(&leaf.serial);
            self.holders.remove(&leaf.previous);
        }
        self.swept = self.leaves.len();
        ended.into_iter().map(|leaf| leaf.holder).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::{Duration, SystemTime};

    use wattle_identity::{Authority, SvidRequest, TrustDomain};

    use super::*;

    struct Bench {
        _directory: tempfile::TempDir,
        authority: Authority,
        inventory: Inventory,
        id: SpiffeId,
        now: SystemTime,
    }

    impl Bench {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let domain = TrustDomain::new("cluster.local").unwrap();
            let now = SystemTime::now();
            Self {
                authority: Authority::create(&domain, now).unwrap(),
                inventory: Inventory::open(Arc::new(Store::open(directory.path()).unwrap()), 0).unwrap(),
                id: SpiffeId::new(&domain, "shop", "web").unwrap(),
                now,
                _directory: directory,
            }
        }

        /// Gives a certificate to who shows this one; its serial number.
        fn give(&self, shown: Option<&str>, bundle: &str) -> String {
            let request = SvidRequest::new(&self.id).unwrap();
            let issued = self
                .authority
                .sign(request.csr_pem(), &self.id, self.now, Duration::ZERO)
                .unwrap();
            self.inventory
                .record((&issued, &self.id), shown, bundle, unix_secs(self.now))
                .unwrap();
            issued.serial().to_owned()
        }

        fn unaware(&self, streams: &[(&str, bool)]) -> (usize, usize) {
            let connected: Vec<_> = streams
                .iter()
                .map(|(serial, acknowledged)| Connected {
                    id: self.id.clone(),
                    not_after_secs: 0,
                    serial: (*serial).into(),
                    acknowledged: *acknowledged,
                })
                .collect();
            let (seen, _) = self.inventory.seen("new", &connected, unix_secs(self.now));
            (seen.unaware, seen.unaware_connected)
        }
    }

    #[test]
    fn a_holder_is_one_through_all_renewals() {
        let bench = Bench::new();
        let first = bench.give(None, "old");
        let second = bench.give(Some(&first), "old");
        assert_eq!(bench.inventory.live(unix_secs(bench.now)).len(), 1);
        // Its stream was opened with the certificate before.
        assert_eq!(bench.unaware(&[(&first, false)]), (1, 1));
        assert_eq!(bench.unaware(&[(&first, true)]), (0, 0));
        // The answer with the third is lost: it shows the second again.
        let _lost = bench.give(Some(&second), "old");
        let fourth = bench.give(Some(&second), "old");
        assert_eq!(bench.unaware(&[(&second, true)]), (0, 0));
        assert_eq!(bench.unaware(&[(&fourth, true)]), (0, 0));
        assert_eq!(bench.inventory.live(unix_secs(bench.now)).len(), 1);
    }

    #[test]
    fn who_got_the_new_roots_with_a_certificate_knows_them() {
        let bench = Bench::new();
        let first = bench.give(None, "old");
        assert_eq!(bench.unaware(&[]), (1, 0));
        bench.give(Some(&first), "new");
        assert_eq!(bench.unaware(&[]), (0, 0));
        let stranger = bench.give(None, "old");
        assert_eq!(bench.unaware(&[("7", true), (&stranger, false)]), (1, 1));
    }
}

//! Keys of token issuers: fetched, kept and handed to the hub, on a thread of their own.
//!
//! Addresses come from what people write, so [`guard`] says where a fetch may lead, and [`shares`] how many there may be;
//! [`schedule`] says when one is due, and [`fetch`] does it.

mod fetch;
mod guard;
mod schedule;
mod shares;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use wattle_compile::KeyAddress;
use wattle_model::IpBlock;
use wattle_net::Clock;

use crate::hub::HubHandle;
use crate::store::Store;
use fetch::{FetchError, Fetcher, Wish};
use schedule::{Known, MAX_AGE};
use shares::Shares;

/// Most fetches at once.
const MAX_FETCHES: usize = 8;

/// How keys of issuers are fetched.
#[derive(Clone, Debug)]
pub struct KeySettings {
    /// Time from one fetch to the next; default 20 min (Istio).
    pub refresh: Duration,
    /// Addresses that may be asked though they are loopback, link-local or a cloud's metadata; default none.
    pub allow: Vec<IpBlock>,
    /// Addresses besides loopback that may answer in plaintext (`http://`); default none.
    pub plaintext: Vec<IpBlock>,
    /// PEM file with authorities that are trusted besides the system's.
    pub roots: Option<PathBuf>,
}

impl Default for KeySettings {
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(20 * 60),
            allow: Vec::new(),
            plaintext: Vec::new(),
            roots: None,
        }
    }
}

/// Every address that keys are wanted from.
pub(crate) type Wanted = BTreeMap<Arc<str>, KeyAddress>;

/// Keys of an address as they are kept: the text, and when it was fetched in seconds since 1970.
pub(crate) type Kept = (Arc<str>, u64);

/// What the hub is told of an address.
pub(crate) struct Told {
    pub(crate) address: Arc<str>,
    pub(crate) keys: Option<Arc<str>>,
    pub(crate) problem: Option<String>,
}

/// What a fetcher starts with.
pub(crate) struct Parts {
    pub(crate) settings: KeySettings,
    pub(crate) clock: Clock,
    pub(crate) hub: HubHandle,
    pub(crate) store: Arc<Store>,
    pub(crate) wanted: watch::Receiver<Wanted>,
    /// What an earlier run fetched.
    pub(crate) kept: BTreeMap<Arc<str>, Kept>,
}

/// Starts the thread; it ends when stopped.
pub(crate) fn spawn(parts: Parts, stop: CancellationToken) -> io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::Builder::new()
        .name("wattle-keys".to_owned())
        .spawn(move || {
            let keeper = Keeper::new(parts);
            let run = async move {
                tokio::select! {
                    () = keeper.run() => {}
                    () = stop.cancelled() => {}
                }
            };
            LocalSet::new().block_on(&runtime, run);
        })
}

/// An address, and its key set.
type Fetched = (Arc<str>, Result<Arc<str>, FetchError>);

struct Keeper {
    refresh: Duration,
    clock: Clock,
    hub: HubHandle,
    store: Arc<Store>,
    wanted: watch::Receiver<Wanted>,
    fetcher: Rc<Fetcher>,
    shares: Shares,
    known: BTreeMap<Arc<str>, Known>,
    under_way: JoinSet<Fetched>,
    kept: BTreeMap<Arc<str>, Kept>,
}

impl Keeper {
    fn new(parts: Parts) -> Self {
        Self {
            refresh: parts.settings.refresh,
            fetcher: Rc::new(Fetcher::new(&parts.settings, &parts.clock)),
            clock: parts.clock,
            hub: parts.hub,
            store: parts.store,
            wanted: parts.wanted,
            shares: Shares::default(),
            known: BTreeMap::new(),
            under_way: JoinSet::new(),
            kept: parts.kept,
        }
    }

    async fn run(mut self) {
        self.follow().await;
        loop {
            self.begin();
            let due = self.next_due();
            tokio::select! {
                changed = self.wanted.changed() => match changed {
                    Ok(()) => self.follow().await,
                    Err(_) => return,
                },
                Some(Ok((address, fetched))) = self.under_way.join_next() => self.take(address, fetched).await,
                () = at(due) => {}
            }
        }
    }

    /// Forgets addresses that nobody wants any more, and takes new ones in.
    async fn follow(&mut self) {
        let wanted = self.wanted.borrow_and_update().clone();
        for (address, problem) in self.shares.follow(&wanted) {
            self.tell(&address, None, Some(problem)).await;
        }
        self.known.retain(|address, _| self.shares.has(address));
        let now = Instant::now();
        for address in self.shares.addresses() {
            let kept = &mut self.kept;
            let known = self.known.entry(address.clone());
            let known = known.or_insert_with(|| Known::new(kept.remove(address), now));
            known.believe(wanted.get(address).is_some_and(|wish| wish.plaintext), now);
        }
    }

    /// Begins the fetches that are due.
    fn begin(&mut self) {
        let now = Instant::now();
        let wanted = self.wanted.borrow().clone();
        for (address, known) in &mut self.known {
            if self.under_way.len() >= MAX_FETCHES {
                return;
            }
            if !known.is_due(now) {
                continue;
            }
            known.begun();
            let wish = wanted.get(address);
            let wish = Wish {
                limit: wish.map_or(Duration::ZERO, |wish| wish.time),
                plaintext: wish.is_some_and(|wish| wish.plaintext),
            };
            let (fetcher, address) = (self.fetcher.clone(), address.clone());
            self.under_way.spawn_local(async move {
                let fetched = fetcher.key_set(&address, wish).await;
                (address, fetched)
            });
        }
    }

    fn next_due(&self) -> Option<Instant> {
        if self.under_way.len() >= MAX_FETCHES {
            return None;
        }
        self.known.values().filter_map(Known::due).min()
    }

    async fn take(&mut self, address: Arc<str>, fetched: Result<Arc<str>, FetchError>) {
        let (now, wall) = (Instant::now(), self.clock.unix_secs());
        if let Ok(keys) = &fetched {
            self.keep(&address, (keys.clone(), wall));
        }
        let Some(known) = self.known.get_mut(&address) else {
            return;
        };
        let problem = match fetched {
            Ok(keys) => {
                known.fetched(keys, wall, now + self.refresh);
                None
            }
            Err(error) => {
                if matches!(error, FetchError::Plaintext) {
                    known.disbelieve();
                }
                known.failed(wall, now, self.refresh);
                Some(problem(&address, &error, known.age(wall)))
            }
        };
        let keys = known.keys();
        self.tell(&address, keys, problem).await;
    }

    async fn tell(&self, address: &Arc<str>, keys: Option<Arc<str>>, problem: Option<String>) {
        let told = Told {
            address: address.clone(),
            keys,
            problem,
        };
        // A hub that is gone needs no keys.
        let _ = self.hub.ask(move |hub| hub.learn_keys(told)).await;
    }

    /// For the next start; a failure costs a fetch then.
    fn keep(&self, address: &Arc<str>, kept: Kept) {
        let (store, address) = (self.store.clone(), address.clone());
        let wanted: Vec<Arc<str>> = self.known.keys().cloned().collect();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = store.keep_key_set(&address, &kept, &wanted) {
                tracing::error!(%error, %address, "keys could not be kept");
            }
        });
    }
}

/// What is said of keys that could not be fetched, with the age of those there are, in seconds.
fn problem(address: &str, error: &FetchError, age: Option<u64>) -> String {
    let error = error.told();
    tracing::warn!(address, error, "keys could not be fetched");
    let left = match age {
        Some(age) => format!("those of {} min ago stay in use, at most 7 days", age / 60),
        None => "tokens are refused".to_owned(),
    };
    format!("keys could not be fetched from {address}: {error}; {left}")
}

/// Those of an earlier run that may still be used.
pub(crate) fn restored(store: &Store, clock: &Clock) -> BTreeMap<Arc<str>, Kept> {
    let now = clock.unix_secs();
    match store.key_sets() {
        Ok(mut kept) => {
            kept.retain(|_, (_, fetched)| now.saturating_sub(*fetched) < MAX_AGE.as_secs());
            kept
        }
        Err(error) => {
            tracing::warn!(%error, "keys of an earlier run cannot be read");
            BTreeMap::new()
        }
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

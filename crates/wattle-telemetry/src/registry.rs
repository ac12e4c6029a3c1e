//! All series of a process: where workers get slots and where a scrape reads them.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::edge::Edge;
use crate::family::{Family, Kind, standard};
use crate::labels::Labels;
use crate::shard::Shard;
use crate::slot::HistogramSlot;
use crate::table::Table;
use crate::view::EdgeSlot;

/// Refusals between two attempts to make room, since each attempt looks at every series.
const RECLAIM_EVERY: u64 = 256;

/// The bounds of a [`Registry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Series, a histogram counting as one; default 10,000. Beyond, an edge counts under `response_code="other"`, for which a tenth more is
    /// set aside; beyond that, a family counts everything new under one series with the label `overflow="true"`. Nothing goes uncounted.
    pub series: usize,
    /// Scrapes without a change after which a series is idle; default 240, an hour at 15 s. One that no worker holds is then forgotten: it has
    /// been told in full, and starts from zero should it return. One that is held is left out of the text if its family says so, and
    /// returns with its full count.
    pub idle_scrapes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            series: 10_000,
            idle_scrapes: 240,
        }
    }
}

/// What names a series within its family: labels that several series share, and its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) shared: Labels,
    pub(crate) own: Labels,
}

impl Key {
    fn overflow() -> Self {
        Self {
            shared: Labels::default(),
            own: Labels::new(&[("overflow", "true")]),
        }
    }
}

/// What a new series may use of the budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Budget {
    Ordinary,
    /// What was set aside for an edge's `response_code="other"`.
    Reserve,
}

#[derive(Debug)]
pub(crate) enum Tables {
    Counter(Table<Key, AtomicU64>),
    Gauge(Table<Key, AtomicI64>),
    Histogram(Table<Key, HistogramSlot>),
}

#[derive(Debug)]
pub(crate) struct FamilyTable {
    pub(crate) family: &'static Family,
    pub(crate) tables: Mutex<Tables>,
}

/// The series of a process. Locks are taken to get a handle and to scrape, and never while text is written.
#[derive(Debug)]
pub struct Registry {
    pub(crate) limits: Limits,
    pub(crate) families: Mutex<Vec<Arc<FamilyTable>>>,
    pub(crate) edges: Mutex<Table<Arc<Edge>, EdgeSlot>>,
    pub(crate) used: AtomicUsize,
    dropped: AtomicU64,
    refusals: AtomicU64,
    reclaim_due: AtomicBool,
    pub(crate) scraped: AtomicBool,
}

impl Registry {
    /// An empty registry.
    #[must_use]
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            families: Mutex::default(),
            edges: Mutex::new(Table::new()),
            used: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            refusals: AtomicU64::new(0),
            reclaim_due: AtomicBool::new(false),
            scraped: AtomicBool::new(false),
        })
    }

    /// The calling thread's access; each worker makes its own.
    #[must_use]
    pub fn shard(self: &Arc<Self>) -> Shard {
        Shard::new(Arc::clone(self))
    }

    /// How many series there are.
    #[must_use]
    pub fn series(&self) -> usize {
        self.used.load(Relaxed)
    }

    /// How many times a new series had to be counted under an overflow series.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    pub(crate) fn counter(
        &self,
        family: &'static Family,
        key: &Key,
        budget: Budget,
    ) -> Option<Arc<AtomicU64>> {
        self.with_table(family, |tables| match tables {
            Tables::Counter(table) => self.slot(table, key, AtomicU64::default, budget),
            _ => None,
        })
    }

    pub(crate) fn gauge(&self, family: &'static Family, key: &Key) -> Option<Arc<AtomicI64>> {
        self.with_table(family, |tables| match tables {
            Tables::Gauge(table) => self.slot(table, key, AtomicI64::default, Budget::Ordinary),
            _ => None,
        })
    }

    pub(crate) fn histogram(
        &self,
        family: &'static Family,
        key: &Key,
        budget: Budget,
    ) -> Option<Arc<HistogramSlot>> {
        let Kind::Histogram(bounds) = family.kind else {
            return None;
        };
        self.with_table(family, |tables| match tables {
            Tables::Histogram(table) => self.slot(table, key, || HistogramSlot::new(bounds), budget),
            _ => None,
        })
    }

    /// A slot of an edge's summary; `None` when the budget is spent.
    pub(crate) fn edge(&self, edge: &Arc<Edge>) -> Option<Arc<EdgeSlot>> {
        let room = || self.room(Budget::Ordinary);
        let slot = lock(&self.edges).slot(edge, EdgeSlot::default, room);
        if slot.is_none() {
            self.count_dropped();
            self.reclaim_when_due();
        }
        slot
    }

    /// Whether an ordinary series more would fit, now and then after making room for it; holds no lock.
    pub(crate) fn has_room(&self) -> bool {
        let room = || self.used.load(Relaxed) < self.limits.series;
        if room() {
            return true;
        }
        self.note_refusal();
        self.reclaim_when_due();
        room()
    }

    /// A slot of the series, or of the family's overflow series when the budget is spent.
    fn slot<S: crate::slot::Slot>(
        &self,
        table: &mut Table<Key, S>,
        key: &Key,
        make: impl Fn() -> S,
        budget: Budget,
    ) -> Option<Arc<S>> {
        if let Some(slot) = table.slot(key, &make, || self.room(budget)) {
            return Some(slot);
        }
        self.count_dropped();
        // The overflow series is beyond the budget: one per family, whose number the code bounds.
        table.slot(&Key::overflow(), &make, || {
            self.used.fetch_add(1, Relaxed);
            true
        })
    }

    fn room(&self, budget: Budget) -> bool {
        let limit = match budget {
            Budget::Ordinary => self.limits.series,
            Budget::Reserve => self.limits.series.saturating_add(self.limits.series / 10),
        };
        // Threads that ask at the same time may exceed the limit by one each.
        let room = self.used.load(Relaxed) < limit;
        if room {
            self.used.fetch_add(1, Relaxed);
        }
        room
    }

    /// Counts a series that did not fit.
    pub(crate) fn count_dropped(&self) {
        self.dropped.fetch_add(1, Relaxed);
        self.note_refusal();
    }

    fn note_refusal(&self) {
        if self.refusals.fetch_add(1, Relaxed).is_multiple_of(RECLAIM_EVERY) {
            self.reclaim_due.store(true, Relaxed);
        }
    }

    /// Forgets what nobody holds and was told in full; to be called without any lock, since it takes each in turn.
    fn reclaim_when_due(&self) {
        if !self.reclaim_due.swap(false, Relaxed) {
            return;
        }
        let scraped = self.scraped.load(Relaxed);
        let mut freed = lock(&self.edges).reclaim(scraped);
        let families = lock(&self.families).clone();
        for table in families {
            freed += match &mut *lock(&table.tables) {
                Tables::Counter(table) => table.reclaim(scraped),
                Tables::Gauge(table) => table.reclaim(scraped),
                Tables::Histogram(table) => table.reclaim(scraped),
            };
        }
        self.used.fetch_sub(freed, Relaxed);
    }

    /// Runs on the family's table; `None` also when its name belongs to a family of another kind.
    fn with_table<R>(
        &self,
        family: &'static Family,
        run: impl FnOnce(&mut Tables) -> Option<R>,
    ) -> Option<R> {
        let table = {
            let mut families = lock(&self.families);
            let known = families.iter().find(|table| table.family.name == family.name);
            known.cloned().unwrap_or_else(|| {
                let table = Arc::new(FamilyTable::new(family));
                families.push(Arc::clone(&table));
                table
            })
        };
        if table.family != family {
            self.count_dropped();
            return None;
        }
        let found = run(&mut lock(&table.tables));
        self.reclaim_when_due();
        found
    }

    /// The family that tells how often the budget was spent, which is no series of any worker.
    pub(crate) fn dropped_family() -> &'static Family {
        &standard::SERIES_DROPPED
    }
}

impl FamilyTable {
    fn new(family: &'static Family) -> Self {
        Self {
            family,
            tables: Mutex::new(match family.kind {
                Kind::Counter => Tables::Counter(Table::new()),
                Kind::Gauge => Tables::Gauge(Table::new()),
                Kind::Histogram(_) => Tables::Histogram(Table::new()),
            }),
        }
    }
}

/// A panic elsewhere leaves counts whole, so a poisoned lock is taken all the same.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

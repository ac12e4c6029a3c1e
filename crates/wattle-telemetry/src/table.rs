//! The series of one family: whose slots they sum, and when they are left out or forgotten.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use crate::slot::Slot;

/// One series: the slots that threads write, and what is left of those whose writers are gone.
#[derive(Debug)]
struct Series<S: Slot> {
    slots: Vec<Arc<S>>,
    retired: S::Total,
    /// The total at the last scrape; none before the first.
    scraped: Option<S::Total>,
    /// Scrapes since the total last changed.
    idle: u32,
}

impl<S: Slot> Series<S> {
    fn new() -> Self {
        Self {
            slots: Vec::new(),
            retired: S::Total::default(),
            scraped: None,
            idle: 0,
        }
    }

    /// Folds slots whose writer is gone into one number, so that config that comes and goes costs no memory.
    fn fold(&mut self) {
        let retired = &mut self.retired;
        self.slots.retain_mut(|slot| {
            // Unique means that no handle is left; it also makes the last write visible here.
            let gone = Arc::get_mut(slot).is_some();
            if gone {
                slot.retire(retired);
            }
            !gone
        });
    }

    fn total(&mut self) -> S::Total {
        self.fold();
        let mut total = self.retired.clone();
        for slot in &self.slots {
            slot.gather(&mut total);
        }
        total
    }

    fn age(&mut self, total: &S::Total) {
        if self.scraped.as_ref() == Some(total) {
            self.idle = self.idle.saturating_add(1);
        } else {
            self.idle = 0;
            self.scraped = Some(total.clone());
        }
    }
}

/// All series of one family by their key.
#[derive(Debug)]
pub(crate) struct Table<K, S: Slot> {
    series: HashMap<K, Series<S>>,
}

/// When a scrape leaves a series out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ageing {
    /// Scrapes without change after which a series that nobody holds is forgotten.
    pub(crate) idle_scrapes: u32,
    /// Whether one that is held is left out then, too.
    pub(crate) hides_idle: bool,
}

impl<K: Clone + Eq + Hash, S: Slot> Table<K, S> {
    pub(crate) fn new() -> Self {
        Self {
            series: HashMap::new(),
        }
    }

    /// Adds a slot to a series; `room` is asked only when the series is new, and `None` means it said no.
    pub(crate) fn slot(
        &mut self,
        key: &K,
        make: impl FnOnce() -> S,
        room: impl FnOnce() -> bool,
    ) -> Option<Arc<S>> {
        if !self.series.contains_key(key) && !room() {
            return None;
        }
        let series = self.series.entry(key.clone()).or_insert_with(Series::new);
        series.fold();
        let slot = Arc::new(make());
        series.slots.push(Arc::clone(&slot));
        Some(slot)
    }

    /// The totals to show, and how many series were forgotten.
    pub(crate) fn scrape(&mut self, ageing: Ageing) -> (Vec<(K, S::Total)>, usize) {
        let before = self.series.len();
        let mut shown = Vec::with_capacity(before);
        self.series.retain(|key, series| {
            let total = series.total();
            series.age(&total);
            let held = !series.slots.is_empty();
            let idle = series.idle > ageing.idle_scrapes;
            if !idle || (held && !ageing.hides_idle) {
                shown.push((key.clone(), total));
            }
            held || !idle
        });
        (shown, before - self.series.len())
    }

    /// The totals as they are, ageing nothing.
    pub(crate) fn totals(&mut self) -> Vec<(K, S::Total)> {
        self.series
            .iter_mut()
            .map(|(key, series)| (key.clone(), series.total()))
            .collect()
    }

    /// Forgets what nobody holds and no scrape would learn anything new from; returns how many series that were.
    pub(crate) fn reclaim(&mut self, ever_scraped: bool) -> usize {
        let before = self.series.len();
        self.series.retain(|_, series| {
            let total = series.total();
            let told = !ever_scraped || series.scraped.as_ref() == Some(&total);
            !(series.slots.is_empty() && told)
        });
        before - self.series.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    #[test]
    fn slots_whose_writer_is_gone_are_folded_when_the_next_comes() {
        let mut table: Table<u8, AtomicU64> = Table::new();
        for _ in 0..100 {
            if let Some(slot) = table.slot(&1, AtomicU64::default, || true) {
                slot.store(2, Relaxed);
            }
        }
        assert_eq!(table.series[&1].slots.len(), 1);
        assert_eq!(table.totals(), [(1, 200)]);
    }

    #[test]
    fn what_changed_since_the_last_scrape_is_not_reclaimed() {
        let mut table: Table<u8, AtomicU64> = Table::new();
        let ageing = Ageing {
            idle_scrapes: 5,
            hides_idle: true,
        };
        drop(table.slot(&1, AtomicU64::default, || true));
        table.scrape(ageing);
        let late = table.slot(&2, AtomicU64::default, || true);
        drop(late);
        assert_eq!(table.reclaim(true), 1);
        assert_eq!(table.totals(), [(2, 0)]);
    }
}

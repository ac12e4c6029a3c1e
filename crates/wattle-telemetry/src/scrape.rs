//! What a scrape takes out of a registry, under a lock per family that is held only while numbers are copied.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use crate::edge::Edge;
use crate::family::Family;
use crate::registry::{FamilyTable, Key, Registry, Tables, lock};
use crate::slot::HistogramTotal;
use crate::table::Ageing;
use crate::view::EdgeTotal;

/// The series of one scraped family, in the order of their labels.
#[derive(Debug)]
pub(crate) enum Scraped {
    Counter(Vec<(Key, u64)>),
    Gauge(Vec<(Key, i64)>),
    Histogram(Vec<(Key, HistogramTotal)>),
}

impl Registry {
    /// Each family with what is to be shown of it; counts as a scrape.
    pub(crate) fn scrape(&self) -> impl Iterator<Item = (&'static Family, Scraped)> {
        self.scraped.store(true, Relaxed);
        let mut families = lock(&self.families).clone();
        families.sort_by_key(|table| table.family.name);
        let (_, forgotten) = lock(&self.edges).scrape(self.ageing(true));
        self.used.fetch_sub(forgotten, Relaxed);
        families.into_iter().map(|table| self.scrape_family(&table))
    }

    /// The summary of each edge.
    pub(crate) fn edges(&self) -> Vec<(Arc<Edge>, EdgeTotal)> {
        lock(&self.edges).totals()
    }

    fn scrape_family(&self, table: &FamilyTable) -> (&'static Family, Scraped) {
        let ageing = self.ageing(table.family.hides_idle);
        let (mut scraped, forgotten) = match &mut *lock(&table.tables) {
            Tables::Counter(table) => wrap(table.scrape(ageing), Scraped::Counter),
            Tables::Gauge(table) => wrap(table.scrape(ageing), Scraped::Gauge),
            Tables::Histogram(table) => wrap(table.scrape(ageing), Scraped::Histogram),
        };
        self.used.fetch_sub(forgotten, Relaxed);
        match &mut scraped {
            Scraped::Counter(series) => series.sort_by(|left, right| left.0.cmp(&right.0)),
            Scraped::Gauge(series) => series.sort_by(|left, right| left.0.cmp(&right.0)),
            Scraped::Histogram(series) => series.sort_by(|left, right| left.0.cmp(&right.0)),
        }
        (table.family, scraped)
    }

    fn ageing(&self, hides_idle: bool) -> Ageing {
        Ageing {
            idle_scrapes: self.limits.idle_scrapes,
            hides_idle,
        }
    }
}

fn wrap<T>((series, forgotten): (Vec<T>, usize), kind: fn(Vec<T>) -> Scraped) -> (Scraped, usize) {
    (kind(series), forgotten)
}

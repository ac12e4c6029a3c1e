//! The numbers themselves: each slot is written by one thread and read by the scraper.
//!
//! A handle cannot leave its thread, so adding is a load and a store without a locked instruction, and nothing is lost.

use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// Keeps a handle on the thread that made it.
type OneThread = PhantomData<Rc<()>>;

/// A number or several that one thread writes, and how those of several threads add up.
pub(crate) trait Slot: Send + Sync {
    /// The sum over threads.
    type Total: Clone + std::fmt::Debug + Default + PartialEq;

    fn gather(&self, total: &mut Self::Total);

    /// What stays of a slot whose writer is gone.
    fn retire(&self, retired: &mut Self::Total) {
        self.gather(retired);
    }
}

/// Adds where only this thread writes.
#[inline]
pub(crate) fn add(slot: &AtomicU64, amount: u64) {
    slot.store(slot.load(Relaxed).wrapping_add(amount), Relaxed);
}

/// Counts one series; only this thread counts through it.
#[derive(Clone, Debug)]
pub struct Counter {
    slot: Arc<AtomicU64>,
    thread: OneThread,
}

impl Counter {
    pub(crate) const fn new(slot: Arc<AtomicU64>) -> Self {
        Self {
            slot,
            thread: PhantomData,
        }
    }

    /// Adds to the count.
    #[inline]
    pub fn add(&self, amount: u64) {
        add(&self.slot, amount);
    }

    /// Adds one.
    #[inline]
    pub fn increment(&self) {
        self.add(1);
    }
}

impl Slot for AtomicU64 {
    type Total = u64;

    fn gather(&self, total: &mut u64) {
        *total = total.wrapping_add(self.load(Relaxed));
    }
}

/// One worker's part of a number that goes up and down; the parts of all workers are summed.
#[derive(Clone, Debug)]
pub struct Gauge {
    slot: Arc<AtomicI64>,
    thread: OneThread,
}

impl Gauge {
    pub(crate) const fn new(slot: Arc<AtomicI64>) -> Self {
        Self {
            slot,
            thread: PhantomData,
        }
    }

    /// Adds to the number, or takes from it.
    #[inline]
    pub fn add(&self, amount: i64) {
        self.slot
            .store(self.slot.load(Relaxed).wrapping_add(amount), Relaxed);
    }

    /// Replaces the number.
    #[inline]
    pub fn set(&self, value: i64) {
        self.slot.store(value, Relaxed);
    }
}

impl Slot for AtomicI64 {
    type Total = i64;

    fn gather(&self, total: &mut i64) {
        *total = total.wrapping_add(self.load(Relaxed));
    }

    /// What a worker held is held no longer when it is gone.
    fn retire(&self, _: &mut i64) {}
}

/// Counts values by size.
#[derive(Clone, Debug)]
pub struct Histogram {
    slot: Arc<HistogramSlot>,
    thread: OneThread,
}

impl Histogram {
    pub(crate) const fn new(slot: Arc<HistogramSlot>) -> Self {
        Self {
            slot,
            thread: PhantomData,
        }
    }

    /// Counts one value.
    #[inline]
    pub fn observe(&self, value: f64) {
        let slot = &*self.slot;
        let bucket = slot.bounds.partition_point(|&bound| bound < value);
        add(&slot.counts[bucket], 1);
        let sum = f64::from_bits(slot.sum.load(Relaxed)) + value;
        slot.sum.store(sum.to_bits(), Relaxed);
    }
}

/// One thread's part of a histogram.
#[derive(Debug)]
pub(crate) struct HistogramSlot {
    bounds: &'static [f64],
    /// One more than there are bounds: the last counts what is above all.
    counts: Box<[AtomicU64]>,
    /// The bits of an `f64`.
    sum: AtomicU64,
}

impl HistogramSlot {
    pub(crate) fn new(bounds: &'static [f64]) -> Self {
        Self {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0f64.to_bits()),
        }
    }
}

/// A histogram summed over threads.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct HistogramTotal {
    /// How many values fell in each bucket; empty before the first slot.
    pub(crate) counts: Vec<u64>,
    pub(crate) sum: f64,
}

impl Slot for HistogramSlot {
    type Total = HistogramTotal;

    fn gather(&self, total: &mut HistogramTotal) {
        total.counts.resize(self.counts.len(), 0);
        for (sum, count) in total.counts.iter_mut().zip(&self.counts) {
            *sum = sum.wrapping_add(count.load(Relaxed));
        }
        total.sum += f64::from_bits(self.sum.load(Relaxed));
    }
}

//! One thread's access to a registry: handles that only this thread may write through.

use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::family::Family;
use crate::labels::Labels;
use crate::registry::{Budget, Key, Registry};
use crate::slot::{Counter, Gauge, Histogram, HistogramSlot};

/// One thread's access to a [`Registry`]; getting a handle takes a lock, so get it when config arrives.
#[derive(Clone, Debug)]
pub struct Shard {
    registry: Arc<Registry>,
    thread: PhantomData<Rc<()>>,
}

impl Shard {
    pub(crate) const fn new(registry: Arc<Registry>) -> Self {
        Self {
            registry,
            thread: PhantomData,
        }
    }

    /// A counter of a series; the same series may be asked for again and elsewhere, all of it is summed.
    #[must_use]
    pub fn counter(&self, family: &'static Family, labels: &Labels) -> Counter {
        self.counter_of(family, labels, &Labels::default(), Budget::Ordinary)
    }

    /// A gauge of a series; its part of the sum goes when the handle goes.
    #[must_use]
    pub fn gauge(&self, family: &'static Family, labels: &Labels) -> Gauge {
        let key = key(labels, &Labels::default());
        Gauge::new(self.registry.gauge(family, &key).unwrap_or_default())
    }

    /// A histogram of a series, with the bounds that the family names.
    #[must_use]
    pub fn histogram(&self, family: &'static Family, labels: &Labels) -> Histogram {
        self.histogram_of(family, labels, &Labels::default(), Budget::Ordinary)
    }

    /// A counter that several threads may count through; for what is rare.
    #[must_use]
    pub fn shared_counter(&self, family: &'static Family, labels: &Labels) -> SharedCounter {
        let key = key(labels, &Labels::default());
        let slot = self.registry.counter(family, &key, Budget::Ordinary);
        SharedCounter(slot.unwrap_or_default())
    }

    /// The registry behind it.
    #[must_use]
    pub const fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    pub(crate) fn counter_of(
        &self,
        family: &'static Family,
        shared: &Labels,
        own: &Labels,
        budget: Budget,
    ) -> Counter {
        let slot = self.registry.counter(family, &key(shared, own), budget);
        // A family that cannot be had was declared twice in different ways, which the registry has counted: the handle leads nowhere.
        Counter::new(slot.unwrap_or_default())
    }

    pub(crate) fn histogram_of(
        &self,
        family: &'static Family,
        shared: &Labels,
        own: &Labels,
        budget: Budget,
    ) -> Histogram {
        let slot = self.registry.histogram(family, &key(shared, own), budget);
        Histogram::new(slot.unwrap_or_else(|| Arc::new(HistogramSlot::new(&[]))))
    }
}

fn key(shared: &Labels, own: &Labels) -> Key {
    Key {
        shared: shared.clone(),
        own: own.clone(),
    }
}

/// A counter for several threads, at the price of a locked instruction.
#[derive(Clone, Debug)]
pub struct SharedCounter(Arc<AtomicU64>);

impl SharedCounter {
    /// Adds to the count.
    pub fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Relaxed);
    }
}

//! What a cluster counts, as metrics: made when there is something to count, told once a sweep.

use std::cell::{Cell, OnceCell, RefCell};

use wattle_balance::{BreakerCounts, Ejections};
use wattle_telemetry::{Counter, Family, Gauge, Kind, Labels};

use super::Worker;

static OVERFLOWS: Family = Family {
    name: "wattle_backend_overflow_total",
    help: "Requests, connections and retries refused by the bounds of a backend's policy, by bound.",
    kind: Kind::Counter,
    hides_idle: false,
};

static EJECTIONS: Family = Family {
    name: "wattle_outlier_ejections_total",
    help: "Endpoints taken out by outlier detection, by what caused it.",
    kind: Kind::Counter,
    hides_idle: false,
};

static EJECTED: Family = Family {
    name: "wattle_outlier_ejected",
    help: "Endpoints that outlier detection keeps out now, summed over workers.",
    kind: Kind::Gauge,
    hides_idle: false,
};

/// A count since the beginning, and how much of it was told.
struct Told {
    label: &'static str,
    told: Cell<u64>,
    counter: OnceCell<Counter>,
}

impl Told {
    fn new(label: &'static str) -> Self {
        Self {
            label,
            told: Cell::new(0),
            counter: OnceCell::new(),
        }
    }

    fn tell(&self, count: u64, make: impl FnOnce(&'static str) -> Counter) {
        // A budget that was replaced counts from zero again.
        let more = count.saturating_sub(self.told.replace(count));
        if more > 0 {
            self.counter.get_or_init(|| make(self.label)).add(more);
        }
    }
}

/// The series of one backend.
pub(super) struct Series {
    backend: Box<str>,
    overflows: [Told; 4],
    ejections: [Told; 6],
    ejected: RefCell<Option<Gauge>>,
}

impl Series {
    /// Of the backend of this name; nothing is published of one without.
    pub(super) fn new(backend: &str) -> Self {
        let overflows = ["connections", "pending_requests", "requests", "retries"];
        let ejections = [
            "consecutive_5xx",
            "consecutive_gateway_failure",
            "consecutive_local_origin_failure",
            "success_rate",
            "failure_percentage",
            "overflow",
        ];
        Self {
            backend: backend.into(),
            overflows: overflows.map(Told::new),
            ejections: ejections.map(Told::new),
            ejected: RefCell::default(),
        }
    }

    /// Tells what was counted since the last time.
    pub(super) fn publish(&self, worker: &Worker, overflows: &BreakerCounts, ejections: &Ejections) {
        let counts = [
            overflows.connections,
            overflows.pending_requests,
            overflows.requests,
            overflows.retries,
        ];
        for (told, count) in self.overflows.iter().zip(counts) {
            told.tell(count, |bound| self.counter(worker, &OVERFLOWS, ("bound", bound)));
        }
        let counts = [
            ejections.consecutive_5xx,
            ejections.consecutive_gateway_failure,
            ejections.consecutive_local_origin_failure,
            ejections.success_rate,
            ejections.failure_percentage,
            ejections.overflow,
        ];
        for (told, count) in self.ejections.iter().zip(counts) {
            told.tell(count, |cause| self.counter(worker, &EJECTIONS, ("cause", cause)));
        }
        let mut gauge = self.ejected.borrow_mut();
        if gauge.is_none() && ejections.active > 0 {
            let labels = Labels::new(&[("backend", &self.backend)]);
            *gauge = Some(worker.shard.gauge(&EJECTED, &labels));
        }
        if let Some(gauge) = &*gauge {
            gauge.set(i64::from(ejections.active));
        }
    }

    fn counter(&self, worker: &Worker, family: &'static Family, by: (&str, &str)) -> Counter {
        let labels = Labels::new(&[("backend", &self.backend), by]);
        worker.shard.counter(family, &labels)
    }
}

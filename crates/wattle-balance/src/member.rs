//! One endpoint and what a worker remembers about it.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use crate::endpoints::Endpoint;
use crate::ewma::Ewma;
use crate::health::{Ended, Health, Record};
use crate::outlier::{Cause, OutlierConfig, Suspect};
use crate::slow_start::SlowStart;
use crate::standing::{Place, Standing};

/// The name of an endpoint within one set, never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EndpointId(pub(crate) u64);

/// An endpoint with its load, its health and the caller's payload; it outlives its removal while requests to it last.
#[derive(Debug)]
pub struct Member<T> {
    id: EndpointId,
    address: SocketAddr,
    instance: Arc<str>,
    pub(crate) in_flight: Cell<u32>,
    pub(crate) ewma: Ewma,
    pub(crate) health: Record,
    pub(crate) suspect: Suspect,
    /// When it joined; `None` for those of the first set, which do not warm up.
    joined: Option<u64>,
    /// `None` once it is removed.
    place: Cell<Option<Place>>,
    /// Whether it is counted as available where it stands.
    available: Cell<bool>,
    /// What whoever asks it now and then found last.
    fit: Cell<bool>,
    standing: Rc<Standing>,
    payload: T,
}

impl<T> Member<T> {
    pub(crate) fn new(
        id: EndpointId,
        endpoint: &Endpoint,
        standing: &Rc<Standing>,
        joined: (u64, bool),
        payload: T,
    ) -> Self {
        let (now, first) = joined;
        Self {
            id,
            address: endpoint.address,
            instance: Arc::clone(&endpoint.instance),
            in_flight: Cell::new(0),
            ewma: Ewma::new(&standing.config.borrow().ewma, now),
            health: Record::new(),
            suspect: Suspect::default(),
            joined: (!first).then_some(now),
            place: Cell::new(None),
            available: Cell::new(true),
            fit: Cell::new(true),
            standing: Rc::clone(standing),
            payload,
        }
    }

    /// Its name within the set.
    #[inline]
    pub const fn id(&self) -> EndpointId {
        self.id
    }

    /// Where to connect.
    #[inline]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What else identifies it, see [`Endpoint::instance`].
    #[inline]
    pub fn instance(&self) -> &str {
        &self.instance
    }

    pub(crate) fn key(&self) -> (SocketAddr, Arc<str>) {
        (self.address, Arc::clone(&self.instance))
    }

    /// What the caller keeps here, such as pools of connections.
    #[inline]
    pub const fn payload(&self) -> &T {
        &self.payload
    }

    /// Requests picked for it that have not ended.
    #[inline]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.get()
    }

    /// What is thought of it at `now`.
    #[inline]
    pub fn health(&self, now: u64) -> Health {
        match self.health.at(now) {
            Health::Healthy | Health::ProbeDue if !self.fit.get() || self.suspect.is_ejected(now) => {
                Health::Out
            }
            health => health,
        }
    }

    /// Learns what an active health check found: false keeps it out until true is told, whatever its requests come to.
    pub fn judge(&self, fit: bool) {
        self.fit.set(fit);
        self.recount();
    }

    /// What [`Self::judge`] was told last; true before.
    #[must_use]
    pub fn is_fit(&self) -> bool {
        self.fit.get()
    }

    /// Whether outlier detection keeps it out at `now`.
    #[must_use]
    pub fn is_ejected(&self, now: u64) -> bool {
        self.suspect.is_ejected(now)
    }

    /// The latency it is taken to have at `now`, in nanoseconds, failures weighed in.
    pub fn estimate_ns(&self, now: u64) -> f64 {
        self.ewma.estimate(now)
    }

    /// How much of its weight it is given while it warms up.
    pub(crate) fn warmth(&self, slow_start: &SlowStart, now: u64) -> f64 {
        self.joined
            .map_or(1.0, |joined| slow_start.factor(now.saturating_sub(joined)))
    }

    /// When it has its full weight.
    pub(crate) fn warm_at(&self, slow_start: &SlowStart) -> u64 {
        self.joined
            .map_or(0, |joined| joined.saturating_add(slow_start.window_ns()))
    }

    /// When it is to be probed, if it is out and no probe is under way.
    pub(crate) fn probe_at(&self) -> Option<u64> {
        let due = self.health.probe_at().filter(|_| self.fit.get())?;
        Some(due.max(self.suspect.until().unwrap_or(0)))
    }

    /// Puts it where it counts from now on, `None` for removed; says whether it is available there.
    pub(crate) fn put(&self, place: Option<Place>) -> bool {
        self.place.set(place);
        let available = self.is_available();
        self.available.set(available);
        available
    }

    fn is_available(&self) -> bool {
        self.fit.get() && self.health.is_healthy() && self.suspect.until().is_none()
    }

    /// Learns how a request ended.
    pub(crate) fn ended(&self, ended: &Ended) {
        let config = self.standing.config.borrow();
        self.health.ended(ended, &config.health);
        if let Some(outlier) = &config.outlier
            && self.place.get().is_some()
            && let Some(cause) = self.suspect.record(ended.outcome, outlier)
        {
            self.eject(cause, ended.now, outlier);
        }
        self.recount();
    }

    /// Ejects it, unless it is ejected already or too many are.
    pub(crate) fn eject(&self, cause: Cause, now: u64, config: &OutlierConfig) {
        if self.suspect.is_ejected(now) {
            return;
        }
        let mut ejections = self.standing.ejections.get();
        // One whose time is over is still counted until the next sweep.
        ejections.active -= u32::from(self.suspect.until().is_some()).min(ejections.active);
        if ejections.leaves_room(self.standing.total.get(), config.max_ejection_percent) {
            ejections.count(cause);
            self.suspect.eject(now, config);
        } else {
            ejections.overflow += 1;
            self.suspect.forgive();
        }
        self.standing.ejections.set(ejections);
    }

    /// Tells the set when it became available, ceased to be, or is to be probed.
    pub(crate) fn recount(&self) {
        let Some(place) = self.place.get() else { return };
        let available = self.is_available();
        if self.available.replace(available) != available {
            self.standing.available(place, available);
        }
        if !available && let Some(at) = self.probe_at() {
            self.standing.expect_probe(place, at);
        }
    }
}

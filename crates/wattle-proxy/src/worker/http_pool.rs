//! Connections that carry one HTTP/1.1 request at a time, kept between requests.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::time::Duration;

use wattle_balance::{CheckedOut, IdleLimits, IdlePool, Permit};
use wattle_http::h1;

use super::bounds::Bounds;
use crate::worker::{Proof, Worker};

/// Idle HTTP/1.1 connections to one address.
pub(crate) struct HttpPool {
    idle: RefCell<IdlePool<Pooled>>,
    bounds: Rc<Bounds>,
    worker: Weak<Worker>,
}

/// An idle connection with the handle through which it comes back.
struct Pooled {
    client: h1::Client,
    back: Rc<Return>,
}

impl HttpPool {
    /// Connections in use at once; tunnels count, and an application may hold many.
    const MAX_ACTIVE: usize = 16_384;
    /// Connections kept idle: as many as a busy worker had in use, or each burst would open and close them anew.
    const MAX_IDLE: usize = 1_024;

    pub(crate) fn new(worker: &Worker, bounds: Rc<Bounds>) -> Rc<Self> {
        let limits = IdleLimits {
            max_active: Self::MAX_ACTIVE,
            max_idle: Self::MAX_IDLE,
            idle_timeout: bounds.http_idle(),
        };
        Rc::new(Self {
            idle: RefCell::new(IdlePool::new(limits)),
            bounds,
            worker: worker.weak(),
        })
    }

    /// The connection used last that is still open, with what it rests on.
    pub(crate) fn check_out(&self, now: u64) -> Option<(h1::Client, Option<Rc<Proof>>)> {
        loop {
            let CheckedOut {
                connection: Pooled { mut client, back },
                permit,
            } = self.idle.borrow_mut().check_out(now)?;
            if client.is_open() && !back.is_worn(&client, now) {
                *back.permit.borrow_mut() = Some(permit);
                return Some((client, back.proof.clone()));
            }
        }
    }

    /// The right to open one more connection; `None` at the limit.
    pub(crate) fn permit(&self) -> Option<Permit> {
        self.idle.borrow().permit()
    }

    /// Has it no connection, in use or not?
    pub(crate) fn is_empty(&self) -> bool {
        let idle = self.idle.borrow();
        idle.idle() == 0 && idle.active() == 0
    }

    /// What bounds its connections.
    pub(crate) fn bounds(&self) -> &Rc<Bounds> {
        &self.bounds
    }

    /// Changes how long a connection may be idle.
    pub(crate) fn set_idle(&self, timeout: Duration) {
        self.idle.borrow_mut().set_idle_timeout(timeout);
    }

    /// The handle through which a new connection comes back after use; `counted` is held while it is open, and `proof` is
    /// what it rests on.
    pub(crate) fn checkin(
        self: &Rc<Self>,
        (permit, counted): (Permit, Option<Permit>),
        proof: Option<Rc<Proof>>,
        now: u64,
    ) -> Rc<dyn h1::Checkin> {
        Rc::new_cyclic(|own| Return {
            own: own.clone(),
            pool: Rc::downgrade(self),
            bounds: self.bounds.clone(),
            permit: RefCell::new(Some(permit)),
            counted,
            proof,
            opened_at: now,
        })
    }

    /// Closes connections that have been idle too long, or all of them.
    pub(crate) fn sweep(&self, now: u64, all: bool) {
        let swept = if all {
            self.idle.borrow_mut().clear()
        } else {
            self.idle.borrow_mut().sweep(now)
        };
        drop(swept);
    }
}

/// Brings one connection back to its pool, with the permit it holds while in use.
struct Return {
    own: Weak<Return>,
    pool: Weak<HttpPool>,
    bounds: Rc<Bounds>,
    permit: RefCell<Option<Permit>>,
    /// Its place among the backend's connections.
    counted: Option<Permit>,
    proof: Option<Rc<Proof>>,
    opened_at: u64,
}

impl Return {
    /// Has the connection been used as much or as long as the policy allows, or is its peer not believed any more?
    fn is_worn(&self, client: &h1::Client, now: u64) -> bool {
        let uses = self.bounds.uses();
        let is_believed = |proof: &Rc<Proof>| proof.rejection().is_none();
        !self.proof.as_ref().is_none_or(is_believed)
            || client.requests() >= uses.requests
            || now.saturating_sub(self.opened_at) >= uses.life_ns
    }
}

impl Drop for Return {
    fn drop(&mut self) {
        drop(self.counted.take());
        self.bounds.free();
    }
}

impl h1::Checkin for Return {
    fn check_in(&self, client: h1::Client) {
        let (Some(pool), Some(back)) = (self.pool.upgrade(), self.own.upgrade()) else {
            return;
        };
        let Some(worker) = pool.worker.upgrade() else {
            return;
        };
        let Some(permit) = self.permit.borrow_mut().take() else {
            return;
        };
        let now = worker.clock.recent_ns();
        if worker.draining.is_draining() || self.is_worn(&client, now) {
            return;
        }
        let evicted = pool
            .idle
            .borrow_mut()
            .check_in(Pooled { client, back }, permit, now);
        drop(evicted);
        self.bounds.free();
    }
}

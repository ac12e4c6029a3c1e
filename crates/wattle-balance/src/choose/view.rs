//! What a chooser looks at: the endpoints of one pool, and which of them may be chosen for one request.

use super::pool::{Pool, State};
use crate::config::Balance;
use crate::endpoints::Entry;
use crate::health::Health;
use crate::member::{EndpointId, Member};
use crate::random::Draws;
use crate::slow_start::SlowStart;

/// One request's wishes; which endpoints may be chosen, from what is wanted to the last resort.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) now: u64,
    /// What choice by hash goes by.
    pub(super) hash: u64,
    pub(super) avoid: &'a [EndpointId],
    pub(super) healthy_only: bool,
}

impl Wanted<'_> {
    #[inline]
    pub(super) fn allows<T>(&self, member: &Member<T>) -> bool {
        (!self.healthy_only || member.health(self.now) != Health::Out) && !self.avoid.contains(&member.id())
    }
}

/// One pool seen by one request; each chooser is a method, in a file of its own.
pub(super) struct View<'a, T> {
    pub(super) entries: &'a [Entry<T>],
    pub(super) pool: &'a Pool,
    pub(super) wanted: Wanted<'a>,
    /// How endpoints warm up, while any does.
    pub(super) warming: Option<SlowStart>,
}

impl<T> View<'_, T> {
    /// The place in the pool of the endpoint that is chosen; `None` when none may be.
    pub(super) fn choose(&self, balance: Balance, draws: &mut Draws) -> Option<usize> {
        match (&self.pool.state, balance) {
            (State::Turns(turns), Balance::LeastRequest { active_request_bias }) => {
                self.least_request(turns, active_request_bias, draws)
            }
            (State::Turns(turns), _) => self.in_turn(&mut turns.borrow_mut(), draws),
            (State::Ring(ring), _) => self.on_ring(ring),
            (State::Maglev(table), _) => self.in_table(table),
            (State::Drawn, Balance::Random) => self.draw(draws, None),
            (State::Drawn, _) => self.peak_ewma(draws),
        }
    }

    #[inline]
    pub(super) fn allows(&self, index: usize) -> bool {
        self.wanted.allows(&self.entries[index].member)
    }

    /// How much of its weight an endpoint is given at this time.
    #[inline]
    pub(super) fn warmth(&self, index: usize) -> f64 {
        self.warming.map_or(1.0, |slow_start| {
            self.entries[index].member.warmth(&slow_start, self.wanted.now)
        })
    }
}

//! Choice by requests in flight.

use std::cell::RefCell;

use super::edf::Edf;
use super::view::View;
use crate::health::Health;
use crate::random::Draws;

impl<T> View<'_, T> {
    /// Of two different endpoints drawn at random, the one with fewer requests in flight; an endpoint whose probe is due counts as idle.
    ///
    /// Where weights differ or an endpoint warms up, in turn instead, by weight ÷ (requests in flight + 1)^bias, as in Envoy.
    pub(super) fn least_request(&self, turns: &RefCell<Edf>, bias: f64, draws: &mut Draws) -> Option<usize> {
        if !self.pool.cumulative.is_empty() || self.warming.is_some() {
            return self.in_turn_by_load(&mut turns.borrow_mut(), bias, draws);
        }
        let first = self.draw(draws, None)?;
        let Some(second) = self.draw(draws, Some(first)) else {
            return Some(first);
        };
        if self.busy(second) < self.busy(first) {
            Some(second)
        } else {
            Some(first)
        }
    }

    fn busy(&self, index: usize) -> u32 {
        let member = &self.entries[index].member;
        match member.health(self.wanted.now) {
            Health::ProbeDue => 0,
            Health::Healthy | Health::Out => member.in_flight(),
        }
    }

    fn in_turn_by_load(&self, turns: &mut Edf, bias: f64, draws: &mut Draws) -> Option<usize> {
        let weight = |index: usize| {
            let active = f64::from(self.entries[index].member.in_flight()) + 1.0;
            self.relative_weight(index) / active.powf(bias.max(0.0))
        };
        turns
            .next(|index| self.allows(index), weight)
            .or_else(|| self.search(draws, |index| self.allows(index)))
    }
}

//! Choice in turn, by weight.

use super::edf::Edf;
use super::view::View;
use crate::random::Draws;

impl<T> View<'_, T> {
    /// Whose turn it is; by weight at random where too many of those whose turn it is may not be chosen.
    pub(super) fn in_turn(&self, turns: &mut Edf, draws: &mut Draws) -> Option<usize> {
        let weight = |index: usize| self.relative_weight(index);
        turns
            .next(|index| self.allows(index), weight)
            .or_else(|| self.search(draws, |index| self.allows(index)))
    }

    /// An endpoint's weight in proportion to the heaviest, while it warms up only a part of it.
    pub(super) fn relative_weight(&self, index: usize) -> f64 {
        self.pool.relative(self.entries[index].weight) * self.warmth(index)
    }
}

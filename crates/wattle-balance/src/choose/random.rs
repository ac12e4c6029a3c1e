//! Choice at random by weight, alone and as the draw of the choosers that compare two.

use super::view::View;
use crate::random::Draws;

/// Draws that may hit an unfit endpoint before all are looked through; keeps a pick cheap in a large set that is mostly fit.
const TRIES: usize = 4;

impl<T> View<'_, T> {
    /// Draws the index of an endpoint that fits, other than `taken`; one that warms up with a chance that grows.
    pub(super) fn draw(&self, draws: &mut Draws, taken: Option<usize>) -> Option<usize> {
        let allowed = |index: usize| Some(index) != taken && self.allows(index);
        if self.entries.len() <= usize::from(taken.is_some()) {
            return None;
        }
        let mut cold = None;
        for _ in 0..TRIES {
            let index = self.blind_draw(draws);
            if allowed(index) {
                if self.warming.is_none() || draws.chance(self.warmth(index)) {
                    return Some(index);
                }
                cold = Some(index);
            }
        }
        // Where most are cold it does not matter that one is.
        cold.or_else(|| self.search(draws, allowed))
    }

    #[inline]
    fn blind_draw(&self, draws: &mut Draws) -> usize {
        match self.pool.cumulative.last() {
            None => draws.below(self.entries.len() as u64) as usize,
            Some(&total) => {
                let point = draws.below(total);
                self.pool.cumulative.partition_point(|&sum| sum <= point)
            }
        }
    }

    /// Draws among what is allowed by looking at every endpoint, each with a chance in proportion to its weight.
    pub(super) fn search(&self, draws: &mut Draws, allowed: impl Fn(usize) -> bool) -> Option<usize> {
        let mut total = 0u64;
        let mut chosen = None;
        for (index, entry) in self.entries.iter().enumerate() {
            if allowed(index) {
                total += u64::from(entry.weight);
                if draws.below(total) < u64::from(entry.weight) {
                    chosen = Some(index);
                }
            }
        }
        chosen
    }
}

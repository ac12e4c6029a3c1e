//! Turns by weight, evenly spread: whose deadline is earliest is next (earliest deadline first).

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use crate::random::Draws;

/// Turns passed over for endpoints that may not be chosen, before another way is to be found; bounds a pick.
const TRIES: usize = 32;

/// No weight below this, so that a turn always comes.
const MIN_WEIGHT: f64 = 1e-9;

#[derive(Clone, Copy, Debug)]
struct Turn {
    deadline: f64,
    index: u32,
}

impl PartialEq for Turn {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Turn {}

impl PartialOrd for Turn {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Turn {
    fn cmp(&self, other: &Self) -> Ordering {
        self.deadline
            .total_cmp(&other.deadline)
            .then(self.index.cmp(&other.index))
    }
}

/// The turns of the endpoints of one pool; each comes again 1 ÷ weight after its last.
#[derive(Debug)]
pub(crate) struct Edf {
    turns: BinaryHeap<Reverse<Turn>>,
}

impl Edf {
    /// Weights are relative to the largest, which is 1, so that time passes by about one turn a pick. The first turn of each is drawn
    /// from its period, lest every update begin with the same.
    pub(super) fn new(weights: impl Iterator<Item = f64>, draws: &mut Draws) -> Self {
        let turns = weights.enumerate().map(|(index, weight)| {
            let phase = draws.next() as f64 / u64::MAX as f64;
            Reverse(Turn {
                deadline: phase * period(weight),
                index: index as u32,
            })
        });
        Self {
            turns: turns.collect(),
        }
    }

    /// Whose turn it is among those that may be chosen, who then waits for 1 ÷ `weight`; `None` when it takes too long to find one.
    ///
    /// Those passed over lose their turn, so that they do not catch up in a burst when they return.
    pub(super) fn next(
        &mut self,
        allowed: impl Fn(usize) -> bool,
        weight: impl Fn(usize) -> f64,
    ) -> Option<usize> {
        for _ in 0..TRIES {
            let mut top = self.turns.peek_mut()?;
            let index = top.0.index as usize;
            top.0.deadline += period(weight(index));
            // Sinks to its place.
            drop(top);
            if allowed(index) {
                return Some(index);
            }
        }
        None
    }
}

fn period(weight: f64) -> f64 {
    // `max` also turns what is not a number into the smallest weight.
    1.0 / weight.max(MIN_WEIGHT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn edf(weights: &[u32], seed: u64) -> (Edf, impl Fn(usize) -> f64) {
        let max = f64::from(weights.iter().copied().max().unwrap_or(1));
        let relative: Vec<_> = weights.iter().map(|&weight| f64::from(weight) / max).collect();
        let edf = Edf::new(relative.iter().copied(), &mut Draws::new(seed));
        (edf, move |index| relative[index])
    }

    #[test]
    fn a_heavy_endpoint_never_has_its_turns_in_a_burst() {
        let (mut edf, weight) = edf(&[5, 1, 1], 9);
        let order: Vec<_> = (0..70).filter_map(|_| edf.next(|_| true, &weight)).collect();
        for window in order.windows(7) {
            let heavy = window.iter().filter(|&&index| index == 0).count();
            assert!((4..=6).contains(&heavy), "{order:?}");
        }
        let longest = order.split(|&index| index != 0).map(<[_]>::len).max();
        assert!(longest <= Some(6), "{order:?}");
    }

    #[test]
    fn equal_endpoints_take_turns_strictly() {
        let (mut edf, weight) = edf(&[3; 5], 1);
        let order: Vec<_> = (0..50).filter_map(|_| edf.next(|_| true, &weight)).collect();
        assert!(order.windows(6).all(|window| window[0] == window[5]), "{order:?}");
        let mut round = order[..5].to_vec();
        round.sort_unstable();
        assert_eq!(round, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn those_that_may_not_be_chosen_are_passed_over_and_when_nobody_may_the_search_ends() {
        let (mut edf, weight) = edf(&[1; 4], 2);
        for _ in 0..20 {
            assert_eq!(edf.next(|index| index == 2, &weight), Some(2));
        }
        assert_eq!(edf.next(|_| false, &weight), None);
    }

    proptest! {
        #[test]
        fn in_any_stretch_everyone_has_as_many_turns_as_its_weight_says_give_or_take_two(
            weights in proptest::collection::vec(1u32..30, 1..10), seed: u64
        ) {
            let (mut edf, weight) = edf(&weights, seed);
            let total: u32 = weights.iter().sum();
            let order: Vec<_> = (0..total * 3).filter_map(|_| edf.next(|_| true, &weight)).collect();
            for window in order.windows(total as usize) {
                for (index, &weight) in weights.iter().enumerate() {
                    let turns = window.iter().filter(|&&it| it == index).count() as u32;
                    prop_assert!(turns.abs_diff(weight) <= 2, "{index}: {turns} of {weight}");
                }
            }
        }
    }
}

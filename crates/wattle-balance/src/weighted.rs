//! Choice among backends by weight.

use crate::random::scale;

/// A list of weights from which an index is drawn in exact proportion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weighted {
    /// Running sums; an index owns the numbers from the sum before it up to, not including, its own.
    cumulative: Box<[u64]>,
}

impl Weighted {
    /// Takes the weights in order; `None` when there are none or all are zero, since then nothing may be chosen.
    #[must_use]
    pub fn new(weights: &[u32]) -> Option<Self> {
        let mut sum = 0u64;
        let cumulative: Box<[u64]> = weights
            .iter()
            .map(|&weight| {
                sum = sum.saturating_add(u64::from(weight));
                sum
            })
            .collect();
        (sum > 0).then_some(Self { cumulative })
    }

    /// The index that `random` falls on; never one of weight zero.
    #[inline]
    #[must_use]
    pub fn pick(&self, random: u64) -> usize {
        let point = scale(random, self.total());
        match self.cumulative.len() {
            1 => 0,
            _ => self.cumulative.partition_point(|&sum| sum <= point),
        }
    }

    /// The sum of all weights.
    #[inline]
    #[must_use]
    pub fn total(&self) -> u64 {
        self.cumulative.last().copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::random::Draws;
    use proptest::prelude::*;

    #[test]
    fn nothing_can_be_chosen_without_any_weight() {
        assert_eq!(Weighted::new(&[]), None);
        assert_eq!(Weighted::new(&[0, 0]), None);
    }

    #[test]
    fn a_canary_gets_its_share_within_one_point_over_20_000_picks() {
        let weighted = Weighted::new(&[90, 0, 10]).unwrap();
        let mut draws = Draws::new(7);
        let mut counts = [0u32; 3];
        for _ in 0..20_000 {
            counts[weighted.pick(draws.next())] += 1;
        }
        assert_eq!(counts[1], 0);
        assert!((1_800..=2_200).contains(&counts[2]), "{counts:?}");
    }

    proptest! {
        #[test]
        fn evenly_spread_numbers_land_on_each_index_exactly_as_often_as_its_weight(
            weights in proptest::collection::vec(0u32..40, 1..12)
        ) {
            let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
            prop_assume!(total > 0);
            let weighted = Weighted::new(&weights).unwrap();
            let mut counts = vec![0u32; weights.len()];
            let step = (1u128 << 64) / u128::from(total);
            for point in 0..u128::from(total) {
                counts[weighted.pick((point * step + step / 2) as u64)] += 1;
            }
            prop_assert_eq!(counts, weights);
        }

        #[test]
        fn any_number_gives_an_index_of_positive_weight(
            weights in proptest::collection::vec(any::<u32>(), 1..12), random: u64
        ) {
            if let Some(weighted) = Weighted::new(&weights) {
                prop_assert!(weights[weighted.pick(random)] > 0);
            }
        }
    }
}

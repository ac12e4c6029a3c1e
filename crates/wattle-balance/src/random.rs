//! Several independent numbers out of the one random number that a decision is given.

/// A short sequence of well mixed numbers that follows from one seed (SplitMix64).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draws(u64);

impl Draws {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number, uniform over all 64 bits.
    #[inline]
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// The next number below `bound`; zero when the bound is zero.
    #[inline]
    pub(crate) const fn below(&mut self, bound: u64) -> u64 {
        scale(self.next(), bound)
    }

    /// True with that probability.
    #[inline]
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        (self.next() as f64) < probability * u64::MAX as f64
    }
}

/// Spreads every bit over all others (the finaliser of SplitMix64).
#[inline]
pub(crate) const fn mix(number: u64) -> u64 {
    let mut mixed = number;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Maps a uniform 64-bit number onto `0..bound`; zero when the bound is zero.
#[inline]
pub(crate) const fn scale(random: u64, bound: u64) -> u64 {
    ((random as u128 * bound as u128) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaling_covers_the_range_and_never_reaches_the_bound() {
        assert_eq!(scale(0, 7), 0);
        assert_eq!(scale(u64::MAX, 7), 6);
        assert_eq!(scale(u64::MAX, 0), 0);
    }

    #[test]
    fn every_value_below_the_bound_comes_up_about_equally_often() {
        let mut draws = Draws::new(42);
        let mut seen = [0u32; 10];
        for _ in 0..100_000 {
            seen[draws.below(10) as usize] += 1;
        }
        assert!(
            seen.iter().all(|&count| (9_500..=10_500).contains(&count)),
            "{seen:?}"
        );
    }
}

//! Parts of requests: how often something happens, and numbers drawn for it.

/// A part of the requests, in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chance(u32);

impl Chance {
    /// All of them.
    pub const ALWAYS: Self = Self(1_000_000);
    /// None of them.
    pub const NEVER: Self = Self(0);

    /// So many of a million; more than a million is all.
    pub const fn per_million(part: u32) -> Self {
        Self(if part > 1_000_000 { 1_000_000 } else { part })
    }

    /// `numerator` of `denominator` (Gateway API `Fraction`); none when the denominator is 0.
    pub fn of(numerator: u32, denominator: u32) -> Self {
        let part = u64::from(numerator) * 1_000_000;
        match part.checked_div(u64::from(denominator)) {
            Some(part) => Self::per_million(u32::try_from(part).unwrap_or(u32::MAX)),
            None => Self::NEVER,
        }
    }

    /// The part in millionths.
    pub const fn millionths(self) -> u32 {
        self.0
    }

    /// Does it happen? `random` is uniform over all of `u64`.
    pub fn happens(self, random: u64) -> bool {
        scale(random, 1_000_000) < u64::from(self.0)
    }
}

/// What one random number is used for, so that each use has its own and none depends on another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Draw {
    /// Among weighted backends; the number itself, so that a caller can aim.
    Backend = 0,
    Delay = 1,
    Abort = 2,
    /// The first mirror; the others follow.
    Mirror = 3,
}

/// A number for one use, made of the request's.
pub(crate) fn drawn(random: u64, draw: Draw, index: u64) -> u64 {
    match draw {
        Draw::Backend => random,
        draw => mixed(random ^ mixed(draw as u64 + index)),
    }
}

/// The finaliser of SplitMix64: every bit of the input changes half of the output's.
pub(crate) const fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A number below `bound`. Scaling instead of a remainder: no bias towards the small, no division.
pub(crate) fn scale(random: u64, bound: u64) -> u64 {
    ((u128::from(random) * u128::from(bound)) >> 64) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chance_happens_as_often_as_it_says() {
        for (chance, expected) in [
            (Chance::NEVER, 0),
            (Chance::ALWAYS, 20_000),
            (Chance::of(1, 4), 5_000),
            (Chance::of(3, 0), 0),
        ] {
            let happened = (0..20_000u64)
                .filter(|index| chance.happens(drawn(mixed(*index), Draw::Delay, 0)))
                .count();
            assert!(happened.abs_diff(expected) <= 200, "{chance:?}: {happened}");
        }
    }

    #[test]
    fn one_use_of_a_number_says_nothing_of_another() {
        let half = Chance::of(1, 2);
        let both = (0..20_000u64)
            .map(mixed)
            .filter(|random| {
                half.happens(drawn(*random, Draw::Delay, 0)) && half.happens(drawn(*random, Draw::Abort, 0))
            })
            .count();
        assert!(both.abs_diff(5_000) <= 200, "{both}");
    }
}

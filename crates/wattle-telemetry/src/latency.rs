//! Latency finer than Prometheus buckets: log-linear, eight steps per octave, kept sparse.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

use crate::slot::add;

/// Steps per octave, as a power of two.
const STEP_BITS: u32 = 3;
const STEPS: usize = 1 << STEP_BITS;
/// The longest latency told apart: 2³² µs, about 71 minutes; longer ones count as that.
const LONGEST_US: u64 = (1 << 32) - 1;
const OCTAVES: usize = 30;

/// One thread's counts; an octave takes memory when its first value comes.
#[derive(Debug, Default)]
pub(crate) struct LatencySlot {
    octaves: [OnceLock<Box<[AtomicU64; STEPS]>>; OCTAVES],
}

impl LatencySlot {
    /// Counts one value; only one thread may do so.
    #[inline]
    pub(crate) fn observe(&self, latency_us: u64) {
        let index = index(latency_us);
        let octave = self.octaves[index / STEPS].get_or_init(Box::default);
        add(&octave[index % STEPS], 1);
    }

    pub(crate) fn gather(&self, total: &mut Buckets) {
        for (octave, counts) in self.octaves.iter().enumerate() {
            for (step, count) in counts.get().into_iter().flat_map(|c| c.iter().enumerate()) {
                total.add((octave * STEPS + step) as u16, count.load(Relaxed));
            }
        }
    }
}

/// The bucket of a latency: below 8 µs each its own, then eight per doubling.
#[inline]
const fn index(latency_us: u64) -> usize {
    let value = if latency_us > LONGEST_US {
        LONGEST_US
    } else {
        latency_us
    };
    if value < STEPS as u64 {
        return value as usize;
    }
    let shift = value.ilog2() - STEP_BITS;
    (shift as usize + 1) * STEPS + ((value >> shift) as usize & (STEPS - 1))
}

/// The lowest latency of a bucket and how many microseconds it spans.
const fn span(index: u16) -> (u64, u64) {
    let (octave, step) = (index as usize / STEPS, index as u64 % STEPS as u64);
    if octave == 0 {
        return (step, 1);
    }
    let shift = octave as u32 - 1;
    ((STEPS as u64 + step) << shift, 1 << shift)
}

/// Latency counts that can be sent, merged and asked for quantiles; buckets without values are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Buckets(Vec<(u16, u64)>);

impl Buckets {
    /// Counts one latency in microseconds.
    pub fn observe(&mut self, latency_us: u64) {
        self.add(index(latency_us) as u16, 1);
    }

    /// Adds the counts of another.
    pub fn merge(&mut self, other: &Self) {
        for &(index, count) in &other.0 {
            self.add(index, count);
        }
    }

    /// What has been added since `earlier`; nothing for a bucket that shrank, which a restart makes.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut rest = Self::default();
        for &(index, count) in &self.0 {
            let before = earlier.0.binary_search_by_key(&index, |bucket| bucket.0);
            let before = before.map_or(0, |at| earlier.0[at].1);
            rest.add(index, count.saturating_sub(before));
        }
        rest
    }

    /// How many values were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        let counts = self.0.iter().map(|&(_, count)| count);
        counts.fold(0, u64::saturating_add)
    }

    /// The latency in microseconds that `share` (0 to 1) of the values do not exceed, exact to a sixteenth; `None` without values.
    #[must_use]
    pub fn quantile_us(&self, share: f64) -> Option<f64> {
        let count = self.count();
        let rank = ((share.clamp(0.0, 1.0) * count as f64).ceil() as u64).max(1);
        let mut seen = 0u64;
        let found = self.0.iter().find(|&&(_, count)| {
            seen = seen.saturating_add(count);
            seen >= rank
        })?;
        let (low, width) = span(found.0);
        Some(low as f64 + (width - 1) as f64 / 2.0)
    }

    /// Adds to a bucket; one that cannot exist (a peer may send anything) is left out.
    fn add(&mut self, index: u16, count: u64) {
        if count == 0 || usize::from(index) >= OCTAVES * STEPS {
            return;
        }
        match self.0.binary_search_by_key(&index, |bucket| bucket.0) {
            Ok(at) => self.0[at].1 = self.0[at].1.saturating_add(count),
            Err(at) => self.0.insert(at, (index, count)),
        }
    }
}

/// The latencies that people ask for, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// Half of all requests took no longer.
    pub p50_ms: f64,
    /// Nineteen of twenty took no longer.
    pub p95_ms: f64,
    /// Ninety-nine of a hundred took no longer.
    pub p99_ms: f64,
}

impl Quantiles {
    /// Reads the quantiles off; `None` without values.
    #[must_use]
    pub fn from(buckets: &Buckets) -> Option<Self> {
        let ms = |share| buckets.quantile_us(share).map(|us| us / 1_000.0);
        Some(Self {
            p50_ms: ms(0.50)?,
            p95_ms: ms(0.95)?,
            p99_ms: ms(0.99)?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn buckets_follow_one_another_without_gap_or_overlap() {
        let mut next = 0;
        for index in 0..(OCTAVES * STEPS) as u16 {
            let (low, width) = span(index);
            assert_eq!(low, next);
            next = low + width;
        }
        assert_eq!(next, LONGEST_US + 1);
    }

    #[test]
    fn buckets_that_no_histogram_has_are_not_believed() {
        let mut buckets = Buckets::default();
        let sent: Buckets = serde_json::from_str("[[65535,3],[8,1],[2,5]]").unwrap();
        buckets.merge(&sent);
        assert_eq!(buckets.count(), 6);
        assert_eq!(buckets.quantile_us(0.0), Some(2.0));
    }

    proptest! {
        #[test]
        fn every_latency_lies_within_its_bucket(latency: u64) {
            let (low, width) = span(index(latency) as u16);
            let latency = latency.min(LONGEST_US);
            prop_assert!(low <= latency && latency < low + width);
        }

        #[test]
        fn quantiles_are_within_a_tenth_of_the_exact_ones(
            mut latencies in proptest::collection::vec(1u64..50_000_000, 1..400), share in 0.0f64..1.0
        ) {
            let slot = LatencySlot::default();
            latencies.iter().for_each(|&latency| slot.observe(latency));
            let mut buckets = Buckets::default();
            slot.gather(&mut buckets);
            latencies.sort_unstable();
            let rank = ((share * latencies.len() as f64).ceil() as usize).max(1);
            let exact = latencies[rank - 1] as f64;
            let read = buckets.quantile_us(share).unwrap();
            prop_assert!((read - exact).abs() <= exact * 0.1, "{} for {}", read, exact);
        }

        #[test]
        fn merging_and_taking_apart_are_inverse(
            first in proptest::collection::vec(any::<u32>(), 0..50), second in proptest::collection::vec(any::<u32>(), 0..50)
        ) {
            let buckets = |values: &[u32]| {
                let mut buckets = Buckets::default();
                values.iter().for_each(|&value| buckets.observe(u64::from(value)));
                buckets
            };
            let mut both = buckets(&first);
            both.merge(&buckets(&second));
            prop_assert_eq!(both.since(&buckets(&first)), buckets(&second));
        }
    }
}

//! Latencies by size: each power of two in 64 equal parts, so that a quantile is at most 1.6 % too high.

use std::time::Duration;

const PARTS_BITS: u32 = 6;
const PARTS: usize = 1 << PARTS_BITS;
/// Powers of two above the first 64 µs; the last ends at 2^32 µs, more than an hour.
const POWERS: usize = 32 - PARTS_BITS as usize;

/// Counts of latencies.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    counts: Box<[u64]>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; PARTS * (POWERS + 1)].into_boxed_slice(),
            total: 0,
        }
    }
}

impl Histogram {
    pub(super) fn add(&mut self, latency: Duration) {
        let micros = u32::try_from(latency.as_micros()).unwrap_or(u32::MAX);
        if let Some(count) = self.counts.get_mut(index(micros)) {
            *count += 1;
            self.total += 1;
        }
    }

    /// The latency in ms that this share of all stays within; 0 where there is none.
    pub(super) fn quantile_ms(&self, share: f64) -> f64 {
        let wanted = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        found.map_or(0.0, |index| upper_bound_micros(index) as f64 / 1000.0)
    }
}

fn index(micros: u32) -> usize {
    let power = (u32::BITS - micros.leading_zeros()).saturating_sub(PARTS_BITS + 1);
    (power as usize) * PARTS + (micros >> power) as usize
}

fn upper_bound_micros(index: usize) -> u64 {
    // From the second power on, parts start at 64: the lower half belongs to the powers before.
    let power = (index / PARTS).saturating_sub(1);
    let part = index - power * PARTS;
    ((part as u64 + 1) << power) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_latency_lies_within_its_bounds() {
        for micros in [0, 1, 63, 64, 127, 128, 129, 1000, 123_456, 60_000_000, u32::MAX] {
            let upper = upper_bound_micros(index(micros));
            assert!(upper >= u64::from(micros), "{micros} {upper}");
            assert!(
                upper as f64 <= f64::from(micros) * 1.016 + 1.0,
                "{micros} {upper}"
            );
        }
    }

    #[test]
    fn quantiles_are_those_of_a_sorted_list() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile_ms(0.5), 0.0);
        for millis in 1..=1000 {
            histogram.add(Duration::from_millis(millis));
        }
        for (share, expected) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = histogram.quantile_ms(share);
            assert!((expected..expected * 1.017).contains(&found), "{share}: {found}");
        }
    }

    #[test]
    fn the_longest_latency_still_counts() {
        let mut histogram = Histogram::default();
        histogram.add(Duration::MAX);
        assert!(histogram.quantile_ms(1.0) > 4_000_000.0);
    }
}

//! Slow start: an endpoint that joins a set takes its share of the traffic little by little.

use std::time::Duration;

/// No age below this counts, so that the ramp begins above zero (Envoy's one second).
const MIN_AGE: Duration = Duration::from_secs(1);

/// How a new endpoint warms up (Istio's `warmup`, Envoy's `slow_start_config`).
///
/// For peak EWMA, round robin and least request. It concerns endpoints that join others; those of the first set start in full.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlowStart {
    /// How long it takes to reach the full weight (Istio's `warmup.duration`); default 30 s, zero switches it off.
    pub window: Duration,
    /// The percentage of the weight to begin with (Istio's `warmup.minimumPercent`); default 10, at least 1, at most 100.
    pub minimum_percent: u32,
    /// The shape of the ramp: 1 is a straight line, more is faster at first (Istio's `warmup.aggression`); default 1.0, above 0.
    pub aggression: f64,
}

impl Default for SlowStart {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(30),
            minimum_percent: 10,
            aggression: 1.0,
        }
    }
}

impl SlowStart {
    /// What an endpoint of that age is given of its weight: max(minimum, (age / window)^(1 / aggression)), at most 1.
    #[must_use]
    pub fn factor(&self, age_ns: u64) -> f64 {
        let window = self.window_ns();
        if age_ns >= window {
            return 1.0;
        }
        let minimum = f64::from(self.minimum_percent.clamp(1, 100)) / 100.0;
        let age = age_ns.max(MIN_AGE.as_nanos() as u64) as f64;
        let time_factor = (age / window as f64).min(1.0);
        // Also where the aggression is not a number: a straight line.
        let ramp = if self.aggression > 0.0 && self.aggression != 1.0 {
            time_factor.powf(1.0 / self.aggression)
        } else {
            time_factor
        };
        ramp.max(minimum)
    }

    pub(crate) fn window_ns(&self) -> u64 {
        u64::try_from(self.window.as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn ramp(aggression: f64) -> [f64; 5] {
        let slow_start = SlowStart {
            window: Duration::from_secs(100),
            aggression,
            ..SlowStart::default()
        };
        [0, 25, 50, 99, 100].map(|age| slow_start.factor(age * SECOND))
    }

    fn near(got: [f64; 5], wanted: [f64; 5]) -> bool {
        got.iter()
            .zip(wanted)
            .all(|(got, wanted)| (got - wanted).abs() < 1e-9)
    }

    #[test]
    fn the_ramp_begins_at_the_minimum_and_follows_the_aggression_to_the_full_weight() {
        assert!(near(ramp(1.0), [0.1, 0.25, 0.5, 0.99, 1.0]));
        assert!(near(ramp(2.0), [0.1, 0.5, 0.5f64.sqrt(), 0.99f64.sqrt(), 1.0]));
        assert!(near(ramp(0.5), [0.1, 0.1, 0.25, 0.99 * 0.99, 1.0]));
    }

    #[test]
    fn the_first_second_counts_as_one() {
        let slow_start = SlowStart {
            window: Duration::from_secs(4),
            ..SlowStart::default()
        };
        assert!((slow_start.factor(0) - 0.25).abs() < 1e-9);
    }

    #[test]
    fn settings_out_of_bounds_do_no_harm() {
        for aggression in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            for window in [Duration::ZERO, Duration::MAX, Duration::from_millis(1)] {
                let slow_start = SlowStart {
                    window,
                    aggression,
                    minimum_percent: 0,
                };
                for age in [0, 1, SECOND, u64::MAX] {
                    let factor = slow_start.factor(age);
                    assert!((0.01..=1.0).contains(&factor), "{slow_start:?} {age} {factor}");
                }
            }
        }
    }
}

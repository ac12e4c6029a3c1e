//! How traffic spreads over priorities and localities as their endpoints come and go, after Envoy's rules.
//!
//! The health of a priority is min(100, 140 × available ÷ all): it is taken to be overprovisioned by 1.4 and passes traffic on only
//! when fewer than 72% of its endpoints are available. Priority 0 takes its health in percent of the traffic, the next one what is
//! left up to its own, and so on; when all together stay below 100, they share the traffic in proportion. Within a priority, a
//! locality that has a weight takes traffic in proportion to weight × min(100, 140 × available ÷ all).

use crate::random::Draws;

/// The percentage by which a group is taken to be able to do more than its share (Envoy's `overprovisioning_factor`).
const OVERPROVISIONING: u64 = 140;

/// The most priorities a set tells apart; endpoints of all further ones are in the last.
pub const MAX_PRIORITIES: usize = 32;

/// The most localities told apart within a priority; endpoints of all further ones are in the last.
pub const MAX_LOCALITIES: usize = 64;

/// When an endpoint's health is disregarded because too few are left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Panic {
    /// When there is no other choice: every endpoint is out.
    #[default]
    WhenAllOut,
    /// When less than this percentage of a priority's endpoints are available and all priorities together cannot take the traffic
    /// (Envoy's `healthy_panic_threshold`, 50 by its default; Istio's `minHealthPercent`); 0 is [`Panic::Never`].
    Below(u8),
    /// Never: with every endpoint out there is none to be picked (Envoy's and Istio's threshold of 0).
    Never,
}

impl Panic {
    pub(crate) fn is_never(self) -> bool {
        matches!(self, Self::Never | Self::Below(0))
    }
}

/// How much of a group of endpoints is available.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Share {
    pub(crate) available: u32,
    pub(crate) total: u32,
}

impl Share {
    /// In percent, overprovisioning counted, at most 100.
    #[inline]
    pub(crate) fn health(self) -> u64 {
        if self.available >= self.total {
            return 100 * u64::from(self.total > 0);
        }
        (OVERPROVISIONING * u64::from(self.available) / u64::from(self.total)).min(100)
    }

    fn is_below(self, percent: u8) -> bool {
        u64::from(self.available) * 100 < u64::from(percent) * u64::from(self.total)
    }
}

/// The priority chosen for one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tier {
    /// Which one, counted from the most preferred.
    pub(crate) index: usize,
    /// Whether health is disregarded within it.
    pub(crate) panic: bool,
}

/// Draws the priority that takes a request.
pub(crate) fn draw_tier(tiers: &[Share], panic: Panic, draws: &mut Draws) -> Tier {
    let total: u64 = tiers.iter().map(|share| share.health()).sum::<u64>().min(100);
    let point = draws.below(total);
    let mut sum = 0;
    // With nothing available anywhere, all goes to the first.
    let index = tiers
        .iter()
        .position(|share| {
            sum += share.health();
            point < sum
        })
        .unwrap_or(0);
    let panic = match panic {
        Panic::Below(percent) => total < 100 && tiers.get(index).is_some_and(|share| share.is_below(percent)),
        Panic::WhenAllOut | Panic::Never => false,
    };
    Tier { index, panic }
}

/// Draws the locality that takes a request of a priority, out of weight and availability of each; `None` when none can.
pub(crate) fn draw_locality(
    localities: impl Iterator<Item = (u32, u64)> + Clone,
    draws: &mut Draws,
) -> Option<usize> {
    let effective = localities.map(|(weight, health)| u64::from(weight) * health);
    let total: u64 = effective.clone().sum();
    if total == 0 {
        return None;
    }
    let point = draws.below(total);
    let mut sum = 0;
    effective.into_iter().position(|weight| {
        sum += weight;
        point < sum
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: u64 = 100_000;

    /// Of a hundred endpoints so many are available.
    fn percent(available: u32) -> Share {
        Share {
            available,
            total: 100,
        }
    }

    /// Percent of the traffic by priority, and which were in panic.
    fn spread(available: &[u32], panic: Panic) -> (Vec<f64>, Vec<bool>) {
        let tiers: Vec<_> = available.iter().map(|&available| percent(available)).collect();
        let mut draws = Draws::new(1);
        let (mut load, mut panics) = (vec![0.0; tiers.len()], vec![false; tiers.len()]);
        for _ in 0..DRAWS {
            let tier = draw_tier(&tiers, panic, &mut draws);
            load[tier.index] += 100.0 / DRAWS as f64;
            panics[tier.index] |= tier.panic;
        }
        (load, panics)
    }

    fn near(got: &[f64], wanted: &[u32]) -> bool {
        got.iter()
            .zip(wanted)
            .all(|(got, &wanted)| (got - f64::from(wanted)).abs() < 0.8)
    }

    #[test]
    fn traffic_spills_over_as_envoy_documents_it() {
        let table: [(&[u32], &[u32]); 19] = [
            (&[100, 100], &[100, 0]),
            (&[72, 100], &[100, 0]),
            (&[71, 100], &[99, 1]),
            (&[50, 100], &[70, 30]),
            (&[25, 100], &[35, 65]),
            (&[0, 100], &[0, 100]),
            (&[72, 72], &[100, 0]),
            (&[71, 71], &[99, 1]),
            (&[50, 50], &[70, 30]),
            (&[25, 25], &[50, 50]),
            (&[5, 65], &[7, 93]),
            (&[100, 100, 100], &[100, 0, 0]),
            (&[72, 72, 100], &[100, 0, 0]),
            (&[71, 71, 100], &[99, 1, 0]),
            (&[50, 50, 100], &[70, 30, 0]),
            (&[25, 100, 100], &[35, 65, 0]),
            (&[25, 25, 100], &[35, 35, 30]),
            (&[25, 25, 20], &[36, 36, 28]),
            (&[0, 0], &[100, 0]),
        ];
        for (available, wanted) in table {
            let (load, _) = spread(available, Panic::WhenAllOut);
            assert!(near(&load, wanted), "{available:?}: {load:?}, not {wanted:?}");
        }
    }

    #[test]
    fn a_priority_panics_only_below_the_threshold_and_only_when_all_together_fall_short() {
        let table: [(&[u32], &[bool]); 6] = [
            (&[25, 100], &[false, false]),
            (&[0, 100], &[false, false]),
            (&[71, 71], &[false, false]),
            (&[25, 25], &[true, true]),
            (&[5, 65], &[true, false]),
            (&[0, 0], &[true, false]),
        ];
        for (available, wanted) in table {
            assert_eq!(spread(available, Panic::Below(50)).1, wanted, "{available:?}");
            assert!(!spread(available, Panic::Below(0)).1.contains(&true));
            assert!(!spread(available, Panic::Never).1.contains(&true));
        }
    }

    #[test]
    fn localities_take_traffic_by_weight_and_availability_as_envoy_documents_it() {
        for (available, wanted) in [(100, 33), (70, 33), (69, 32), (50, 26), (25, 15), (0, 0)] {
            let localities = [(1, percent(available).health()), (2, 100)];
            let mut draws = Draws::new(3);
            let first = (0..DRAWS)
                .filter(|_| draw_locality(localities.into_iter(), &mut draws) == Some(0))
                .count();
            let share = first as f64 * 100.0 / DRAWS as f64;
            assert!(near(&[share], &[wanted]), "{available}: {share}, not {wanted}");
        }
        assert_eq!(
            draw_locality([(1, 0), (0, 100)].into_iter(), &mut Draws::new(1)),
            None
        );
    }

    #[test]
    fn a_group_without_endpoints_takes_nothing() {
        assert_eq!(Share::default().health(), 0);
    }
}

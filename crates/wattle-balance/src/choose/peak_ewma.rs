//! Choice by latency and load.

use super::view::View;
use crate::endpoints::Entry;
use crate::health::Health;
use crate::random::Draws;

/// How many times cheaper an endpoint must be to be taken against the weights; below that, differences are the noise of peaks,
/// which busier endpoints see more of, and would bend the shares.
const CLEARLY_CHEAPER: f64 = 2.0;

impl<T> View<'_, T> {
    /// Of two endpoints drawn, the one of lower cost: estimated latency × (requests in flight relative to weight + 1).
    ///
    /// Where weights differ, both draws are by weight and may fall on the same endpoint, and only a clearly cheaper one is
    /// preferred, so that endpoints that are alike share the traffic as their weights say; where they do not, the two are distinct.
    /// An endpoint whose probe is due is taken at once when drawn.
    pub(super) fn peak_ewma(&self, draws: &mut Draws) -> Option<usize> {
        let equal = self.pool.cumulative.is_empty();
        let first = self.draw(draws, None)?;
        let second = self.draw(draws, equal.then_some(first));
        let Some(second) = second else {
            return Some(first);
        };
        let margin = if equal { 1.0 } else { CLEARLY_CHEAPER };
        if self.cost(&self.entries[second]) * margin < self.cost(&self.entries[first]) {
            Some(second)
        } else {
            Some(first)
        }
    }

    /// What a request would cost here, in nanoseconds; only comparisons mean anything.
    #[inline]
    fn cost(&self, entry: &Entry<T>) -> f64 {
        let (member, now) = (&entry.member, self.wanted.now);
        let in_flight = f64::from(member.in_flight());
        if member.health(now) == Health::ProbeDue {
            return 0.0;
        }
        // One request at a time finds out what a new endpoint can do; until then the initial estimate keeps others away.
        if !member.ewma.is_measured() && in_flight == 0.0 {
            return 0.0;
        }
        let load = if self.pool.cumulative.is_empty() {
            in_flight
        } else {
            in_flight * self.pool.mean_weight() / f64::from(entry.weight)
        };
        member.ewma.estimate(now) * (load + 1.0)
    }
}

//! Which endpoint gets a request: of two drawn at random, the one that costs less.

use std::rc::Rc;

use crate::endpoints::{EndpointId, EndpointSet, Entry, Member};
use crate::health::Health;
use crate::picked::Picked;
use crate::random::Draws;

/// Draws that may hit an unfit endpoint before all are looked through; keeps a pick cheap in a large set that is mostly fit.
const TRIES: usize = 4;

/// How many times cheaper an endpoint must be to be taken against the weights; below that, differences are the noise of peaks,
/// which busier endpoints see more of, and would bend the shares.
const CLEARLY_CHEAPER: f64 = 2.0;

/// Which endpoints may be drawn, from what is wanted to the last resort.
#[derive(Clone, Copy)]
struct Fit<'a> {
    now: u64,
    avoid: &'a [EndpointId],
    healthy_only: bool,
}

impl Fit<'_> {
    #[inline]
    fn allows<T>(&self, member: &Member<T>) -> bool {
        (!self.healthy_only || member.health.at(self.now) != Health::Out)
            && !self.avoid.contains(&member.id())
    }
}

impl<T> EndpointSet<T> {
    /// Picks an endpoint for one request; `None` only when the set is empty.
    ///
    /// Two endpoints are drawn and the one of lower cost is taken: estimated latency × (requests in flight relative to weight + 1).
    /// Where weights differ, both draws are by weight and may fall on the same endpoint, and only a clearly cheaper one is
    /// preferred, so that endpoints that are alike share the traffic as their weights say; where they do not, the two are distinct. An endpoint whose probe is due is taken at once when drawn.
    ///
    /// Wanted, in this order: fit and not in `avoid`; fit; out and not in `avoid`; any. The last two happen only when every endpoint is
    /// out, which [`Picked::panic`] tells. `avoid` is scanned linearly: it is meant for the few endpoints a retry has tried.
    #[must_use]
    pub fn pick(&self, random: u64, now: u64, avoid: &[EndpointId]) -> Option<Picked<T>> {
        let mut draws = Draws::new(random);
        let fit = Fit {
            now,
            avoid,
            healthy_only: true,
        };
        let unavoided = Fit { avoid: &[], ..fit };
        let healthy = self
            .choose(&mut draws, fit)
            .or_else(|| (!avoid.is_empty()).then(|| self.choose(&mut draws, unavoided))?);
        if let Some(member) = healthy {
            return Some(Picked::new(member, now, draws.next()));
        }
        let out = |fit| Fit {
            healthy_only: false,
            ..fit
        };
        self.choose(&mut draws, out(fit))
            .or_else(|| self.choose(&mut draws, out(unavoided)))
            .map(|member| Picked::new(member, now, draws.next()).in_panic())
    }

    fn choose(&self, draws: &mut Draws, fit: Fit<'_>) -> Option<&Rc<Member<T>>> {
        let first = self.draw(draws, fit, None)?;
        let second = match self.cumulative.is_empty() {
            true => self.draw(draws, fit, Some(first)),
            false => self.draw(draws, fit, None),
        };
        let first = &self.entries[first];
        let Some(second) = second.map(|index| &self.entries[index]) else {
            return Some(&first.member);
        };
        let margin = if self.cumulative.is_empty() {
            1.0
        } else {
            CLEARLY_CHEAPER
        };
        let lighter = if self.cost(second, fit.now) * margin < self.cost(first, fit.now) {
            second
        } else {
            first
        };
        Some(&lighter.member)
    }

    /// What a request would cost here, in nanoseconds; only comparisons mean anything.
    #[inline]
    fn cost(&self, entry: &Entry<T>, now: u64) -> f64 {
        let member = &entry.member;
        let in_flight = f64::from(member.in_flight());
        if member.health.at(now) == Health::ProbeDue {
            return 0.0;
        }
        // One request at a time finds out what a new endpoint can do; until then the initial estimate keeps others away.
        if !member.ewma.is_measured() && in_flight == 0.0 {
            return 0.0;
        }
        let load = if self.cumulative.is_empty() {
            in_flight
        } else {
            in_flight * self.mean_weight() / f64::from(entry.weight)
        };
        member.ewma.estimate(now) * (load + 1.0)
    }

    /// Draws the index of an endpoint that fits, other than `taken`.
    fn draw(&self, draws: &mut Draws, fit: Fit<'_>, taken: Option<usize>) -> Option<usize> {
        let allowed = |index: usize| Some(index) != taken && fit.allows(&self.entries[index].member);
        if self.entries.len() <= usize::from(taken.is_some()) {
            return None;
        }
        for _ in 0..TRIES {
            let index = self.blind_draw(draws);
            if allowed(index) {
                return Some(index);
            }
        }
        self.search(draws, allowed)
    }

    #[inline]
    fn blind_draw(&self, draws: &mut Draws) -> usize {
        match self.cumulative.last() {
            None => draws.below(self.entries.len() as u64) as usize,
            Some(&total) => {
                let point = draws.below(total);
                self.cumulative.partition_point(|&sum| sum <= point)
            }
        }
    }

    /// Draws among what is allowed by looking at every endpoint, each with a chance in proportion to its weight.
    fn search(&self, draws: &mut Draws, allowed: impl Fn(usize) -> bool) -> Option<usize> {
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

    fn mean_weight(&self) -> f64 {
        let total = self.cumulative.last().copied().unwrap_or(0);
        total as f64 / self.entries.len().max(1) as f64
    }
}

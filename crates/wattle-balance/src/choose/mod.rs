//! Which endpoint gets a request: first the priority, then the locality, then one of their endpoints by one of several ways.
//!
//! The ways are `peak_ewma.rs` (the default), `round_robin.rs`, `random.rs`, `least_request.rs`, `ring.rs` and `maglev.rs`.

mod edf;
pub(crate) mod hash;
mod least_request;
mod maglev;
mod peak_ewma;
pub(crate) mod pool;
mod random;
mod ring;
mod round_robin;
mod view;

use std::net::SocketAddr;
use std::rc::Rc;

use crate::config::Balance;
use crate::endpoints::EndpointSet;
use crate::health::Health;
use crate::member::{EndpointId, Member};
use crate::picked::Picked;
use crate::priority::{self, Tier};
use crate::random::Draws;
use view::{View, Wanted};

/// An endpoint, and whether health was disregarded in choosing it.
type Found<'a, T> = (&'a Rc<Member<T>>, bool);

impl<T> EndpointSet<T> {
    /// Picks an endpoint for one request; `None` only when the set is empty or, with [`crate::Panic::Never`], when every endpoint is out.
    ///
    /// Wanted, in this order: fit and not in `avoid`; fit; out and not in `avoid`; any. The last two happen only when every endpoint is
    /// out, which [`Picked::panic`] tells. `avoid` is scanned linearly: it is meant for the few endpoints a retry has tried.
    ///
    /// A set that chooses by hash takes the random number for one.
    #[must_use]
    pub fn pick(&self, random: u64, now: u64, avoid: &[EndpointId]) -> Option<Picked<T>> {
        self.pick_by_hash(random, random, now, avoid)
    }

    /// The same for a request with a hash, which sets that choose by hash go by, and others disregard.
    ///
    /// The hash also decides among priorities and localities, so that a key stays where it is. When its endpoint is unfit or avoided,
    /// the next one on the ring or in the table takes its place.
    #[must_use]
    pub fn pick_by_hash(&self, hash: u64, random: u64, now: u64, avoid: &[EndpointId]) -> Option<Picked<T>> {
        let mut draws = Draws::new(random);
        let fit = Wanted {
            now,
            hash,
            avoid,
            healthy_only: true,
        };
        let unavoided = Wanted { avoid: &[], ..fit };
        let healthy = self
            .choose(&mut draws, fit)
            .or_else(|| (!avoid.is_empty()).then(|| self.choose(&mut draws, unavoided))?);
        if let Some((member, panic)) = healthy {
            return Some(Picked::new(member, now, draws.next(), panic));
        }
        if self.config.panic.is_never() {
            return None;
        }
        let out = |wanted| Wanted {
            healthy_only: false,
            ..wanted
        };
        self.in_order(&mut draws, out(fit))
            .or_else(|| self.in_order(&mut draws, out(unavoided)))
            .map(|member| Picked::new(member, now, draws.next(), true))
    }

    /// Picks the endpoint at this address, fit or not; `None` when the set has none there. Looks at every endpoint.
    #[must_use]
    pub fn pick_at(&self, address: SocketAddr, random: u64, now: u64) -> Option<Picked<T>> {
        let there = self.members().find(|member| member.address() == address)?;
        Some(Picked::new(there, now, random, false))
    }

    fn choose(&self, draws: &mut Draws, wanted: Wanted<'_>) -> Option<Found<'_, T>> {
        if self.flat {
            return self.in_order(draws, wanted).map(|member| (member, false));
        }
        let mut placing = match self.config.balance.is_by_hash() {
            true => Draws::new(wanted.hash),
            false => Draws::new(draws.next()),
        };
        let tier = priority::draw_tier(&self.standing.shares().tiers, self.config.panic, &mut placing);
        if let Some(due) = self.due_for_probe(tier, wanted) {
            return Some((due, false));
        }
        let within = Wanted {
            healthy_only: !tier.panic,
            ..wanted
        };
        let pool = self.draw_pool(tier, &mut placing)?;
        self.choose_in(pool, draws, within)
            .map(|member| (member, tier.panic))
            .or_else(|| self.in_order(draws, wanted).map(|member| (member, false)))
    }

    /// Draws the locality, by weight and availability; by weight alone in panic or when none is available.
    fn draw_pool(&self, tier: Tier, placing: &mut Draws) -> Option<usize> {
        let pools = self.tiers.get(tier.index)?.pools.clone();
        if pools.len() == 1 {
            return Some(pools.start);
        }
        let weight = |index: usize| self.pools[index].weight;
        let shares = self.standing.shares();
        let by_health = |index: usize| (weight(index), shares.pools.get(index).map_or(0, |it| it.health()));
        let drawn = match tier.panic {
            true => None,
            false => priority::draw_locality(pools.clone().map(by_health), placing),
        };
        drawn
            .or_else(|| priority::draw_locality(pools.clone().map(|index| (weight(index), 1)), placing))
            .map(|index| pools.start + index)
    }

    /// The first endpoint that can be had, in the order of priorities and localities.
    fn in_order(&self, draws: &mut Draws, wanted: Wanted<'_>) -> Option<&Rc<Member<T>>> {
        (0..self.pools.len()).find_map(|pool| self.choose_in(pool, draws, wanted))
    }

    fn choose_in(&self, pool: usize, draws: &mut Draws, wanted: Wanted<'_>) -> Option<&Rc<Member<T>>> {
        let pool = &self.pools[pool];
        let view = View {
            entries: &self.entries[pool.range.clone()],
            pool,
            wanted,
            warming: self
                .config
                .slow_start
                .filter(|_| wanted.now < self.warm_at && !matches!(self.config.balance, Balance::Random)),
        };
        let chosen = view.choose(self.config.balance, draws)?;
        Some(&self.entries[pool.range.start + chosen].member)
    }

    /// An endpoint of this or a more preferred priority whose probe is due.
    ///
    /// Without this, one that is out in a group that gets no traffic would never be tried again. All endpoints of a priority are
    /// looked through, but only once for each time that a probe becomes due.
    fn due_for_probe(&self, tier: Tier, wanted: Wanted<'_>) -> Option<&Rc<Member<T>>> {
        let due = |index: usize| {
            self.standing
                .shares()
                .next_probe
                .get(index)
                .is_some_and(|&at| at <= wanted.now)
        };
        (0..=tier.index)
            .filter(|&index| due(index))
            .find_map(|index| self.look_for_probe(index, wanted))
    }

    fn look_for_probe(&self, tier: usize, wanted: Wanted<'_>) -> Option<&Rc<Member<T>>> {
        let (mut found, mut next) = (None, u64::MAX);
        for entry in &self.entries[self.tiers.get(tier)?.entries.clone()] {
            let member = &entry.member;
            let due = member.health(wanted.now) == Health::ProbeDue && wanted.allows(member);
            if due && found.is_none() {
                found = Some(member);
            } else if let Some(at) = member.probe_at() {
                next = next.min(at);
            }
        }
        if let Some(at) = self.standing.shares.borrow_mut().next_probe.get_mut(tier) {
            *at = next;
        }
        found
    }
}

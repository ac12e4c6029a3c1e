//! The endpoints of one backend, in groups by priority and locality.

use std::net::SocketAddr;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::choose::pool::Pool;
use crate::config::Config;
use crate::groups;
use crate::member::{EndpointId, Member};
use crate::outlier::Ejections;
use crate::priority::Panic;
use crate::standing::{Shares, Standing};

/// The most endpoints a set holds; what an update brings beyond them is refused and counted in [`Updated`].
pub const MAX_ENDPOINTS: usize = 65_536;

/// One endpoint as config names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Where to connect.
    pub address: SocketAddr,
    /// Whatever else makes it this endpoint and not another at the same address, such as the identity expected there: a change of
    /// it makes a new endpoint, and connections to the old one are not used for it.
    pub instance: Arc<str>,
    /// Its share of the traffic relative to the others of its group; one of weight zero is never chosen.
    pub weight: u32,
    /// Which group it is in: 0 is asked first, others as those before them fail; see `priority.rs`.
    pub priority: u32,
    /// Region, zone and subzone, separated by `/`, where known.
    pub locality: Option<Arc<str>>,
    /// The share of its locality in the traffic of its priority (Istio's `distribute`), the same for all endpoints there; where one
    /// is above zero, localities of weight zero are asked only when the others have none. Zero everywhere means localities do not matter.
    pub locality_weight: u32,
}

/// A member with what may change about it while its state stays.
#[derive(Debug)]
pub(crate) struct Entry<T> {
    pub(crate) member: Rc<Member<T>>,
    pub(crate) weight: u32,
    pub(crate) priority: u32,
    pub(crate) locality: Option<Arc<str>>,
    pub(crate) locality_weight: u32,
}

/// An endpoint with what config says of it, for display.
#[derive(Clone, Copy, Debug)]
pub struct Described<'a, T> {
    /// The endpoint.
    pub member: &'a Member<T>,
    /// See [`Endpoint::weight`].
    pub weight: u32,
    /// See [`Endpoint::priority`].
    pub priority: u32,
    /// See [`Endpoint::locality`].
    pub locality: Option<&'a str>,
}

/// What an update did.
#[derive(Debug)]
pub struct Updated<T> {
    /// Endpoints that are no longer chosen, to be drained by the caller.
    pub removed: Vec<Rc<Member<T>>>,
    /// How many endpoints are new.
    pub added: usize,
    /// How many were refused because the set is full, see [`MAX_ENDPOINTS`].
    pub refused: usize,
}

/// The endpoints of one priority.
#[derive(Debug)]
pub(crate) struct Tier {
    pub(crate) entries: Range<usize>,
    pub(crate) pools: Range<usize>,
}

/// The endpoints of one backend, as one worker sees them.
#[derive(Debug)]
pub struct EndpointSet<T> {
    /// Only endpoints of positive weight, each once; those of one pool stand together.
    pub(crate) entries: Vec<Entry<T>>,
    /// Most preferred first.
    pub(crate) tiers: Vec<Tier>,
    pub(crate) pools: Vec<Pool>,
    pub(crate) config: Config,
    /// Whether there is but one pool and nothing to decide before it.
    pub(crate) flat: bool,
    /// When the last endpoint has its full weight.
    pub(crate) warm_at: u64,
    pub(crate) standing: Rc<Standing>,
    pub(crate) swept_at: u64,
    next_id: u64,
    generation: u64,
}

impl<T> EndpointSet<T> {
    /// An empty set, from which nothing can be picked.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            entries: Vec::new(),
            tiers: Vec::new(),
            pools: Vec::new(),
            config,
            flat: true,
            warm_at: 0,
            standing: Rc::new(Standing::new(config)),
            swept_at: 0,
            next_id: 0,
            generation: 0,
        }
    }

    /// Replaces the endpoints; those that stay keep load, health and payload, and `payload` makes one for each that is new.
    ///
    /// What makes an endpoint the same is address and instance: weight, priority and locality may change. One listed twice counts
    /// once with the sum of its weights.
    pub fn update(
        &mut self,
        endpoints: Vec<Endpoint>,
        now: u64,
        mut payload: impl FnMut(&Endpoint) -> T,
    ) -> Updated<T> {
        let first = self.entries.is_empty();
        let mut known: HashMap<(SocketAddr, Arc<str>), Rc<Member<T>>> = self
            .entries
            .drain(..)
            .map(|entry| (entry.member.key(), entry.member))
            .collect();
        let (wanted, refused) = merged(endpoints);
        let mut added = 0;
        for endpoint in wanted {
            let identity = (endpoint.address, Arc::clone(&endpoint.instance));
            let member = known.remove(&identity).unwrap_or_else(|| {
                added += 1;
                let id = EndpointId(self.next_id);
                self.next_id += 1;
                let payload = payload(&endpoint);
                Rc::new(Member::new(id, &endpoint, &self.standing, (now, first), payload))
            });
            self.entries.push(Entry {
                member,
                weight: endpoint.weight,
                priority: endpoint.priority,
                locality: endpoint.locality,
                locality_weight: endpoint.locality_weight,
            });
        }
        let removed: Vec<_> = known.into_values().collect();
        for member in &removed {
            member.put(None);
        }
        self.arrange(now);
        Updated {
            removed,
            added,
            refused,
        }
    }

    /// Balances differently from now on; endpoints keep their state, and latencies known keep the decay they were recorded with.
    pub fn configure(&mut self, config: Config, now: u64) {
        self.config = config;
        *self.standing.config.borrow_mut() = config;
        if config.outlier.is_none() {
            for entry in &self.entries {
                entry.member.suspect.forgive();
            }
        }
        self.arrange(now);
    }

    /// The endpoints that can be chosen, by priority, then locality where these have weights, then as config lists them.
    pub fn members(&self) -> impl Iterator<Item = &Rc<Member<T>>> {
        self.entries.iter().map(|entry| &entry.member)
    }

    /// The endpoints with what config says of each.
    pub fn described(&self) -> impl Iterator<Item = Described<'_, T>> {
        self.entries.iter().map(|entry| Described {
            member: &entry.member,
            weight: entry.weight,
            priority: entry.priority,
            locality: entry.locality.as_deref(),
        })
    }

    /// How many endpoints can be chosen.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing can be chosen.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Ejections by outlier detection, for metrics.
    #[must_use]
    pub fn ejections(&self) -> Ejections {
        self.standing.ejections.get()
    }

    /// Groups the endpoints and makes ready whatever choosing needs, so that a pick builds nothing.
    fn arrange(&mut self, now: u64) {
        self.generation += 1;
        let places = groups::sort(&mut self.entries, self.config.balance.is_by_hash());
        let (tiers, pools) = groups::build(&self.entries, &places, &self.config, (self.generation, now));
        self.flat = pools.len() <= 1 && !matches!(self.config.panic, Panic::Below(1..));
        (self.tiers, self.pools) = (tiers, pools);
        let mut shares = Shares::default();
        let mut ejected = 0;
        for (entry, &place) in self.entries.iter().zip(&places) {
            let member = &entry.member;
            shares.enter(place, member.put(Some(place)), member.probe_at());
            ejected += u32::from(member.suspect.until().is_some());
        }
        *self.standing.shares.borrow_mut() = shares;
        self.standing.total.set(self.entries.len() as u32);
        let mut ejections = self.standing.ejections.get();
        ejections.active = ejected;
        self.standing.ejections.set(ejections);
        self.warm_at = self.config.slow_start.map_or(0, |slow_start| {
            let warm_at = |entry: &Entry<T>| entry.member.warm_at(&slow_start);
            self.entries.iter().map(warm_at).max().unwrap_or(0)
        });
    }
}

/// Each endpoint of positive weight once, and how many did not fit.
fn merged(endpoints: Vec<Endpoint>) -> (Vec<Endpoint>, usize) {
    let mut at: HashMap<(SocketAddr, Arc<str>), usize> = HashMap::with_capacity(endpoints.len());
    let mut kept: Vec<Endpoint> = Vec::with_capacity(endpoints.len().min(MAX_ENDPOINTS));
    let mut refused = 0;
    for endpoint in endpoints {
        let identity = (endpoint.address, Arc::clone(&endpoint.instance));
        if let Some(&index) = at.get(&identity) {
            kept[index].weight = kept[index].weight.saturating_add(endpoint.weight);
        } else if endpoint.weight > 0 && kept.len() == MAX_ENDPOINTS {
            refused += 1;
        } else if endpoint.weight > 0 {
            at.insert(identity, kept.len());
            kept.push(endpoint);
        }
    }
    (kept, refused)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Health, Outcome};

    fn endpoint(last: u8, instance: &str) -> Endpoint {
        Endpoint {
            address: SocketAddr::from(([10, 0, 0, last], 80)),
            instance: Arc::from(instance),
            weight: 1,
            priority: 0,
            locality: None,
            locality_weight: 0,
        }
    }

    #[test]
    fn an_endpoint_that_stays_keeps_its_payload_load_and_health() {
        let mut set = EndpointSet::new(Config::default());
        set.update(vec![endpoint(1, "x")], 0, |_| "first");
        let mut open = set.pick(1, 0, &[]).unwrap();
        set.pick(1, 0, &[]).unwrap().outcome(5, Outcome::ConnectFailure);
        let updated = set.update(vec![endpoint(2, ""), endpoint(1, "x")], 1, |_| "second");
        assert_eq!((updated.added, updated.removed.len()), (1, 0));
        let kept = set.members().nth(1).unwrap();
        assert_eq!(*kept.payload(), "first");
        assert_eq!(kept.in_flight(), 1);
        assert_eq!(kept.health(10), Health::Out);
        open.outcome(1, Outcome::Success);
    }

    #[test]
    fn a_removed_endpoint_comes_back_to_the_caller_and_lives_until_its_requests_end() {
        let mut set = EndpointSet::new(Config::default());
        set.update(vec![endpoint(1, "")], 0, |_| ());
        let picked = set.pick(1, 0, &[]).unwrap();
        let updated = set.update(Vec::new(), 1, |_| ());
        assert_eq!(updated.removed[0].in_flight(), 1);
        assert!(set.pick(1, 2, &[]).is_none());
        drop(picked);
        assert_eq!(updated.removed[0].in_flight(), 0);
    }

    #[test]
    fn another_identity_at_the_same_address_is_another_endpoint() {
        let mut set = EndpointSet::new(Config::default());
        set.update(vec![endpoint(1, "spiffe://a/ns/x/sa/old")], 0, |_| "old");
        let updated = set.update(vec![endpoint(1, "spiffe://a/ns/x/sa/new")], 1, |_| "new");
        assert_eq!(*updated.removed[0].payload(), "old");
        assert_eq!(*set.members().next().unwrap().payload(), "new");
    }

    #[test]
    fn an_endpoint_listed_twice_counts_once_with_both_weights() {
        let mut set = EndpointSet::new(Config::default());
        set.update(vec![endpoint(1, ""), endpoint(1, "")], 0, |_| ());
        assert_eq!(set.described().map(|it| it.weight).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn a_set_takes_no_more_endpoints_than_its_bound_and_says_how_many_it_refused() {
        let many = (0..MAX_ENDPOINTS as u32 + 3)
            .map(|index| Endpoint {
                address: SocketAddr::from((index.to_be_bytes(), 80)),
                ..endpoint(0, "")
            })
            .collect();
        let mut set = EndpointSet::new(Config::default());
        assert_eq!(set.update(many, 0, |_| ()).refused, 3);
        assert_eq!(set.len(), MAX_ENDPOINTS);
    }

    #[test]
    fn an_endpoint_that_a_health_check_finds_unfit_is_out_until_it_is_found_fit() {
        let mut set = EndpointSet::new(Config::default());
        set.update(vec![endpoint(1, "a"), endpoint(2, "a")], 0, |_| ());
        let first = Rc::clone(set.members().next().unwrap());
        first.judge(false);
        for random in 0..50_u64 {
            let picked = set
                .pick(random.wrapping_mul(0x9e37_79b9_7f4a_7c15), 1, &[])
                .unwrap();
            assert_ne!(picked.member().id(), first.id());
        }
        assert_eq!(first.health(1), Health::Out);
        first.judge(true);
        assert_eq!(first.health(1), Health::Healthy);
    }

    #[test]
    fn what_is_attached_to_a_pick_is_freed_with_it() {
        let mut set = EndpointSet::new(Config::default());
        set.update(vec![endpoint(1, "a")], 0, |_| ());
        let breaker = crate::Breaker::new(crate::Limits {
            max_requests: 1,
            ..crate::Limits::default()
        });
        let mut picked = set.pick_at(endpoint(1, "a").address, 0, 0).unwrap();
        picked.attach(breaker.try_request().unwrap());
        assert!(breaker.try_request().is_none());
        drop(picked);
        assert!(breaker.try_request().is_some());
    }
}

//! The endpoints of one backend and what a worker remembers about each.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::ewma::{Ewma, EwmaConfig};
use crate::health::{Health, HealthConfig, Record};

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
    /// Its share of the traffic relative to the others; one of weight zero is never chosen.
    pub weight: u32,
    /// Region, zone and subzone, separated by `/`, where known; kept for display, not yet for choosing.
    pub locality: Option<Arc<str>>,
}

/// The name of an endpoint within one set, never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EndpointId(u64);

/// How a set estimates latency and judges health.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// How latency is averaged.
    pub ewma: EwmaConfig,
    /// When an endpoint is taken out.
    pub health: HealthConfig,
}

/// An endpoint with its load, its health and the caller's payload; it outlives its removal while requests to it last.
#[derive(Debug)]
pub struct Member<T> {
    id: EndpointId,
    address: SocketAddr,
    instance: Arc<str>,
    pub(crate) in_flight: Cell<u32>,
    pub(crate) ewma: Ewma,
    pub(crate) health: Record,
    payload: T,
}

impl<T> Member<T> {
    /// Its name within the set.
    #[inline]
    pub const fn id(&self) -> EndpointId {
        self.id
    }

    /// Where to connect.
    #[inline]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What else identifies it, see [`Endpoint::instance`].
    #[inline]
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// What the caller keeps here, such as pools of connections.
    #[inline]
    pub const fn payload(&self) -> &T {
        &self.payload
    }

    /// Requests picked for it that have not ended.
    #[inline]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.get()
    }

    /// What is thought of it at `now`.
    #[inline]
    pub fn health(&self, now: u64) -> Health {
        self.health.at(now)
    }

    /// The latency it is taken to have at `now`, in nanoseconds, failures weighed in.
    pub fn estimate_ns(&self, now: u64) -> f64 {
        self.ewma.estimate(now)
    }
}

/// A member with what may change about it while its state stays.
#[derive(Debug)]
pub(crate) struct Entry<T> {
    pub(crate) member: Rc<Member<T>>,
    pub(crate) weight: u32,
    locality: Option<Arc<str>>,
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

/// The endpoints of one backend, as one worker sees them.
#[derive(Debug)]
pub struct EndpointSet<T> {
    /// Only endpoints of positive weight, each once.
    pub(crate) entries: Vec<Entry<T>>,
    /// Running sums of the weights; empty when all weights are equal.
    pub(crate) cumulative: Vec<u64>,
    config: Config,
    next_id: u64,
}

impl<T> EndpointSet<T> {
    /// An empty set, from which nothing can be picked.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Self {
            entries: Vec::new(),
            cumulative: Vec::new(),
            config,
            next_id: 0,
        }
    }

    /// Replaces the endpoints; those that stay keep load, health and payload, and `payload` makes one for each that is new.
    ///
    /// An endpoint listed twice counts once with the sum of its weights.
    pub fn update(
        &mut self,
        endpoints: Vec<Endpoint>,
        now: u64,
        mut payload: impl FnMut(&Endpoint) -> T,
    ) -> Updated<T> {
        let mut known: HashMap<(SocketAddr, Arc<str>), Rc<Member<T>>> = self
            .entries
            .drain(..)
            .map(|entry| (key(&entry.member), entry.member))
            .collect();
        let (wanted, refused) = merged(endpoints);
        let mut added = 0;
        for endpoint in wanted {
            let identity = (endpoint.address, Arc::clone(&endpoint.instance));
            let member = known.remove(&identity).unwrap_or_else(|| {
                added += 1;
                self.admit(&endpoint, now, payload(&endpoint))
            });
            self.entries.push(Entry {
                member,
                weight: endpoint.weight,
                locality: endpoint.locality,
            });
        }
        self.cumulative = cumulative(&self.entries);
        Updated {
            removed: known.into_values().collect(),
            added,
            refused,
        }
    }

    /// The endpoints that can be chosen, in the order in which config lists them.
    pub fn members(&self) -> impl Iterator<Item = &Rc<Member<T>>> {
        self.entries.iter().map(|entry| &entry.member)
    }

    /// Weight and locality beside each endpoint, for display.
    pub fn described(&self) -> impl Iterator<Item = (&Member<T>, u32, Option<&str>)> {
        self.entries
            .iter()
            .map(|entry| (&*entry.member, entry.weight, entry.locality.as_deref()))
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

    fn admit(&mut self, endpoint: &Endpoint, now: u64, payload: T) -> Rc<Member<T>> {
        let id = EndpointId(self.next_id);
        self.next_id += 1;
        Rc::new(Member {
            id,
            address: endpoint.address,
            instance: Arc::clone(&endpoint.instance),
            in_flight: Cell::new(0),
            ewma: Ewma::new(&self.config.ewma, now),
            health: Record::new(self.config.health),
            payload,
        })
    }
}

fn key<T>(member: &Member<T>) -> (SocketAddr, Arc<str>) {
    (member.address, Arc::clone(&member.instance))
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

fn cumulative<T>(entries: &[Entry<T>]) -> Vec<u64> {
    let equal = entries.windows(2).all(|pair| pair[0].weight == pair[1].weight);
    if equal {
        return Vec::new();
    }
    let mut sum = 0u64;
    entries
        .iter()
        .map(|entry| {
            sum += u64::from(entry.weight);
            sum
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Outcome;

    fn endpoint(last: u8, instance: &str) -> Endpoint {
        Endpoint {
            address: SocketAddr::from(([10, 0, 0, last], 80)),
            instance: Arc::from(instance),
            weight: 1,
            locality: None,
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
        assert_eq!(
            set.described().map(|(_, weight, _)| weight).collect::<Vec<_>>(),
            [2]
        );
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
}

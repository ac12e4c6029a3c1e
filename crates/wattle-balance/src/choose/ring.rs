//! Choice by hash on a ring: the next point after the key's says which endpoint.
//!
//! The heaviest endpoint has `minimum_ring_size` points while all endpoints' fit into `maximum_ring_size`, the others in proportion.
//! As the number of points of an endpoint does not depend on who else is there, one that leaves moves its own keys and no others;
//! only beyond the maximum (64 endpoints by default) do the points of all become fewer as the set grows, which moves as many again.

use super::hash;
use super::view::View;
use crate::config::MAX_RING_SIZE;
use crate::random::mix;

/// Points passed over for endpoints that may not be chosen, before another way is taken; bounds a pick.
const TRIES: usize = 128;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    at: u64,
    index: u32,
}

/// The points of all endpoints of one pool, sorted.
#[derive(Debug)]
pub(crate) struct Ring {
    points: Box<[Point]>,
}

impl Ring {
    /// Takes hash and weight of each endpoint. Two at one address share their points, which all go to the first.
    pub(super) fn new(endpoints: &[(u64, f64)], minimum: u32, maximum: u32) -> Self {
        let minimum = minimum.clamp(1, MAX_RING_SIZE);
        let maximum = maximum.clamp(minimum, MAX_RING_SIZE);
        let most = (maximum / (endpoints.len().max(1) as u32)).clamp(1, minimum);
        let heaviest = endpoints.iter().map(|&(_, weight)| weight).fold(0.0, f64::max);
        let mut points = Vec::with_capacity(endpoints.len() * most as usize);
        for (index, &(hash, weight)) in endpoints.iter().enumerate() {
            let count = (f64::from(most) * weight / heaviest).ceil() as u64;
            points.extend((0..count.min(u64::from(most))).map(|number| Point {
                at: hash::point(hash, number),
                index: index as u32,
            }));
        }
        points.sort_unstable();
        Self {
            points: points.into_boxed_slice(),
        }
    }

    /// The endpoints from the key's point on, around the ring, as far as a pick may look.
    fn from(&self, key: u64) -> impl Iterator<Item = usize> {
        let key = mix(key);
        let first = self.points.partition_point(|point| point.at < key);
        let (before, after) = self.points.split_at(first);
        after
            .iter()
            .chain(before)
            .map(|point| point.index as usize)
            .take(TRIES)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.points.len()
    }
}

impl<T> View<'_, T> {
    /// The endpoint of the key's point, or of the next point whose endpoint may be chosen.
    pub(super) fn on_ring(&self, ring: &Ring) -> Option<usize> {
        ring.from(self.wanted.hash)
            .find(|&index| self.allows(index))
            .or_else(|| self.by_rendezvous())
    }

    /// Where most may not be chosen: of those that may, the one whose hash with the key is highest, so that keys stay together.
    pub(super) fn by_rendezvous(&self) -> Option<usize> {
        let key = mix(self.wanted.hash);
        let rank = |index: usize| mix(key ^ hash::address(self.entries[index].member.address()));
        (0..self.entries.len())
            .filter(|&index| self.allows(index))
            .max_by_key(|&index| rank(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(count: u64) -> Ring {
        let endpoints: Vec<_> = (0..count).map(|index| (mix(index + 1), 1.0)).collect();
        Ring::new(&endpoints, 1_024, 65_536)
    }

    #[test]
    fn the_ring_has_the_minimum_for_one_endpoint_and_never_more_than_the_maximum() {
        let table = [
            (1, 1_024),
            (64, 65_536),
            (65, 65_520),
            (1_000, 65_000),
            (65_536, 65_536),
        ];
        for (endpoints, points) in table {
            assert_eq!(ring(endpoints).len(), points, "{endpoints}");
        }
        assert_eq!(
            Ring::new(&[(1, 1.0); 2], u32::MAX, 0).len(),
            MAX_RING_SIZE as usize
        );
        assert_eq!(Ring::new(&[], 1_024, 65_536).len(), 0);
    }

    #[test]
    fn points_are_in_proportion_to_weights_and_the_lightest_has_one() {
        let ring = Ring::new(&[(1, 4.0), (2, 1.0), (3, 0.0001), (4, 0.0)], 1_024, 65_536);
        let of = |index| ring.points.iter().filter(|point| point.index == index).count();
        assert_eq!([of(0), of(1), of(2), of(3)], [1_024, 256, 1, 0]);
    }
}

//! Choice by hash in a table (Maglev, Eisenbud et al., NSDI 2016): faster than a ring, and spread more evenly.
//!
//! Each endpoint goes through the table in an order of its own and takes free slots in turn, heavier ones more often. The order of
//! turns follows the endpoints' hashes, not the order in which config lists them. When the endpoint of a slot may not be chosen, the
//! next slot's is asked.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::hash;
use super::view::View;
use crate::config::MAX_TABLE_SIZE;
use crate::random::mix;

/// Slots passed over for endpoints that may not be chosen, before another way is taken; bounds a pick.
const TRIES: usize = 128;

const FREE: u32 = u32::MAX;

/// Which endpoint each slot belongs to.
#[derive(Debug)]
pub(crate) struct Maglev {
    slots: Box<[u32]>,
}

/// An endpoint's way through the table.
struct Walk {
    index: u32,
    at: u64,
    skip: u64,
}

impl Walk {
    fn new(index: usize, hash: u64, size: u64) -> Self {
        Self {
            index: index as u32,
            at: hash::point(hash, 0) % size,
            skip: hash::point(hash, 1) % (size - 1) + 1,
        }
    }

    /// Takes the next free slot; as the size is a prime, the way leads through all.
    fn take(&mut self, slots: &mut [u32]) {
        let size = slots.len() as u64;
        for _ in 0..size {
            let slot = &mut slots[self.at as usize];
            self.at = (self.at + self.skip) % size;
            if *slot == FREE {
                *slot = self.index;
                return;
            }
        }
    }
}

impl Maglev {
    /// Takes hash and weight of each endpoint; the size becomes the next prime.
    pub(super) fn new(endpoints: &[(u64, f64)], table_size: u32) -> Self {
        let size = next_prime(table_size);
        let heaviest = endpoints.iter().map(|&(_, weight)| weight).fold(0.0, f64::max);
        let mut order: Vec<usize> = (0..endpoints.len()).filter(|&it| endpoints[it].1 > 0.0).collect();
        order.sort_by_key(|&index| endpoints[index].0);
        let mut walks: Vec<_> = order
            .iter()
            .map(|&index| Walk::new(index, endpoints[index].0, u64::from(size)))
            .collect();
        // In units small enough for the lightest to be told apart, so that turns are compared as whole numbers.
        let period = |walk: usize| {
            let relative = endpoints[order[walk]].1 / heaviest;
            (f64::from(1 << 20) / relative).min(1e15) as u64
        };
        let mut turns: BinaryHeap<_> = (0..walks.len())
            .map(|walk| Reverse((period(walk), walk)))
            .collect();
        let mut slots = vec![FREE; if walks.is_empty() { 0 } else { size as usize }];
        for _ in 0..slots.len() {
            if let Some(mut turn) = turns.peek_mut() {
                let walk = turn.0.1;
                turn.0.0 += period(walk);
                walks[walk].take(&mut slots);
            }
        }
        Self {
            slots: slots.into_boxed_slice(),
        }
    }

    fn from(&self, key: u64) -> impl Iterator<Item = usize> {
        let first = (mix(key) % (self.slots.len().max(1) as u64)) as usize;
        let (before, after) = self.slots.split_at(first);
        after
            .iter()
            .chain(before)
            .map(|&index| index as usize)
            .take(TRIES)
    }
}

impl<T> View<'_, T> {
    /// The endpoint of the key's slot, or of the next slot whose endpoint may be chosen.
    pub(super) fn in_table(&self, table: &Maglev) -> Option<usize> {
        table
            .from(self.wanted.hash)
            .find(|&index| self.allows(index))
            .or_else(|| self.by_rendezvous())
    }
}

/// The smallest prime from `number` on, within the bounds of a table.
fn next_prime(number: u32) -> u32 {
    (number.max(3)..MAX_TABLE_SIZE)
        .find(|&candidate| is_prime(candidate))
        .unwrap_or(MAX_TABLE_SIZE)
}

fn is_prime(number: u32) -> bool {
    number >= 2
        && (2..)
            .take_while(|divisor| divisor * divisor <= number)
            .all(|divisor| !number.is_multiple_of(divisor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_prime_number_of_slots_within_its_bounds() {
        for (asked, wanted) in [
            (0, 3),
            (4, 5),
            (65_536, 65_537),
            (65_537, 65_537),
            (u32::MAX, MAX_TABLE_SIZE),
        ] {
            assert_eq!(next_prime(asked), wanted, "{asked}");
        }
        assert!(is_prime(MAX_TABLE_SIZE));
    }

    #[test]
    fn every_slot_is_taken_and_weights_are_honoured_exactly() {
        let endpoints = [(11, 3.0), (22, 1.0), (33, 0.0), (44, 2.0)];
        let table = Maglev::new(&endpoints, 65_537);
        let of = |index| table.slots.iter().filter(|&&slot| slot == index).count() as f64 / 65_537.0;
        assert!(table.slots.iter().all(|&slot| slot != FREE));
        for (index, wanted) in [(0, 0.5), (1, 1.0 / 6.0), (2, 0.0), (3, 1.0 / 3.0)] {
            assert!((of(index) - wanted).abs() < 0.001, "{index}: {}", of(index));
        }
    }

    #[test]
    fn the_order_in_which_endpoints_are_listed_does_not_matter() {
        let forth: Vec<_> = (0..20).map(|index| (mix(index), 1.0)).collect();
        let back: Vec<_> = forth.iter().rev().copied().collect();
        let (forth, back) = (Maglev::new(&forth, 1_009), Maglev::new(&back, 1_009));
        assert!(
            forth
                .slots
                .iter()
                .zip(&back.slots)
                .all(|(left, right)| *left == 19 - right)
        );
    }

    #[test]
    fn without_endpoints_there_is_no_table() {
        assert_eq!(Maglev::new(&[], 65_537).from(1).count(), 0);
    }
}

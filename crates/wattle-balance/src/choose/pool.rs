//! The endpoints that are chosen among once priority and locality are settled, with what their chooser needs.

use std::cell::RefCell;
use std::ops::Range;

use super::edf::Edf;
use super::maglev::Maglev;
use super::ring::Ring;
use crate::config::{Balance, Config};
use crate::endpoints::Entry;
use crate::random::Draws;

/// One group, by its place among the set's endpoints.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(crate) range: Range<usize>,
    /// The locality's weight.
    pub(crate) weight: u32,
    /// Running sums of the weights; empty when all weights are equal.
    pub(super) cumulative: Vec<u64>,
    pub(super) max_weight: u32,
    pub(super) state: State,
}

/// What a chooser keeps between picks.
#[derive(Debug)]
pub(super) enum State {
    /// Nothing: peak EWMA and random draw by weight.
    Drawn,
    /// Round robin and, where weights differ, least request.
    Turns(RefCell<Edf>),
    Ring(Ring),
    Maglev(Maglev),
}

impl Pool {
    pub(crate) fn new<T>(
        entries: &[Entry<T>],
        range: Range<usize>,
        config: &Config,
        moment: (u64, u64),
    ) -> Self {
        let own = &entries[range.clone()];
        let max_weight = own.iter().map(|entry| entry.weight).max().unwrap_or(1);
        let mut pool = Self {
            range,
            weight: own.iter().map(|entry| entry.locality_weight).max().unwrap_or(0),
            cumulative: cumulative(own),
            max_weight,
            state: State::Drawn,
        };
        pool.state = match config.balance {
            Balance::PeakEwma | Balance::Random => State::Drawn,
            Balance::RoundRobin | Balance::LeastRequest { .. } => {
                State::Turns(RefCell::new(pool.turns(own, config, moment)))
            }
            Balance::RingHash {
                minimum_ring_size,
                maximum_ring_size,
            } => State::Ring(Ring::new(&addressed(own), minimum_ring_size, maximum_ring_size)),
            Balance::Maglev { table_size } => State::Maglev(Maglev::new(&addressed(own), table_size)),
        };
        pool
    }

    fn turns<T>(&self, own: &[Entry<T>], config: &Config, moment: (u64, u64)) -> Edf {
        let (generation, now) = moment;
        let seed = config.seed ^ (generation << 32) ^ self.range.start as u64;
        let weights = own.iter().map(|entry| {
            let warmth = config
                .slow_start
                .map_or(1.0, |slow_start| entry.member.warmth(&slow_start, now));
            self.relative(entry.weight) * warmth
        });
        Edf::new(weights, &mut Draws::new(seed))
    }

    /// A weight in proportion to the heaviest.
    pub(super) fn relative(&self, weight: u32) -> f64 {
        f64::from(weight) / f64::from(self.max_weight)
    }

    pub(super) fn mean_weight(&self) -> f64 {
        let total = self.cumulative.last().copied().unwrap_or(0);
        total as f64 / self.range.len().max(1) as f64
    }
}

/// What choosing by hash needs of the endpoints: where each is, and its weight with that of its locality.
fn addressed<T>(entries: &[Entry<T>]) -> Vec<(u64, f64)> {
    let weighted = entries.iter().any(|entry| entry.locality_weight > 0);
    let mut totals: hashbrown::HashMap<Option<&str>, f64> = hashbrown::HashMap::new();
    for entry in entries {
        *totals.entry(entry.locality.as_deref()).or_default() += f64::from(entry.weight);
    }
    let weight = |entry: &Entry<T>| match totals.get(&entry.locality.as_deref()) {
        Some(total) if weighted => f64::from(entry.locality_weight) * f64::from(entry.weight) / total,
        _ => f64::from(entry.weight),
    };
    entries
        .iter()
        .map(|entry| (super::hash::address(entry.member.address()), weight(entry)))
        .collect()
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

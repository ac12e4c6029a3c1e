//! Groups of endpoints: priorities, and within each the localities that have weights.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::choose::pool::Pool;
use crate::config::Config;
use crate::endpoints::{Entry, Tier};
use crate::priority::{MAX_LOCALITIES, MAX_PRIORITIES};
use crate::standing::Place;

/// Brings the endpoints of each group together, in the order of priorities, and says where each then stands.
///
/// By hash, a priority is one group whatever its localities: their weights are part of the ring or table.
pub(crate) fn sort<T>(entries: &mut Vec<Entry<T>>, by_hash: bool) -> Vec<Place> {
    let mut placed: Vec<_> = places(entries, by_hash)
        .into_iter()
        .zip(entries.drain(..))
        .collect();
    placed.sort_by_key(|(place, _)| (place.tier, place.pool));
    let mut places = Vec::with_capacity(placed.len());
    let (mut last, mut pool) = (None, 0);
    for (place, entry) in placed {
        if last.is_some_and(|last| last != place) {
            pool += 1;
        }
        last = Some(place);
        places.push(Place { pool, ..place });
        entries.push(entry);
    }
    places
}

/// The tier of each endpoint and, as its pool for now, its locality's number within the tier.
fn places<T>(entries: &[Entry<T>], by_hash: bool) -> Vec<Place> {
    let mut ranks: Vec<u32> = entries.iter().map(|entry| entry.priority).collect();
    ranks.sort_unstable();
    ranks.dedup();
    let tier = |entry: &Entry<T>| {
        ranks
            .partition_point(|&rank| rank < entry.priority)
            .min(MAX_PRIORITIES - 1)
    };
    let mut weighted = [false; MAX_PRIORITIES];
    for entry in entries {
        weighted[tier(entry)] |= entry.locality_weight > 0 && !by_hash;
    }
    let mut localities: [HashMap<Option<Arc<str>>, u32>; MAX_PRIORITIES] = Default::default();
    let mut pool = |tier: usize, entry: &Entry<T>| {
        let known = &mut localities[tier];
        let next = known.len().min(MAX_LOCALITIES - 1) as u32;
        *known.entry(entry.locality.clone()).or_insert(next)
    };
    entries
        .iter()
        .map(|entry| {
            let tier = tier(entry);
            let pool = if weighted[tier] { pool(tier, entry) } else { 0 };
            Place {
                tier: tier as u32,
                pool,
            }
        })
        .collect()
}

/// The tiers and pools over endpoints that stand together; `moment` is the number of the update and its time.
pub(crate) fn build<T>(
    entries: &[Entry<T>],
    places: &[Place],
    config: &Config,
    moment: (u64, u64),
) -> (Vec<Tier>, Vec<Pool>) {
    let (mut tiers, mut pools): (Vec<Tier>, Vec<Pool>) = (Vec::new(), Vec::new());
    let mut from = 0;
    for run in places.chunk_by(|left, right| left == right) {
        let range = from..from + run.len();
        from = range.end;
        pools.push(Pool::new(entries, range.clone(), config, moment));
        match tiers.last_mut() {
            Some(tier) if tiers_match(places, tier, run) => {
                tier.entries.end = range.end;
                tier.pools.end = pools.len();
            }
            _ => tiers.push(Tier {
                entries: range,
                pools: pools.len() - 1..pools.len(),
            }),
        }
    }
    (tiers, pools)
}

fn tiers_match(places: &[Place], tier: &Tier, run: &[Place]) -> bool {
    let of = |places: &[Place]| places.first().map(|place| place.tier);
    of(&places[tier.entries.clone()]) == of(run)
}

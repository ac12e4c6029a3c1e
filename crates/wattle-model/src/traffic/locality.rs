//! Which endpoints are preferred by where they run, as seen from where the caller runs.

use std::sync::Arc;

use crate::{Endpoint, Locality};

/// Istio `localityLbSetting`; the caller's place is an argument of its decisions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalityPolicy {
    /// Near endpoints first, others when they fail; Istio turns it on together with outlier detection.
    pub failover: bool,
    /// Weights by locality instead, for callers in certain places.
    pub distribute: Vec<Distribution>,
    /// Regions that stand in for others: from, to.
    pub regions: Vec<(Arc<str>, Arc<str>)>,
    /// Labels in order of importance: an endpoint's priority is how many of them, from the first, it does not share with
    /// the caller. Each is a key, or a key with the value that is wanted instead of the caller's.
    pub labels: Vec<(Arc<str>, Option<Arc<str>>)>,
}

/// Weights for callers in some places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    /// Where callers are: `region/zone/subzone`, each part may be `*` or left out.
    pub from: Arc<str>,
    /// Where traffic goes, and how much of it, percent.
    pub to: Vec<(Arc<str>, u32)>,
}

/// What an endpoint's place means to a caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// 0 is preferred; the next ones take over as it fails.
    pub priority: u32,
    /// The group of endpoints that share a weight, and its weight; `None` when weights are not by locality.
    pub group: Option<(u32, u32)>,
}

impl LocalityPolicy {
    /// Where each endpoint stands for a caller at `own` with these labels. Priorities are dense, from 0.
    pub fn places(
        &self,
        own: &Locality,
        labels: &[(Arc<str>, Arc<str>)],
        endpoints: &[Endpoint],
    ) -> Vec<Place> {
        if let Some(distribution) = self.distribute.iter().find(|d| covers(&d.from, own)) {
            return endpoints
                .iter()
                .map(|endpoint| distribution.place(&endpoint.locality))
                .collect();
        }
        if !self.failover && self.labels.is_empty() {
            return vec![Place::default(); endpoints.len()];
        }
        let ranks: Vec<u32> = endpoints
            .iter()
            .map(|endpoint| {
                let by_label = self.unshared(labels, endpoint);
                let by_place = if self.failover && self.labels.is_empty() {
                    self.distance(own, &endpoint.locality)
                } else {
                    0
                };
                by_label + by_place
            })
            .collect();
        let mut known = ranks.clone();
        known.sort_unstable();
        known.dedup();
        let dense = |rank: &u32| Place {
            priority: known
                .iter()
                .position(|other| other == rank)
                .map_or(0, |at| at as u32),
            group: None,
        };
        ranks.iter().map(dense).collect()
    }

    /// How many of the labels, from the first that differs, an endpoint does not share.
    fn unshared(&self, labels: &[(Arc<str>, Arc<str>)], endpoint: &Endpoint) -> u32 {
        let of = |labels: &[(Arc<str>, Arc<str>)], key: &str| {
            labels
                .iter()
                .find(|(known, _)| **known == *key)
                .map(|(_, value)| Arc::clone(value))
        };
        let shares = |(key, wanted): &&(Arc<str>, Option<Arc<str>>)| {
            let wanted = wanted.clone().or_else(|| of(labels, key));
            wanted.is_some() && wanted == of(&endpoint.labels, key)
        };
        let shared = self.labels.iter().take_while(shares).count();
        (self.labels.len() - shared) as u32
    }

    /// 0 same sub-zone, 1 same zone, 2 same region, 3 a region that stands in, 4 any other.
    fn distance(&self, own: &Locality, other: &Locality) -> u32 {
        if own.region != other.region {
            let stands_in = |(from, to): &(Arc<str>, Arc<str>)| *from == own.region && *to == other.region;
            return if self.regions.iter().any(stands_in) { 3 } else { 4 };
        }
        match (own.zone == other.zone, own.subzone == other.subzone) {
            (true, true) => 0,
            (true, false) => 1,
            (false, _) => 2,
        }
    }
}

impl Distribution {
    /// The first of the targets that covers the endpoint's locality is its group; what none covers gets nothing.
    fn place(&self, locality: &Locality) -> Place {
        let group = self.to.iter().position(|(to, _)| covers(to, locality));
        Place {
            priority: 0,
            group: Some(group.map_or((u32::MAX, 0), |at| (at as u32, self.to[at].1))),
        }
    }
}

/// Is `locality` at or below `pattern`?
fn covers(pattern: &str, locality: &Locality) -> bool {
    let parts = [&locality.region, &locality.zone, &locality.subzone];
    let mut wanted = pattern.split('/');
    parts.iter().all(|part| match wanted.next() {
        None | Some("*") => true,
        Some(wanted) => *wanted == ***part,
    })
}

#[cfg(test)]
mod tests;

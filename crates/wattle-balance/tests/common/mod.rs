//! Endpoints by number, and a repeatable stand-in for the caller's randomness.
#![allow(dead_code)]

use std::net::SocketAddr;
use std::sync::Arc;

use wattle_balance::{Endpoint, EndpointSet, Outcome};

pub(crate) const MS: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1_000 * MS;

pub(crate) fn endpoint(number: u16) -> Endpoint {
    let [high, low] = number.to_be_bytes();
    Endpoint {
        address: SocketAddr::from(([10, 0, high, low], 80)),
        instance: Arc::from(""),
        weight: 1,
        priority: 0,
        locality: None,
        locality_weight: 0,
    }
}

pub(crate) fn weighted(weights: &[u32]) -> Vec<Endpoint> {
    let with = |(number, &weight): (usize, &u32)| Endpoint {
        weight,
        ..endpoint(number as u16)
    };
    weights.iter().enumerate().map(with).collect()
}

/// The number that an endpoint was made from.
pub(crate) fn number(endpoint: &Endpoint) -> usize {
    match endpoint.address {
        SocketAddr::V4(address) => {
            let [_, _, high, low] = address.ip().octets();
            usize::from(u16::from_be_bytes([high, low]))
        }
        SocketAddr::V6(_) => unreachable!("endpoints by number have IPv4 addresses"),
    }
}

pub(crate) fn set_of(endpoints: Vec<Endpoint>, config: wattle_balance::Config) -> EndpointSet<usize> {
    let mut set = EndpointSet::new(config);
    set.update(endpoints, 0, number);
    set
}

pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        mixed ^ (mixed >> 32)
    }
}

/// Sends requests one after the other, each answered before the next, and counts where they went.
pub(crate) fn count(set: &EndpointSet<usize>, now: u64, requests: u32, most: usize) -> Vec<u32> {
    let mut random = Random(now + 7);
    let mut counts = vec![0; most];
    for _ in 0..requests {
        let mut picked = set.pick(random.next(), now, &[]).unwrap();
        counts[*picked.member().payload()] += 1;
        picked.outcome(MS, Outcome::Success);
    }
    counts
}

/// Ends requests to the endpoint of that number with these outcomes.
pub(crate) fn answer(set: &EndpointSet<usize>, wanted: usize, now: u64, outcomes: &[Outcome]) {
    let others: Vec<_> = set
        .members()
        .filter(|member| *member.payload() != wanted)
        .map(|member| member.id())
        .collect();
    let mut random = Random(now);
    for &outcome in outcomes {
        let mut picked = set.pick(random.next(), now, &others).unwrap();
        assert_eq!(*picked.member().payload(), wanted);
        picked.outcome(0, outcome);
    }
}

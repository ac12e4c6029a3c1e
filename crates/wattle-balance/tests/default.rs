//! With nothing configured, choices are those of every version before.
#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;

use wattle_balance::{Config, Endpoint, EndpointSet, Outcome, Picked};

const MS: u64 = 1_000_000;

fn endpoint(index: u8, weight: u32) -> Endpoint {
    Endpoint {
        address: SocketAddr::from(([10, 0, 0, index], 80)),
        instance: Arc::from(""),
        weight,
        priority: 0,
        locality: None,
        locality_weight: 0,
    }
}

/// One number that follows from every choice of a long run with failures, retries, probes and updates.
fn fingerprint(weights: &[u32]) -> u64 {
    let mut set = EndpointSet::new(Config::default());
    let list = |skip: usize| -> Vec<Endpoint> {
        let all = weights
            .iter()
            .enumerate()
            .map(|(index, &weight)| endpoint(index as u8, weight));
        all.skip(skip.min(weights.len() - 1)).collect()
    };
    set.update(list(0), 0, |_| ());
    let mut print = 0xcbf2_9ce4_8422_2325u64;
    let mut random = 0x5eed_u64;
    let mut open: Vec<Picked<()>> = Vec::new();
    for step in 0..50_000u64 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let now = step * MS;
        if step % 10_000 == 7_000 {
            set.update(list((step / 10_000 % 2) as usize), now, |_| ());
        }
        let avoid: Vec<_> = match step % 5 {
            0 => open.iter().take(1).map(|picked| picked.member().id()).collect(),
            _ => Vec::new(),
        };
        let picked = set.pick(random, now, &avoid).unwrap();
        let SocketAddr::V4(address) = picked.member().address() else {
            unreachable!("the endpoints above have IPv4 addresses")
        };
        let chosen = u64::from(address.ip().octets()[3]);
        for number in [chosen, u64::from(picked.probe()), u64::from(picked.panic())] {
            print = (print ^ number).wrapping_mul(0x0100_0000_01b3);
        }
        open.push(picked);
        if open.len() > 6 {
            let mut done = open.swap_remove((random % 6) as usize);
            let outcome = match random % 17 {
                0 => Outcome::ConnectFailure,
                1 => Outcome::Failure,
                2 => Outcome::Cancelled,
                _ => Outcome::Success,
            };
            done.outcome(MS + random % (5 * MS), outcome);
        }
    }
    print
}

#[test]
fn the_default_chooses_as_it_always_has() {
    let table: [(&[u32], u64); 4] = [
        (&[1; 7], 4_220_989_138_232_808_104),
        (&[50, 30, 15, 5], 13_207_404_239_012_362_004),
        (&[1; 2], 12_187_666_290_986_125_457),
        (&[3], 11_807_455_933_285_155_764),
    ];
    for (weights, print) in table {
        assert_eq!(fingerprint(weights), print, "{weights:?}");
    }
}

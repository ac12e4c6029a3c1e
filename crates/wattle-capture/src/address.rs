//! Addresses for workloads and services, the same ones after every start.
//!
//! A key (`namespace/name`) begins at a place its hash names and takes the next free address. The caller keeps
//! the assignments and hands them back, so an address changes only if it was given up.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;

/// Hosts of a subnet used at most, so that a wide IPv6 subnet needs no wider arithmetic.
const MOST_HOSTS: u64 = 1 << 32;

/// Every address of a subnet is taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot assign an address to {key}: all {size} of {subnet} are taken")]
pub struct Exhausted {
    /// Who asked.
    pub key: String,
    /// Where.
    pub subnet: IpNet,
    /// Addresses there, reserved ones left out.
    pub size: u64,
}

/// Assigns the addresses of one subnet.
#[derive(Debug, Clone)]
pub struct Allocator {
    subnet: IpNet,
    reserved: BTreeSet<IpAddr>,
    by_key: BTreeMap<String, IpAddr>,
    taken: BTreeSet<IpAddr>,
}

impl Allocator {
    /// For a subnet, without its network and broadcast addresses and those in `reserved` (a gateway's).
    pub fn new(subnet: IpNet, reserved: impl IntoIterator<Item = IpAddr>) -> Self {
        let subnet = subnet.trunc();
        let reserved = reserved
            .into_iter()
            .filter(|address| place_of(subnet, *address).is_some())
            .collect();
        Self {
            subnet,
            reserved,
            by_key: BTreeMap::new(),
            taken: BTreeSet::new(),
        }
    }

    /// Takes earlier assignments over and gives back those that cannot stand: foreign, reserved or taken twice.
    pub fn restore(&mut self, earlier: impl IntoIterator<Item = (String, IpAddr)>) -> Vec<(String, IpAddr)> {
        let mut refused = Vec::new();
        for (key, address) in earlier {
            let fits = place_of(self.subnet, address).is_some() && self.is_free(address);
            if fits && !self.by_key.contains_key(&key) {
                self.assign(key, address);
            } else {
                refused.push((key, address));
            }
        }
        refused
    }

    /// The key's address, a new one if it has none.
    pub fn allocate(&mut self, key: &str) -> Result<IpAddr, Exhausted> {
        if let Some(address) = self.by_key.get(key) {
            return Ok(*address);
        }
        let address = self.probe(key).ok_or_else(|| self.exhausted(key))?;
        self.assign(key.to_owned(), address);
        Ok(address)
    }

    /// Gives the key's address up, for anybody to take.
    pub fn release(&mut self, key: &str) -> Option<IpAddr> {
        let address = self.by_key.remove(key)?;
        self.taken.remove(&address);
        Some(address)
    }

    /// All assignments, to be stored and given to [`restore`](Self::restore) at the next start.
    pub fn assignments(&self) -> &BTreeMap<String, IpAddr> {
        &self.by_key
    }

    /// Bounded by what is taken: the address after the last taken one is free.
    fn probe(&self, key: &str) -> Option<IpAddr> {
        let size = size_of(self.subnet);
        let start = hash(key) % size.max(1);
        (0..size)
            .map(|step| address_at(self.subnet, (start + step) % size))
            .find(|address| self.is_free(*address))
    }

    fn is_free(&self, address: IpAddr) -> bool {
        !self.taken.contains(&address) && !self.reserved.contains(&address)
    }

    fn assign(&mut self, key: String, address: IpAddr) {
        self.taken.insert(address);
        self.by_key.insert(key, address);
    }

    fn exhausted(&self, key: &str) -> Exhausted {
        let size = size_of(self.subnet).saturating_sub(self.reserved.len() as u64);
        Exhausted {
            key: key.to_owned(),
            subnet: self.subnet,
            size,
        }
    }
}

/// Usable hosts: the subnet without its first and last address.
fn size_of(subnet: IpNet) -> u64 {
    let bits = u32::from(subnet.max_prefix_len() - subnet.prefix_len());
    1u64.checked_shl(bits)
        .unwrap_or(MOST_HOSTS)
        .min(MOST_HOSTS)
        .saturating_sub(2)
}

/// The host with a number from 0; the first address of the subnet is no host.
fn address_at(subnet: IpNet, place: u64) -> IpAddr {
    match subnet {
        IpNet::V4(net) => {
            let low = u32::try_from(place + 1).unwrap_or(u32::MAX);
            IpAddr::V4((net.network().to_bits() | low).into())
        }
        IpNet::V6(net) => IpAddr::V6((net.network().to_bits() | u128::from(place + 1)).into()),
    }
}

fn place_of(subnet: IpNet, address: IpAddr) -> Option<u64> {
    if !subnet.contains(&address) {
        return None;
    }
    let offset = match (subnet, address) {
        (IpNet::V4(net), IpAddr::V4(address)) => u128::from(address.to_bits() - net.network().to_bits()),
        (IpNet::V6(net), IpAddr::V6(address)) => address.to_bits() - net.network().to_bits(),
        _ => return None,
    };
    let place = u64::try_from(offset.checked_sub(1)?).ok()?;
    (place < size_of(subnet)).then_some(place)
}

/// FNV-1a with a final mix: stable across versions and machines, which the standard hasher does not promise.
fn hash(key: &str) -> u64 {
    let folded = key.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mixed = (folded ^ (folded >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 32)
}

#[cfg(test)]
mod tests;

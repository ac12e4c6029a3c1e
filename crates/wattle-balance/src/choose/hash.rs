//! The hashes behind ring and table, fixed so that all proxies send a key to the same endpoint.
//!
//! An endpoint's is FNV-1a of 64 bits over its address as 16 bytes (IPv4 mapped into IPv6) and its port as two, network order, mixed
//! by the finaliser of SplitMix64; point `n` of an endpoint is the finaliser of its hash plus (n + 1) × 0x9e3779b97f4a7c15. Keys are
//! mixed once more, so that a caller's hash need not be a good one. A change of any of this moves keys during an upgrade.

use std::net::{IpAddr, SocketAddr};

use crate::random::mix;

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The hash of a key for [`crate::EndpointSet::pick_by_hash`], such as a header's value, the same in every proxy: FNV-1a, then mixed.
#[must_use]
pub fn hash_bytes(bytes: &[u8]) -> u64 {
    mix(fnv(FNV_OFFSET, bytes))
}

fn fnv(seed: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(seed, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME)
    })
}

pub(super) fn address(address: SocketAddr) -> u64 {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    mix(fnv(fnv(FNV_OFFSET, &ip.octets()), &address.port().to_be_bytes()))
}

/// The `number`th of the hashes that follow from one.
pub(super) const fn point(hash: u64, number: u64) -> u64 {
    mix(hash.wrapping_add((number + 1).wrapping_mul(GOLDEN)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hashes_are_those_of_every_other_version() {
        assert_eq!(fnv(FNV_OFFSET, b"foobar"), 0x8594_4171_f739_67e8);
        assert_eq!(mix(0x9e37_79b9_7f4a_7c15), 0xe220_a839_7b1d_cdaf);
        let v4 = address(SocketAddr::from(([10, 0, 0, 1], 80)));
        let mapped = address(SocketAddr::from(([0, 0, 0, 0, 0, 0xffff, 0x0a00, 1], 80)));
        assert_eq!(v4, mapped);
        assert_ne!(v4, address(SocketAddr::from(([10, 0, 0, 1], 81))));
        assert_ne!(point(v4, 0), point(v4, 1));
    }
}

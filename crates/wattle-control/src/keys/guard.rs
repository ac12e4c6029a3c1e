//! Where a fetch may lead: an address that somebody wrote must not make the control plane ask its own machine, or a
//! cloud's metadata, on their behalf.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wattle_model::IpBlock;

/// Metadata services of clouds that have other addresses than link-local ones.
const METADATA: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// May it be asked? Private addresses may, since issuers often have one.
pub(super) fn may_be_asked(address: IpAddr, allowed: &[IpBlock]) -> bool {
    let address = address.to_canonical();
    allowed.iter().any(|block| block.contains(address)) || !is_refused(address)
}

fn is_refused(address: IpAddr) -> bool {
    if METADATA.contains(&address) {
        return true;
    }
    match address {
        IpAddr::V4(v4) => is_refused_v4(v4),
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_unicast_link_local()
                || v6.is_multicast()
                || embedded(v6).is_some_and(|v4| is_refused(IpAddr::V4(v4)))
        }
    }
}

fn is_refused_v4(v4: Ipv4Addr) -> bool {
    v4.is_loopback()
        || v4.is_link_local()
        || v4.is_multicast()
        || v4.octets()[0] == 0
        // Reserved, broadcast among them.
        || v4.octets()[0] >= 240
}

/// The IPv4 address that a translator or a tunnel would go to.
fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let of = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match v6.segments() {
        // Compatible (RFC 4291 section 2.5.5.1) and NAT64 (RFC 6052 section 2.1).
        [0, 0, 0, 0, 0, 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(of(high, low)),
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => Some(of(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn asked(address: &str, allowed: &[&str]) -> bool {
        let allowed: Vec<_> = allowed.iter().map(|text| IpBlock::parse(text).unwrap()).collect();
        may_be_asked(address.parse().unwrap(), &allowed)
    }

    #[test]
    fn the_own_machine_and_metadata_services_are_not_asked() {
        for refused in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "169.254.1.1",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "100.100.100.200",
            "192.0.0.192",
            "::",
            "::1",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::169.254.169.254",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
        ] {
            assert!(!asked(refused, &[]), "{refused}");
        }
    }

    #[test]
    fn public_and_private_addresses_are() {
        for allowed in [
            "192.0.2.1",
            "10.0.0.1",
            "192.168.1.1",
            "172.16.0.1",
            "2001:db8::1",
            "fd00::1",
            "64:ff9b::8.8.8.8",
        ] {
            assert!(asked(allowed, &[]), "{allowed}");
        }
    }

    #[test]
    fn what_is_allowed_by_name_may_be_asked() {
        assert!(asked("127.0.0.1", &["127.0.0.1"]));
        assert!(asked("::ffff:127.0.0.1", &["127.0.0.0/8"]));
        assert!(!asked("127.0.0.1", &["10.0.0.0/8"]));
    }
}

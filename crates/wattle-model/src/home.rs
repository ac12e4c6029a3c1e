//! Addresses that nobody outside may be at: where somebody else says which address is meant, these would make the asker
//! call its own machine, or a cloud's metadata, on their behalf.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Metadata services of clouds that have other addresses than link-local ones.
const METADATA: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
];

/// Does an address lead to the asker's own machine or link, to a group, or to a cloud's metadata? Private addresses do not.
pub fn leads_home(address: IpAddr) -> bool {
    let address = address.to_canonical();
    if METADATA.contains(&address) {
        return true;
    }
    match address {
        IpAddr::V4(v4) => leads_home_v4(v4),
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_unicast_link_local()
                || v6.is_multicast()
                || embedded(v6).is_some_and(|v4| leads_home(IpAddr::V4(v4)))
        }
    }
}

fn leads_home_v4(v4: Ipv4Addr) -> bool {
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
        // Compatible (RFC 4291 section 2.5.5.1), translated (RFC 2765 section 2.1) and NAT64 (RFC 6052 section 2.1).
        [0, 0, 0, 0, 0, 0, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(of(high, low)),
        // NAT64 of one's own (RFC 8215), whose last bits are the address where its prefix is of 96 bits, and ISATAP
        // (RFC 5214 section 6.1).
        [0x64, 0xff9b, 1, .., high, low] | [.., 0 | 0x200, 0x5efe, high, low] => Some(of(high, low)),
        // Teredo: the client's address is inverted (RFC 4380 section 4).
        [0x2001, 0, .., high, low] => Some(of(!high, !low)),
        // 6to4 (RFC 3056).
        [0x2002, high, low, ..] => Some(of(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_own_machine_and_metadata_services_are_home() {
        for home in [
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
            "::ffff:0:127.0.0.1",
            "64:ff9b:1::169.254.169.254",
            "2001:db8::5efe:7f00:1",
            "2001:db8::200:5efe:a9fe:a9fe",
            "2001:0:c000:201::5601:5601",
        ] {
            assert!(leads_home(home.parse().unwrap()), "{home}");
        }
    }

    #[test]
    fn public_and_private_addresses_are_not() {
        for outside in [
            "192.0.2.1",
            "10.0.0.1",
            "192.168.1.1",
            "172.16.0.1",
            "2001:db8::1",
            "fd00::1",
            "64:ff9b::8.8.8.8",
        ] {
            assert!(!leads_home(outside.parse().unwrap()), "{outside}");
        }
    }
}

//! The header that tells a server whose connection it is (haproxy's PROXY protocol, versions 1 and 2).

use std::net::{IpAddr, SocketAddr};

/// What every header of version 2 begins with.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Version 2, command PROXY.
const VERSION_AND_COMMAND: u8 = 0x21;
/// TCP over IPv4.
const TCP4: u8 = 0x11;
/// TCP over IPv6.
const TCP6: u8 = 0x21;

/// The header of version 1: one line of text.
#[must_use]
pub fn v1(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let (source, destination) = of_one_family(source, destination);
    let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
    format!(
        "PROXY {family} {} {} {} {}\r\n",
        source.ip(),
        destination.ip(),
        source.port(),
        destination.port()
    )
    .into_bytes()
}

/// The header of version 2: binary, without additional values.
#[must_use]
pub fn v2(source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let (source, destination) = of_one_family(source, destination);
    let (family, length) = if source.is_ipv4() {
        (TCP4, 12_u16)
    } else {
        (TCP6, 36)
    };
    let mut header = SIGNATURE.to_vec();
    header.extend([VERSION_AND_COMMAND, family]);
    header.extend(length.to_be_bytes());
    for address in [source.ip(), destination.ip()] {
        match address {
            IpAddr::V4(address) => header.extend(address.octets()),
            IpAddr::V6(address) => header.extend(address.octets()),
        }
    }
    header.extend(source.port().to_be_bytes());
    header.extend(destination.port().to_be_bytes());
    header
}

/// Both as IPv4 where they are, mapped ones included; else both as IPv6.
fn of_one_family(source: SocketAddr, destination: SocketAddr) -> (SocketAddr, SocketAddr) {
    let canonical = |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let (source, destination) = (canonical(source), canonical(destination));
    if source.is_ipv4() == destination.is_ipv4() {
        return (source, destination);
    }
    let mapped = |address: SocketAddr| match address.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    };
    (mapped(source), mapped(destination))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn version_1_is_a_line_of_text() {
        let table = [
            (
                "10.0.0.1:5000",
                "10.0.0.2:80",
                "PROXY TCP4 10.0.0.1 10.0.0.2 5000 80\r\n",
            ),
            (
                "[fd00::1]:5000",
                "[fd00::2]:80",
                "PROXY TCP6 fd00::1 fd00::2 5000 80\r\n",
            ),
            (
                "[::ffff:10.0.0.1]:1",
                "10.0.0.2:2",
                "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n",
            ),
            (
                "10.0.0.1:1",
                "[fd00::2]:2",
                "PROXY TCP6 ::ffff:10.0.0.1 fd00::2 1 2\r\n",
            ),
        ];
        for (source, destination, wanted) in table {
            assert_eq!(v1(address(source), address(destination)), wanted.as_bytes());
        }
    }

    #[test]
    fn version_2_is_signature_family_length_and_addresses() {
        let header = v2(address("10.0.0.1:5000"), address("10.0.0.2:80"));
        let wanted = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\x0a\x00\x00\x01\x0a\x00\x00\x02\x13\x88\x00\x50";
        assert_eq!(header, wanted);
        let header = v2(address("[fd00::1]:1"), address("[fd00::2]:2"));
        assert_eq!((header.len(), &header[12..16]), (52, &[0x21, 0x21, 0, 36][..]));
    }
}

//! Blocks of addresses outside that are told apart, and an address that stands for each.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net};
use wattle_model::IpBlock;

use crate::authorization::block as block_of;

/// The blocks with an address of each that is in no smaller one and not among `known`, which mean something else.
pub(crate) fn told_apart(blocks: &BTreeSet<IpNet>, known: &BTreeSet<IpAddr>) -> Vec<(IpBlock, IpAddr)> {
    let alone = |block: &IpNet| {
        // A block comes before those inside it.
        let inside = blocks.range(block..).skip(1);
        let inside = inside.take_while(|inner| block.contains(*inner));
        Some((block_of(block), outside_of(inside, known, *block)?))
    };
    blocks.iter().filter_map(alone).collect()
}

/// An address that can belong to nobody (RFC 5737, TEST-NET-1).
const NOBODYS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// An address that is in no block and not among `known`: what it is to a caller, every other such address is. Where blocks
/// hold all there are, it stands for none.
pub(crate) fn elsewhere(blocks: &BTreeSet<IpNet>, known: &BTreeSet<IpAddr>) -> IpAddr {
    if !blocks.iter().any(|block| block.contains(&NOBODYS)) {
        return NOBODYS;
    }
    let all = IpNet::V4(Ipv4Net::default());
    outside_of(blocks.iter(), known, all).unwrap_or(NOBODYS)
}

/// The first address of `block` that is in none of those inside it, which are in order, and not known.
fn outside_of<'a>(
    inside: impl Iterator<Item = &'a IpNet>,
    known: &BTreeSet<IpAddr>,
    block: IpNet,
) -> Option<IpAddr> {
    let mut first = block.network();
    let mut inside = inside.peekable();
    while block.contains(&first) {
        match inside.peek() {
            Some(inner) if first >= inner.network() => {
                first = first.max(next(inner.broadcast())?);
                inside.next();
            }
            _ if known.contains(&first) => first = next(first)?,
            _ => return Some(first),
        }
    }
    None
}

fn next(address: IpAddr) -> Option<IpAddr> {
    match address {
        IpAddr::V4(address) => u32::from(address)
            .checked_add(1)
            .map(|next| Ipv4Addr::from(next).into()),
        IpAddr::V6(address) => u128::from(address)
            .checked_add(1)
            .map(|next| Ipv6Addr::from(next).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_stands_for_what_is_in_no_smaller_block() {
        type Case<'a> = (&'a str, &'a [&'a str], &'a [&'a str], Option<&'a str>);
        let cases: [Case<'_>; 10] = [
            ("10.0.0.0/8", &[], &[], Some("10.0.0.0")),
            ("10.0.0.0/8", &[], &["10.0.0.0", "10.0.0.1"], Some("10.0.0.2")),
            ("10.0.0.0/8", &["10.0.0.0/9"], &["10.128.0.0"], Some("10.128.0.1")),
            (
                "10.0.0.0/8",
                &["10.0.0.0/9", "10.0.0.0/16"],
                &[],
                Some("10.128.0.0"),
            ),
            ("10.0.0.0/8", &["10.1.0.0/16"], &[], Some("10.0.0.0")),
            ("10.0.0.0/8", &["10.0.0.0/9", "10.128.0.0/9"], &[], None),
            ("10.0.0.7/32", &[], &[], Some("10.0.0.7")),
            ("10.0.0.7/32", &[], &["10.0.0.7"], None),
            ("0.0.0.0/0", &["0.0.0.0/1", "128.0.0.0/1"], &[], None),
            ("fd00::/8", &["fd00::/9"], &[], Some("fd80::")),
        ];
        for (block, inside, known, expected) in cases {
            let net = |text: &&str| -> IpNet { text.parse().unwrap() };
            let mut blocks: BTreeSet<_> = inside.iter().map(net).collect();
            blocks.insert(net(&block));
            let known = known.iter().map(|text| text.parse().unwrap()).collect();
            let found = told_apart(&blocks, &known);
            let found = found
                .iter()
                .find(|(found, _)| *found == IpBlock::parse(block).unwrap());
            let address = found.map(|(_, address)| address.to_string());
            assert_eq!(address.as_deref(), expected, "{block} without {inside:?}");
        }
    }

    #[test]
    fn an_address_elsewhere_is_in_no_block() {
        let cases: [(&[&str], &str); 4] = [
            (&["10.0.0.0/8"], "192.0.2.1"),
            (&["192.0.2.0/24"], "0.0.0.0"),
            (&["0.0.0.0/1", "192.0.2.0/24"], "128.0.0.0"),
            (&["0.0.0.0/0"], "192.0.2.1"),
        ];
        for (blocks, expected) in cases {
            let blocks = blocks.iter().map(|text| text.parse().unwrap()).collect();
            assert_eq!(elsewhere(&blocks, &BTreeSet::new()).to_string(), expected);
        }
    }
}

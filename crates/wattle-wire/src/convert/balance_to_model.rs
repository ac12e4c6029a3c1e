//! Messages to how an endpoint is chosen. Refuses what makes no sense.

use std::time::Duration;

use wattle_model::traffic::{Balance, Distribution, HashKey, HashTable, LocalityPolicy};

use super::parts_to_model::{cookie_part, header_name};
use super::{Decoded, Reader};
use crate::proto::mesh;

/// Most points of a ring (Envoy's bound).
const MAX_RING: u32 = 8 * 1024 * 1024;
/// Largest table, a prime (Envoy's bound).
const MAX_TABLE: u32 = 5_000_011;

pub(super) fn balance(reader: &mut Reader, message: mesh::Balance) -> Decoded<Balance> {
    use mesh::balance::Kind;
    Ok(match reader.present("kind", message.kind)? {
        Kind::LeastRequest(_) => Balance::LeastRequest,
        Kind::RoundRobin(_) => Balance::RoundRobin,
        Kind::Random(_) => Balance::Random,
        Kind::OriginalDestination(_) => Balance::OriginalDestination,
        Kind::Hash(message) => reader.at("hash", |reader| {
            let key = reader.present("key", message.key)?;
            let table = reader.present("table", message.table)?;
            Ok(Balance::Hash {
                key: hash_key(reader, key)?,
                table: hash_table(reader, &table)?,
            })
        })?,
    })
}

fn hash_key(reader: &mut Reader, message: mesh::hash_balance::Key) -> Decoded<HashKey> {
    use mesh::hash_balance::Key;
    Ok(match message {
        Key::Header(name) => HashKey::Header(reader.at("header", |reader| header_name(reader, &name))?),
        Key::Cookie(message) => reader.at("cookie", |reader| {
            Ok(HashKey::Cookie {
                name: cookie_part(reader, "name", message.name)?,
                path: cookie_part(reader, "path", message.path)?,
                ttl: message.ttl_nanos.map(Duration::from_nanos),
            })
        })?,
        Key::SourceAddress(_) => HashKey::SourceAddress,
        Key::Query(name) => HashKey::Query(reader.boxed("query", name)?),
    })
}

fn hash_table(reader: &mut Reader, message: &mesh::hash_balance::Table) -> Decoded<HashTable> {
    use mesh::hash_balance::Table;
    match *message {
        Table::Ring(points) => reader.number("ring", points, 1..=MAX_RING).map(HashTable::Ring),
        Table::Maglev(size) => {
            let size = reader.number("maglev", size, 2..=MAX_TABLE)?;
            if is_prime(size) {
                return Ok(HashTable::Maglev(size));
            }
            reader.at("maglev", |reader| {
                Err(reader.error(format!("{size} is not a prime")))
            })
        }
    }
}

fn is_prime(number: u32) -> bool {
    let mut divisors = (2..).take_while(|divisor| divisor * divisor <= number);
    number > 1 && !divisors.any(|divisor| number.is_multiple_of(divisor))
}

pub(super) fn locality(reader: &mut Reader, message: mesh::LocalityPolicy) -> Decoded<LocalityPolicy> {
    Ok(LocalityPolicy {
        failover: message.failover,
        distribute: reader.list("distribute", message.distribute, distribution)?,
        regions: reader.list("regions", message.regions, |reader, region| {
            Ok((reader.text("from", region.from)?, reader.text("to", region.to)?))
        })?,
        labels: reader.list("labels", message.labels, |reader, label| {
            let value = reader.optional_text("value", label.value)?;
            Ok((reader.text("key", label.key)?, value))
        })?,
    })
}

fn distribution(reader: &mut Reader, message: mesh::Distribution) -> Decoded<Distribution> {
    Ok(Distribution {
        from: reader.text("from", message.from)?,
        to: reader.list("to", message.to, |reader, share| {
            let percent = reader.number("percent", share.percent, 0..=100)?;
            Ok((reader.text("to", share.to)?, percent))
        })?,
    })
}

//! Messages to names. Refuses what makes no sense.

use std::net::IpAddr;

use wattle_model::{Asked, NameScope, NameTarget, NamedHost, Names};

use super::match_to_model::host_matches;
use super::parts_to_model::{labels, object_ref};
use super::{Decoded, Reader};
use crate::proto::mesh;
use crate::proto::mesh::named_host::Target;

pub(crate) fn names(reader: &mut Reader, message: mesh::Names) -> Decoded<Names> {
    Ok(Names {
        namespace: reader.text("namespace", message.namespace)?,
        hosts: reader.list("hosts", message.hosts, host)?,
        registered: host_matches(reader, "registered", message.registered)?,
        scopes: reader.list("scopes", message.scopes, scope)?,
    })
}

fn scope(reader: &mut Reader, message: mesh::NameScope) -> Decoded<NameScope> {
    use mesh::name_scope::Asked as Message;
    Ok(NameScope {
        labels: labels(reader, "labels", message.labels)?,
        origin: reader.at("origin", |reader| {
            object_ref(reader, message.origin.unwrap_or_default())
        })?,
        // Absent is refused: it would let any name be asked for.
        asked: match reader.present("asked", message.asked)? {
            Message::Any(_) => Asked::Any,
            Message::Registered(list) => Asked::Registered(host_matches(reader, "besides", list.besides)?),
        },
    })
}

fn host(reader: &mut Reader, message: mesh::NamedHost) -> Decoded<NamedHost> {
    if message.name.is_empty() {
        return Err(reader.error("name is missing"));
    }
    let target = match reader.present("target", message.target)? {
        Target::AliasOf(name) => NameTarget::Alias(reader.boxed("alias_of", name)?),
        Target::Addresses(list) => {
            NameTarget::Addresses(reader.list("addresses", list.addresses, address)?)
        }
    };
    Ok(NamedHost {
        name: reader.boxed("name", message.name)?,
        aliases: reader.list("aliases", message.aliases, |reader, alias| {
            reader.boxed("name", alias)
        })?,
        target,
    })
}

fn address(reader: &mut Reader, octets: Vec<u8>) -> Decoded<IpAddr> {
    let v4 = <[u8; 4]>::try_from(&*octets).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(&*octets).map(IpAddr::from))
        .map_err(|_| reader.error(format!("{} bytes of address, 4 or 16 expected", octets.len())))
}

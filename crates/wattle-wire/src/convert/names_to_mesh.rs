//! Names to messages.

use std::net::IpAddr;

use wattle_model::{NameTarget, NamedHost, Names};

use crate::proto::mesh;
use crate::proto::mesh::named_host::Target;

pub(crate) fn names(value: &Names) -> mesh::Names {
    mesh::Names {
        namespace: value.namespace.to_string(),
        hosts: value.hosts.iter().map(host).collect(),
    }
}

fn host(value: &NamedHost) -> mesh::NamedHost {
    let target = match &value.target {
        NameTarget::Alias(name) => Target::AliasOf(name.to_string()),
        NameTarget::Addresses(addresses) => Target::Addresses(mesh::AddressList {
            addresses: addresses.iter().copied().map(octets).collect(),
        }),
    };
    mesh::NamedHost {
        name: value.name.to_string(),
        aliases: value.aliases.iter().map(ToString::to_string).collect(),
        target: Some(target),
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

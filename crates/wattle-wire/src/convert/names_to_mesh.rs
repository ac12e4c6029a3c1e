//! Names to messages.

use std::net::IpAddr;

use wattle_model::{Asked, NameScope, NameTarget, NamedHost, Names};

use super::match_to_mesh::host_matches;
use super::parts_to_mesh::{labels, object_ref};
use crate::proto::mesh;
use crate::proto::mesh::named_host::Target;

pub(crate) fn names(value: &Names) -> mesh::Names {
    mesh::Names {
        namespace: value.namespace.to_string(),
        hosts: value.hosts.iter().map(host).collect(),
        registered: host_matches(&value.registered),
        scopes: value.scopes.iter().map(scope).collect(),
    }
}

fn scope(value: &NameScope) -> mesh::NameScope {
    use mesh::name_scope::Asked as Message;
    mesh::NameScope {
        labels: labels(&value.labels),
        origin: Some(object_ref(&value.origin)),
        asked: Some(match &value.asked {
            Asked::Any => Message::Any(true),
            Asked::Registered(besides) => Message::Registered(mesh::HostList {
                besides: host_matches(besides),
            }),
        }),
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

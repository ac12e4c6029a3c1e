//! What is encoded decodes to itself; what cannot be is refused by field, never by a panic.
#![allow(clippy::unwrap_used)]

mod refused;

use proptest::prelude::*;
use prost::Message;

use super::strategies::resource;
use crate::proto::mesh;
use crate::{Kind, Resource};

fn kind_of(resource: &Resource) -> Kind {
    resource.name().kind
}

proptest! {
    #[test]
    fn a_resource_comes_back_as_it_was(value in resource()) {
        let encoded = value.encode();
        let back = Resource::decode(kind_of(&value), &encoded.bytes);
        prop_assert_eq!(back.as_ref(), Ok(&value));
        prop_assert_eq!(back.unwrap().encode(), encoded);
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for kind in Kind::ALL {
            let _ = Resource::decode(kind, &bytes);
        }
    }

    #[test]
    fn damaged_resources_never_panic(
        value in resource(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..8),
        cut in any::<proptest::sample::Index>(),
    ) {
        let mut bytes = value.encode().bytes.to_vec();
        prop_assume!(!bytes.is_empty());
        for (index, byte) in damage {
            let at = index.index(bytes.len());
            bytes[at] = byte;
        }
        for kind in Kind::ALL {
            let _ = Resource::decode(kind, &bytes);
            let _ = Resource::decode(kind, &bytes[..cut.index(bytes.len())]);
        }
    }
}

#[test]
fn unknown_modes_are_refused_and_unknown_health_is_unhealthy() {
    let authorization = Some(mesh::Authorization::default());
    let inbound = mesh::Inbound {
        mtls: 9,
        authorization,
        ..Default::default()
    };
    assert!(Resource::decode(Kind::Inbound, &inbound.encode_to_vec()).is_err());
    let endpoint = mesh::Endpoint {
        address: "10.0.0.1:80".to_owned(),
        health: 9,
        ..Default::default()
    };
    let endpoints = mesh::Endpoints {
        id: "a".to_owned(),
        endpoints: vec![endpoint],
        ..Default::default()
    };
    let Resource::Endpoints(found) = Resource::decode(Kind::Endpoints, &endpoints.encode_to_vec()).unwrap()
    else {
        panic!("another kind came back");
    };
    assert_eq!(found.endpoints[0].health, wattle_model::EndpointHealth::Unhealthy);
}

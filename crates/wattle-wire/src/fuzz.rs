//! Every parser of bytes that a peer can bring here, as a plain function; none may panic on any input.

use prost::Message;

use crate::delta::{Publisher, Subscriber};
use crate::proto::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use crate::{Encoded, Kind, Resource, ResourceName};

/// A parser that keeps nothing and panics on nothing.
pub type Entry = fn(&[u8]);

/// The parsers by name, for fuzz targets and the property test.
pub const ENTRIES: [(&str, Entry); 3] = [
    ("resource", resource),
    ("discovery_request", discovery_request),
    ("discovery_response", discovery_response),
];

/// A resource of the kind that the first byte says; what is accepted comes back as it was.
pub fn resource(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else {
        return;
    };
    let Some(kind) = Kind::ALL.get(usize::from(*first) % Kind::ALL.len()) else {
        return;
    };
    if let Ok(value) = Resource::decode(*kind, rest) {
        assert_eq!(Resource::decode(*kind, &value.encode().bytes), Ok(value));
    }
}

/// Requests of a proxy, each preceded by its length, to the control plane's end of a stream.
pub fn discovery_request(bytes: &[u8]) {
    let mut publisher = Publisher::new();
    let mut rest = bytes;
    while let Ok(request) = DeltaDiscoveryRequest::decode_length_delimited(&mut rest) {
        let Ok(heard) = publisher.request(request) else {
            return;
        };
        for name in heard.subscribed {
            publisher.publish(&name, Some(&Encoded::new(bytes::Bytes::from_static(b"x"))));
        }
        while publisher.response().is_some() {}
    }
}

/// Responses of a control plane, each preceded by its length, to the proxy's end.
pub fn discovery_response(bytes: &[u8]) {
    let mut subscriber = Subscriber::new();
    for kind in Kind::ALL {
        subscriber.subscribe(&ResourceName::new(kind, ""), None);
    }
    subscriber.connected();
    let mut rest = bytes;
    while let Ok(response) = DeltaDiscoveryResponse::decode_length_delimited(&mut rest) {
        let received = subscriber.response(response);
        assert_eq!(
            received.reply.is_some_and(|reply| reply.error_detail.is_some()),
            !received.rejected.is_empty()
        );
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::ENTRIES;

    proptest! {
        #[test]
        fn no_entry_panics_on_random_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            for (_, entry) in ENTRIES {
                entry(&bytes);
            }
        }
    }
}

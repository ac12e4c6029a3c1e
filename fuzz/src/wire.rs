//! What control plane and proxies send each other: `0` to `3` a resource of each kind in the order of `Kind::ALL`,
//! `4` responses to a proxy, `5` requests to the control plane.

use prost::Message;
use wattle_wire::delta::{Publisher, Subscriber};
use wattle_wire::proto::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use wattle_wire::{Kind, Resource, ResourceName};

use crate::facts::Facts;
use crate::select;

/// The first byte selects.
pub fn run(input: &[u8]) {
    let Some((chosen, rest)) = select(input, Kind::ALL.len() + 2) else {
        return;
    };
    match Kind::ALL.get(chosen) {
        Some(kind) => resource(*kind, rest),
        None if chosen == Kind::ALL.len() => responses(rest),
        None => requests(rest),
    }
}

/// What is accepted can be decided upon, and is the same after a second journey.
fn resource(kind: Kind, bytes: &[u8]) {
    let Ok(resource) = Resource::decode(kind, bytes) else {
        return;
    };
    for facts in Facts::SOME {
        match &resource {
            Resource::Destination(destination) => facts.route(destination),
            Resource::Inbound(inbound) => {
                let _ = facts.authorize(inbound);
            }
            _ => {}
        }
    }
    let again = Resource::decode(kind, &resource.encode().bytes);
    assert_eq!(
        again.as_ref(),
        Ok(&resource),
        "not the same after a second journey"
    );
}

/// A proxy answers every response, and takes nothing that it did not ask for.
fn responses(bytes: &[u8]) {
    let wanted: Vec<_> = Kind::ALL
        .iter()
        .map(|kind| ResourceName::new(*kind, "10.0.0.1"))
        .collect();
    let mut subscriber = Subscriber::new();
    for name in &wanted {
        subscriber.subscribe(name, None);
    }
    drop(subscriber.connected());
    for response in messages::<DeltaDiscoveryResponse>(bytes) {
        let nonce = response.nonce.clone();
        let received = subscriber.response(response);
        let reply = received.reply.expect("every response is answered");
        assert_eq!(reply.response_nonce, nonce);
        assert_eq!(reply.error_detail.is_some(), !received.rejected.is_empty());
    }
    subscriber.disconnected();
    drop(subscriber.connected());
}

/// The control plane takes any request or closes the stream, and has an end of what it sends.
fn requests(bytes: &[u8]) {
    let mut publisher = Publisher::new();
    for request in messages::<DeltaDiscoveryRequest>(bytes) {
        let Ok(heard) = publisher.request(request) else {
            return;
        };
        let nothing = heard.subscribed.iter().filter(|name| name.name.len() % 2 == 0);
        nothing.for_each(|name| publisher.publish(name, None));
        while publisher.response().is_some() {}
    }
    assert!(publisher.wanted().all(|name| publisher.wants(&name)));
}

/// Messages one after the other, each behind its length; at most 32.
fn messages<M: Message + Default>(mut bytes: &[u8]) -> Vec<M> {
    let mut read = Vec::new();
    while let (true, Ok(message)) = (
        !bytes.is_empty() && read.len() < 32,
        M::decode_length_delimited(&mut bytes),
    ) {
        read.push(message);
    }
    read
}

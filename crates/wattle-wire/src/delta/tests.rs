//! Scripted and random streams between the two ends.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;
use wattle_model::Workload;

use super::{Outcome, Publisher, StreamError, Subscriber, Update};
use crate::proto::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use crate::{Encoded, Kind, Peer, Resource, ResourceName};

/// A value that the proxy will refuse.
const BAD: u8 = 255;
const NAMES: u8 = 5;

fn name(index: u8) -> ResourceName {
    ResourceName::new(Kind::Peer, format!("10.0.0.{index}"))
}

fn encoded(index: u8, value: u8) -> Encoded {
    // A bad resource is one whose inside bears another name.
    let ip = [10, 0, 0, if value == BAD { 99 } else { index }].into();
    let workload = Workload {
        name: value.to_string().into(),
        ..Workload::default()
    };
    Resource::Peer(Peer { ip, workload }).encode()
}

/// Both ends, the messages between them, and what each side has come to believe.
#[derive(Default)]
struct World {
    truth: BTreeMap<u8, u8>,
    publisher: Option<Publisher>,
    subscriber: Subscriber,
    to_server: VecDeque<DeltaDiscoveryRequest>,
    to_client: VecDeque<DeltaDiscoveryResponse>,
    wanted: BTreeSet<ResourceName>,
    held: BTreeMap<ResourceName, String>,
    acked: BTreeMap<ResourceName, Option<String>>,
    nacks: usize,
    sent: usize,
}

#[derive(Clone, Debug)]
enum Happening {
    Set(u8, Option<u8>),
    Subscribe(u8),
    Unsubscribe(u8),
    Forward,
    Back,
    Connect,
    Drop,
}

impl World {
    fn happen(&mut self, happening: &Happening) {
        match *happening {
            Happening::Set(index, value) => self.set(index, value),
            Happening::Subscribe(index) => {
                self.wanted.insert(name(index));
                let request = self.subscriber.subscribe(&name(index), None);
                self.to_server.extend(request);
            }
            Happening::Unsubscribe(index) => {
                self.wanted.remove(&name(index));
                self.held.remove(&name(index));
                let request = self.subscriber.unsubscribe(&name(index));
                self.to_server.extend(request);
            }
            Happening::Forward => drop(self.forward()),
            Happening::Back => drop(self.back()),
            Happening::Connect => self.connect(),
            Happening::Drop => {
                self.subscriber.disconnected();
                self.publisher = None;
                self.to_server.clear();
                self.to_client.clear();
            }
        }
    }

    fn connect(&mut self) {
        if self.publisher.is_none() {
            self.publisher = Some(Publisher::new());
            self.acked.clear();
            self.to_server.extend(self.subscriber.connected());
        }
    }

    fn set(&mut self, index: u8, value: Option<u8>) {
        match value {
            Some(value) => self.truth.insert(index, value),
            None => self.truth.remove(&index),
        };
        let encoded = value.map(|value| encoded(index, value));
        if let Some(publisher) = &mut self.publisher {
            publisher.publish(&name(index), encoded.as_ref());
        }
        self.flush();
    }

    fn flush(&mut self) {
        let Some(publisher) = &mut self.publisher else {
            return;
        };
        while let Some(response) = publisher.response() {
            let carried = response.resources.len() + response.removed_resources.len();
            assert!(carried > 0, "a response that carries nothing");
            self.sent += carried;
            self.to_client.push_back(response);
        }
        assert!(
            self.to_client.len() <= 1,
            "more than one response of a kind is in flight"
        );
    }

    /// One request reaches the control plane.
    fn forward(&mut self) -> Option<()> {
        let request = self.to_server.pop_front()?;
        let publisher = self.publisher.as_mut().unwrap();
        let heard = publisher.request(request).unwrap();
        for (name, version) in heard.held {
            self.acked.insert(name, Some(version.to_string()));
        }
        for name in &heard.unsubscribed {
            self.acked.remove(name);
        }
        if let Some(outcome) = heard.outcome {
            self.nacks += usize::from(outcome.refused.is_some());
            for (name, version) in &outcome.resources {
                if outcome.problem(name).is_none() {
                    self.acked
                        .insert(name.clone(), version.as_ref().map(ToString::to_string));
                }
            }
        }
        for wanted in heard.subscribed {
            let index = wanted.name.rsplit('.').next().unwrap().parse().unwrap();
            let encoded = self.truth.get(&index).map(|value| encoded(index, *value));
            publisher.publish(&wanted, encoded.as_ref());
        }
        self.flush();
        Some(())
    }

    /// One response reaches the proxy.
    fn back(&mut self) -> Option<()> {
        let response = self.to_client.pop_front()?;
        let received = self.subscriber.response(response);
        for update in received.updates {
            match update {
                Update::Changed(name, resource, _) => {
                    let Resource::Peer(peer) = *resource else {
                        panic!("another kind")
                    };
                    self.held.insert(name, peer.workload.name.to_string());
                }
                Update::Removed(name) => drop(self.held.remove(&name)),
            }
        }
        self.to_server.extend(received.reply);
        Some(())
    }

    fn settle(&mut self) {
        for _ in 0..10_000 {
            if self.forward().is_none() && self.back().is_none() {
                return;
            }
        }
        panic!("the two ends never come to rest");
    }
}

fn happening() -> impl Strategy<Value = Happening> {
    let index = 0..NAMES;
    prop_oneof![
        3 => (index.clone(), proptest::option::of(prop_oneof![4 => 0_u8..5, 1 => Just(BAD)]))
            .prop_map(|(index, value)| Happening::Set(index, value)),
        2 => index.clone().prop_map(Happening::Subscribe),
        1 => index.prop_map(Happening::Unsubscribe),
        3 => Just(Happening::Forward),
        3 => Just(Happening::Back),
        1 => Just(Happening::Connect),
        1 => Just(Happening::Drop),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn whatever_happens_both_ends_end_in_the_same_state(script in proptest::collection::vec(happening(), 0..120)) {
        let mut world = World::default();
        world.connect();
        for happening in &script {
            if world.publisher.is_some() || !matches!(happening, Happening::Forward) {
                world.happen(happening);
            }
            prop_assert!(!world.held.values().any(|value| *value == BAD.to_string()), "a refused resource is in force");
        }
        for index in 0..NAMES {
            if world.truth.get(&index) == Some(&BAD) {
                world.set(index, Some(1));
            }
        }
        world.connect();
        world.settle();
        for index in 0..NAMES {
            let wanted = world.wanted.contains(&name(index));
            let truth = world.truth.get(&index).filter(|_| wanted);
            prop_assert_eq!(world.held.get(&name(index)).cloned(), truth.map(ToString::to_string));
            prop_assert_eq!(world.subscriber.answered(&name(index)), wanted);
            if wanted {
                let version = truth.map(|value| encoded(index, *value).version.to_string());
                prop_assert_eq!(world.acked.get(&name(index)), Some(&version), "what is held was acked");
            }
        }
    }
}

fn world_with(values: &[(u8, u8)]) -> World {
    let mut world = World::default();
    world.connect();
    for (index, value) in values {
        world.set(*index, Some(*value));
        world.happen(&Happening::Subscribe(*index));
    }
    world.settle();
    world
}

#[test]
fn a_refused_resource_keeps_its_last_good_version_and_disturbs_no_other() {
    let mut world = world_with(&[(1, 1), (2, 1)]);
    // Both changes travel in one response: the first is bad.
    world.set(3, Some(3));
    world.happen(&Happening::Subscribe(3));
    world.forward();
    world.set(1, Some(BAD));
    world.set(2, Some(2));
    world.settle();
    assert_eq!(world.held[&name(1)], "1");
    assert_eq!(world.held[&name(2)], "2");
    assert_eq!(world.nacks, 1);
    assert_eq!(world.acked[&name(2)].as_deref(), Some(&*encoded(2, 2).version));
    assert_eq!(world.acked[&name(1)].as_deref(), Some(&*encoded(1, 1).version));
}

#[test]
fn a_refused_version_is_not_sent_again() {
    let mut world = world_with(&[(1, 1)]);
    world.set(1, Some(BAD));
    world.settle();
    let sent = world.sent;
    world.set(1, Some(BAD));
    world.settle();
    assert_eq!((world.sent, world.nacks), (sent, 1));
}

#[test]
fn a_proxy_that_reconnects_with_what_it_holds_is_sent_nothing() {
    let mut world = world_with(&[(1, 1), (2, 2)]);
    let sent = world.sent;
    world.happen(&Happening::Drop);
    world.connect();
    world.settle();
    assert_eq!(world.sent, sent);
}

#[test]
fn changes_behind_an_unacked_response_are_coalesced() {
    let mut world = world_with(&[(1, 0)]);
    let sent = world.sent;
    for value in 1..=50 {
        world.set(1, Some(value));
    }
    world.settle();
    assert_eq!(world.held[&name(1)], "50");
    assert_eq!(world.sent, sent + 2, "the first change, then the newest");
}

#[test]
fn what_does_not_exist_is_answered_as_removed() {
    let mut world = World::default();
    world.connect();
    world.happen(&Happening::Subscribe(4));
    world.settle();
    assert!(world.subscriber.answered(&name(4)));
    assert!(world.held.is_empty());
}

#[test]
fn a_stream_that_breaks_the_protocol_is_refused() {
    let subscribe = |type_url: &str, names: Vec<String>| DeltaDiscoveryRequest {
        type_url: type_url.to_owned(),
        resource_names_subscribe: names,
        ..DeltaDiscoveryRequest::default()
    };
    let mut publisher = Publisher::new();
    assert!(matches!(
        publisher.request(subscribe("x", Vec::new())),
        Err(StreamError::UnknownType(_))
    ));
    let long = vec!["x".repeat(ResourceName::MAX_LEN + 1)];
    assert!(matches!(
        publisher.request(subscribe(Kind::Peer.type_url(), long)),
        Err(StreamError::NameTooLong(_))
    ));
    let many = (0..=Publisher::MAX_SUBSCRIPTIONS)
        .map(|index| index.to_string())
        .collect();
    assert!(matches!(
        publisher.request(subscribe(Kind::Peer.type_url(), many)),
        Err(StreamError::TooMany)
    ));
}

#[test]
fn a_nack_that_names_nobody_refuses_all() {
    let outcome = |message: &str| Outcome {
        resources: vec![(name(1), None), (name(2), None)],
        refused: Some(message.to_owned()),
    };
    assert!(outcome("no").problem(&name(1)).is_some());
    assert!(outcome("10.0.0.2: no").problem(&name(1)).is_none());
    assert!(outcome("10.0.0.2: no").problem(&name(2)).is_some());
}

//! The proxy's end of a stream.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::proto::discovery::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, Resource as WireResource, Status,
};
use crate::{Encoded, Kind, Resource, ResourceName};

/// What a proxy wants and holds, across streams.
#[derive(Debug, Default)]
pub struct Subscriber {
    kinds: BTreeMap<Kind, BTreeMap<Arc<str>, Held>>,
    connected: bool,
}

#[derive(Debug, Default)]
struct Held {
    /// Version held; `None` when nothing is held (yet, or it does not exist).
    version: Option<Arc<str>>,
    /// Whether the control plane said anything about it on any stream.
    answered: bool,
}

/// A change to what the proxy holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Update {
    /// New or changed, decoded and as bytes (for the saved state).
    Changed(ResourceName, Box<Resource>, Encoded),
    /// There is no such thing (any more).
    Removed(ResourceName),
}

/// A resource that was refused; the last good version of it stays in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// Which.
    pub name: String,
    /// Why.
    pub problem: String,
}

/// What a response meant.
#[derive(Debug, Default)]
pub struct Received {
    /// Changes, in the order of the response.
    pub updates: Vec<Update>,
    /// What was refused.
    pub rejected: Vec<Rejected>,
    /// The ack or nack to send.
    pub reply: Option<DeltaDiscoveryRequest>,
}

impl Subscriber {
    /// Nothing wanted, not connected.
    pub fn new() -> Self {
        Self::default()
    }

    /// Wants a resource, of which `held` is the version already at hand (from a saved state). Gives the request to send on the current stream, if there is one.
    pub fn subscribe(
        &mut self,
        name: &ResourceName,
        held: Option<Arc<str>>,
    ) -> Option<DeltaDiscoveryRequest> {
        let wanted = self.kinds.entry(name.kind).or_default();
        if wanted.contains_key(&name.name) {
            return None;
        }
        let request = self.connected.then(|| DeltaDiscoveryRequest {
            type_url: name.kind.type_url().to_owned(),
            resource_names_subscribe: vec![name.name.to_string()],
            initial_resource_versions: held
                .iter()
                .map(|v| (name.name.to_string(), v.to_string()))
                .collect(),
            ..DeltaDiscoveryRequest::default()
        });
        wanted.insert(
            name.name.clone(),
            Held {
                answered: held.is_some(),
                version: held,
            },
        );
        request
    }

    /// Wants it no longer.
    pub fn unsubscribe(&mut self, name: &ResourceName) -> Option<DeltaDiscoveryRequest> {
        self.kinds.get_mut(&name.kind)?.remove(&name.name)?;
        self.connected.then(|| DeltaDiscoveryRequest {
            type_url: name.kind.type_url().to_owned(),
            resource_names_unsubscribe: vec![name.name.to_string()],
            ..DeltaDiscoveryRequest::default()
        })
    }

    /// A stream opened: the first requests on it, one per kind, with the versions held.
    pub fn connected(&mut self) -> Vec<DeltaDiscoveryRequest> {
        self.connected = true;
        self.kinds
            .iter()
            .filter(|(_, wanted)| !wanted.is_empty())
            .map(|(kind, wanted)| first(*kind, wanted))
            .collect()
    }

    /// The stream is gone; everything held stays in force.
    pub fn disconnected(&mut self) {
        self.connected = false;
    }

    /// Has the control plane answered for every resource of this name at least once, now or in the saved state?
    pub fn answered(&self, name: &ResourceName) -> bool {
        self.kinds
            .get(&name.kind)
            .and_then(|wanted| wanted.get(&name.name))
            .is_some_and(|held| held.answered)
    }

    /// Takes in a response: good resources apply, a bad one is refused by name and disturbs no other.
    pub fn response(&mut self, response: DeltaDiscoveryResponse) -> Received {
        let mut received = Received::default();
        match Kind::from_type_url(&response.type_url) {
            Some(kind) => {
                let wanted = self.kinds.entry(kind).or_default();
                for resource in response.resources {
                    take(kind, wanted, resource, &mut received);
                }
                for name in response.removed_resources {
                    if let Some(held) = wanted.get_mut(name.as_str()) {
                        *held = Held {
                            version: None,
                            answered: true,
                        };
                        received
                            .updates
                            .push(Update::Removed(ResourceName::new(kind, name)));
                    }
                }
            }
            None => received.rejected.push(Rejected {
                name: response.type_url.clone(),
                problem: "resource type is not known".to_owned(),
            }),
        }
        received.reply = Some(reply(response.type_url, response.nonce, &received.rejected));
        received
    }
}

fn first(kind: Kind, wanted: &BTreeMap<Arc<str>, Held>) -> DeltaDiscoveryRequest {
    let versions = wanted
        .iter()
        .filter_map(|(name, held)| Some((name.to_string(), held.version.as_ref()?.to_string())));
    DeltaDiscoveryRequest {
        type_url: kind.type_url().to_owned(),
        resource_names_subscribe: wanted.keys().map(ToString::to_string).collect(),
        initial_resource_versions: versions.collect(),
        ..DeltaDiscoveryRequest::default()
    }
}

fn take(kind: Kind, wanted: &mut BTreeMap<Arc<str>, Held>, message: WireResource, received: &mut Received) {
    // What was unsubscribed meanwhile is of no interest.
    let Some((name, held)) = wanted
        .get_key_value(message.name.as_str())
        .map(|(name, _)| name.clone())
        .and_then(|name| {
            let held = wanted.get_mut(&name)?;
            Some((name, held))
        })
    else {
        return;
    };
    let bytes = message.resource.map(|any| any.value).unwrap_or_default();
    match Resource::decode(kind, &bytes) {
        Ok(resource) if resource.name().name != name => received.rejected.push(Rejected {
            problem: format!("the resource inside is named \"{}\"", resource.name().name),
            name: name.to_string(),
        }),
        Ok(resource) => {
            let version: Arc<str> = message.version.into();
            *held = Held {
                version: Some(version.clone()),
                answered: true,
            };
            let name = ResourceName { kind, name };
            received.updates.push(Update::Changed(
                name,
                Box::new(resource),
                Encoded { version, bytes },
            ));
        }
        Err(error) => received.rejected.push(Rejected {
            name: name.to_string(),
            problem: error.to_string(),
        }),
    }
}

fn reply(type_url: String, nonce: String, rejected: &[Rejected]) -> DeltaDiscoveryRequest {
    /// google.rpc.Code.INVALID_ARGUMENT
    const INVALID_ARGUMENT: i32 = 3;
    let error_detail = (!rejected.is_empty()).then(|| {
        let problems: Vec<_> = rejected
            .iter()
            .take(20)
            .map(|r| format!("{}: {}", r.name, r.problem))
            .collect();
        Status {
            code: INVALID_ARGUMENT,
            message: problems.join("; "),
        }
    });
    DeltaDiscoveryRequest {
        type_url,
        response_nonce: nonce,
        error_detail,
        ..DeltaDiscoveryRequest::default()
    }
}

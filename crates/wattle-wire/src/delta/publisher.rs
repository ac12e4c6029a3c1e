//! The control plane's end of one stream.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::proto::discovery::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, EncodedAny, Resource as WireResource,
};
use crate::{Encoded, Kind, ResourceName};

/// State of one stream: what the proxy wants, what it has, what is on its way.
#[derive(Debug, Default)]
pub struct Publisher {
    kinds: BTreeMap<Kind, KindState>,
    next_nonce: u64,
}

#[derive(Debug, Default)]
struct KindState {
    wanted: BTreeMap<Arc<str>, Wanted>,
    /// Names whose newest state the proxy may not have.
    dirty: BTreeSet<Arc<str>>,
    in_flight: Option<InFlight>,
}

#[derive(Debug)]
struct InFlight {
    nonce: String,
    /// What it carried, with its version; `None` for a removal.
    carried: Vec<(Arc<str>, Option<Arc<str>>)>,
}

#[derive(Debug, Default)]
struct Wanted {
    /// Newest state; `None` until [`Publisher::publish`] said something.
    latest: Option<Option<Encoded>>,
    /// Version the proxy was last sent or said to hold; `Some(None)` is "told that it does not exist".
    told: Option<Option<Arc<str>>>,
}

/// What a request meant.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Newly wanted; the caller answers each with [`Publisher::publish`].
    pub subscribed: Vec<ResourceName>,
    /// Versions that the proxy says it holds from before; as good as an ack of that version.
    pub held: Vec<(ResourceName, Arc<str>)>,
    /// No longer wanted.
    pub unsubscribed: Vec<ResourceName>,
    /// Answer to a response, if the request was one.
    pub outcome: Option<Outcome>,
}

/// The proxy's answer to one response.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Resources of the response with the version it carried; `None` for a removal.
    pub resources: Vec<(ResourceName, Option<Arc<str>>)>,
    /// Why it was refused; `None` is an ack.
    pub refused: Option<String>,
}

impl Outcome {
    /// Why this resource was refused; `None` when it was taken. A nack that names none of its resources refuses all.
    pub fn problem(&self, name: &ResourceName) -> Option<&str> {
        let message = self.refused.as_deref()?;
        let says = |name: &ResourceName| message.contains(&format!("{}: ", name.name));
        (says(name) || !self.resources.iter().any(|(other, _)| says(other))).then_some(message)
    }
}

/// A request that breaks the protocol; the stream is to be closed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// Not one of ours.
    #[error("unknown resource type \"{0}\"")]
    UnknownType(String),
    /// A name beyond [`ResourceName::MAX_LEN`].
    #[error("resource name of {0} bytes, at most {max} expected", max = ResourceName::MAX_LEN)]
    NameTooLong(usize),
    /// More subscriptions than [`Publisher::MAX_SUBSCRIPTIONS`].
    #[error("more than {max} subscriptions of one type", max = Publisher::MAX_SUBSCRIPTIONS)]
    TooMany,
}

impl Publisher {
    /// Most names of one kind on one stream.
    pub const MAX_SUBSCRIPTIONS: usize = 100_000;
    /// Most resources in one response.
    const MAX_BATCH: usize = 500;
    /// Bytes after which a response is closed.
    const MAX_BATCH_BYTES: usize = 1024 * 1024;

    /// A fresh stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in a request of the proxy.
    pub fn request(&mut self, request: DeltaDiscoveryRequest) -> Result<Heard, StreamError> {
        let kind =
            Kind::from_type_url(&request.type_url).ok_or(StreamError::UnknownType(request.type_url))?;
        let state = self.kinds.entry(kind).or_default();
        let mut heard = Heard::default();
        if !request.response_nonce.is_empty() {
            heard.outcome = state.answered(
                kind,
                &request.response_nonce,
                request.error_detail.map(|e| e.message),
            );
        }
        for name in request.resource_names_unsubscribe {
            if state.wanted.remove(name.as_str()).is_some() {
                state.dirty.remove(name.as_str());
                heard.unsubscribed.push(ResourceName::new(kind, name));
            }
        }
        let mut versions = request.initial_resource_versions;
        for name in request.resource_names_subscribe {
            let held: Option<Arc<str>> = versions.remove(&name).map(Into::into);
            if let Some(name) = state.subscribe(name, held.clone())? {
                let name = ResourceName { kind, name };
                heard.held.extend(held.map(|version| (name.clone(), version)));
                heard.subscribed.push(name);
            }
        }
        Ok(heard)
    }

    /// Newest state of a resource: its bytes, or `None` when there is no such thing. Ignored when not wanted.
    pub fn publish(&mut self, name: &ResourceName, encoded: Option<&Encoded>) {
        let Some(state) = self.kinds.get_mut(&name.kind) else {
            return;
        };
        let Some(wanted) = state.wanted.get_mut(&name.name) else {
            return;
        };
        let version = encoded.map(|encoded| encoded.version.clone());
        if wanted.told.as_ref() == Some(&version) {
            state.dirty.remove(&name.name);
        } else {
            state.dirty.insert(name.name.clone());
        }
        wanted.latest = Some(encoded.cloned());
    }

    /// Is the resource wanted on this stream?
    pub fn wants(&self, name: &ResourceName) -> bool {
        self.kinds
            .get(&name.kind)
            .is_some_and(|state| state.wanted.contains_key(&name.name))
    }

    /// Everything wanted on this stream.
    pub fn wanted(&self) -> impl Iterator<Item = ResourceName> + '_ {
        self.kinds.iter().flat_map(|(kind, state)| {
            state.wanted.keys().map(|name| ResourceName {
                kind: *kind,
                name: name.clone(),
            })
        })
    }

    /// The next response to send; call until it gives `None`, after each request and each publish.
    pub fn response(&mut self) -> Option<DeltaDiscoveryResponse> {
        let (kind, state) = self
            .kinds
            .iter_mut()
            .find(|(_, state)| state.in_flight.is_none() && !state.dirty.is_empty())?;
        self.next_nonce += 1;
        Some(state.batch(*kind, self.next_nonce.to_string()))
    }
}

impl KindState {
    /// Adds a subscription; gives the name back when the caller has to publish it.
    fn subscribe(&mut self, name: String, held: Option<Arc<str>>) -> Result<Option<Arc<str>>, StreamError> {
        if name.len() > ResourceName::MAX_LEN {
            return Err(StreamError::NameTooLong(name.len()));
        }
        if let Some(wanted) = self.wanted.get_mut(name.as_str()) {
            // Asked for again: the proxy lost it, so it is sent again.
            wanted.told = held.map(Some);
            if wanted.latest.is_some() {
                self.dirty.insert(name.into());
            }
            return Ok(None);
        }
        if self.wanted.len() >= Publisher::MAX_SUBSCRIPTIONS {
            return Err(StreamError::TooMany);
        }
        let name: Arc<str> = name.into();
        let told = held.map(Some);
        self.wanted.insert(name.clone(), Wanted { latest: None, told });
        Ok(Some(name))
    }

    /// An ack or nack; of an old nonce it is nothing.
    fn answered(&mut self, kind: Kind, nonce: &str, refused: Option<String>) -> Option<Outcome> {
        let in_flight = self.in_flight.take_if(|in_flight| in_flight.nonce == nonce)?;
        let carried = in_flight
            .carried
            .into_iter()
            .filter(|(name, _)| self.wanted.contains_key(name));
        let resources = carried
            .map(|(name, version)| (ResourceName { kind, name }, version))
            .collect();
        Some(Outcome { resources, refused })
    }

    fn batch(&mut self, kind: Kind, nonce: String) -> DeltaDiscoveryResponse {
        let mut response = DeltaDiscoveryResponse {
            type_url: kind.type_url().to_owned(),
            nonce: nonce.clone(),
            ..DeltaDiscoveryResponse::default()
        };
        let mut carried = Vec::new();
        let mut bytes = 0;
        while carried.len() < Publisher::MAX_BATCH && bytes < Publisher::MAX_BATCH_BYTES {
            let Some(name) = self.dirty.pop_first() else { break };
            let Some(wanted) = self.wanted.get_mut(&name) else {
                continue;
            };
            match wanted.latest.as_ref() {
                Some(Some(encoded)) => {
                    bytes += encoded.bytes.len();
                    wanted.told = Some(Some(encoded.version.clone()));
                    response.resources.push(wire_resource(kind, &name, encoded));
                    carried.push((name, Some(encoded.version.clone())));
                }
                Some(None) => {
                    wanted.told = Some(None);
                    response.removed_resources.push(name.to_string());
                    carried.push((name, None));
                }
                None => {}
            }
        }
        self.in_flight = Some(InFlight { nonce, carried });
        response
    }
}

fn wire_resource(kind: Kind, name: &Arc<str>, encoded: &Encoded) -> WireResource {
    WireResource {
        name: name.to_string(),
        version: encoded.version.to_string(),
        resource: Some(EncodedAny {
            type_url: kind.type_url().to_owned(),
            value: encoded.bytes.clone(),
        }),
        ..WireResource::default()
    }
}

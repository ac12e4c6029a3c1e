//! The delta protocol in the words of a [`Session`].

use wattle_envoy::Kind;
use wattle_wire::delta::StreamError;
use wattle_wire::proto::discovery::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, EncodedAny, Resource as WireResource,
};

use super::batch::Batch;
use super::session::{Answered, Session};

/// The name that stands for all of a kind.
pub(super) const WILDCARD: &str = "*";

/// Takes in a request; gives what it answers, and why that was refused.
pub(super) fn hear(
    session: &mut Session,
    kind: Kind,
    request: DeltaDiscoveryRequest,
) -> Result<Option<(Answered, Option<String>)>, StreamError> {
    let first = !session.knows(kind);
    let subscription = session.of(kind);
    let answered = subscription.answered(kind, &request.response_nonce);
    for name in &request.resource_names_unsubscribe {
        match name.as_str() {
            WILDCARD => subscription.wildcard = false,
            name => subscription.unsubscribe(name),
        }
    }
    let all = first && request.resource_names_subscribe.is_empty();
    if may_want_all(kind)
        && (all
            || request
                .resource_names_subscribe
                .iter()
                .any(|name| name == WILDCARD))
    {
        (subscription.wildcard, subscription.owed) = (true, true);
    }
    let names = request.resource_names_subscribe.iter();
    for name in names.filter(|name| *name != WILDCARD) {
        subscription.subscribe(name)?;
    }
    for (name, version) in &request.initial_resource_versions {
        subscription.holds(name, version)?;
    }
    let refused = request.error_detail.map(|error| error.message);
    Ok(answered.map(|answered| (answered, refused)))
}

/// Endpoints and routes are only ever asked for by name.
pub(super) fn may_want_all(kind: Kind) -> bool {
    matches!(kind, Kind::Cluster | Kind::Listener)
}

/// A response.
pub(super) fn say(batch: &Batch) -> DeltaDiscoveryResponse {
    let type_url = batch.kind.type_url();
    let set = batch.set.iter().map(|(name, resource)| WireResource {
        name: name.to_string(),
        version: resource.version.to_string(),
        resource: Some(EncodedAny {
            type_url: type_url.to_owned(),
            value: resource.body.clone(),
        }),
        ..WireResource::default()
    });
    DeltaDiscoveryResponse {
        type_url: type_url.to_owned(),
        nonce: batch.nonce.clone(),
        resources: set.collect(),
        removed_resources: batch.removed.iter().map(ToString::to_string).collect(),
        ..DeltaDiscoveryResponse::default()
    }
}

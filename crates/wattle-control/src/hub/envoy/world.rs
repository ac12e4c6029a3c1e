//! The state-of-the-world protocol in the words of a [`Session`].

use std::collections::BTreeSet;
use std::sync::Arc;

use wattle_envoy::Kind;
use wattle_wire::delta::StreamError;
use wattle_wire::proto::discovery::{DiscoveryRequest, DiscoveryResponse, EncodedAny};

use super::batch::Batch;
use super::delta::{WILDCARD, may_want_all};
use super::session::{Answered, Session, Subscription};

/// Takes in a request; gives what it answers, and why that was refused.
pub(super) fn hear(
    session: &mut Session,
    kind: Kind,
    request: DiscoveryRequest,
) -> Result<Option<(Answered, Option<String>)>, StreamError> {
    let first = !session.knows(kind);
    let subscription = session.of(kind);
    // Whoever answers an older response has not seen the newest: all it wants is said again in the answer to that.
    if subscription.is_stale(&request.response_nonce) {
        return Ok(None);
    }
    let answered = subscription.answered(kind, &request.response_nonce);
    if may_want_all(kind) {
        let says_all = request.resource_names.iter().any(|name| name == WILDCARD);
        let never_named = first || (subscription.wildcard && subscription.names.is_empty());
        let all = says_all || (never_named && request.resource_names.is_empty());
        subscription.owed |= all && !subscription.wildcard;
        subscription.wildcard = all;
    }
    want(subscription, kind, &request.resource_names)?;
    let refused = request.error_detail.map(|error| error.message);
    Ok(answered.map(|answered| (answered, refused)))
}

/// Makes these the names it wants.
fn want(subscription: &mut Subscription, kind: Kind, names: &[String]) -> Result<(), StreamError> {
    let now: BTreeSet<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| *name != WILDCARD)
        .collect();
    let dropped: Vec<Arc<str>> = subscription
        .names
        .iter()
        .filter(|name| !now.contains(&***name))
        .cloned()
        .collect();
    dropped.iter().for_each(|name| subscription.unsubscribe(name));
    for name in now {
        if !subscription.names.contains(name) {
            subscription.subscribe(name)?;
            // That it is missing is said by a response without it, where such a response is complete.
            subscription.owed |= may_want_all(kind);
        }
    }
    Ok(())
}

/// A response.
pub(super) fn say(batch: &Batch) -> DiscoveryResponse {
    let type_url = batch.kind.type_url();
    let resources = batch.set.iter().map(|(_, resource)| EncodedAny {
        type_url: type_url.to_owned(),
        value: resource.body.clone(),
    });
    DiscoveryResponse {
        // Only told apart by the client, never compared: what it holds is known by name and version here.
        version_info: batch.nonce.clone(),
        type_url: type_url.to_owned(),
        nonce: batch.nonce.clone(),
        resources: resources.collect(),
    }
}

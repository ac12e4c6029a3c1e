//! Authorize: the model decides; this file only lends it the facts and keeps the answer.

use wattle_http::RequestHead;
use wattle_model::{
    AuthorizationDecision, CallerFacts, ConnectionFacts, Inbound, NoTrace, PeerFacts, Reason, RequestFacts,
    TokenFacts, original_client,
};

use super::route;
use crate::inbound::Who;
use crate::worker::Worker;

/// The facts of an inbound connection.
pub(crate) fn facts(who: &Who) -> ConnectionFacts<'_> {
    let peer = who.peer.as_ref().map(|id| PeerFacts {
        principal: id.principal(),
        namespace: id.namespace(),
        service_account: id.service_account(),
    });
    ConnectionFacts {
        peer,
        peer_ip: who.downstream.ip(),
        local_ip: who.local.ip(),
        port: who.local.port(),
        sni: who.sni.as_deref(),
    }
}

/// The facts of a request.
pub(crate) fn request_facts<'a>(
    worker: &Worker,
    who: &Who,
    head: &'a RequestHead,
    token: Option<&'a TokenFacts>,
) -> RequestFacts<'a> {
    let asked = worker.asks_remote_ip();
    RequestFacts {
        token,
        remote_ip: asked
            .then(|| original_client(who.peer.is_some(), &head.headers))
            .flatten(),
        ..route::facts(head, CallerFacts::default())
    }
}

/// May it in? Secured as the port asks, and allowed by policy; `request` is `None` for an opaque connection.
pub(crate) fn authorize(
    inbound: &Inbound,
    connection: &ConnectionFacts<'_>,
    request: Option<&RequestFacts<'_>>,
) -> Result<(), Reason> {
    inbound
        .admit(connection, &mut NoTrace)
        .map_err(|refusal| refusal.reason)?;
    match inbound.authorize(connection, request, &mut NoTrace) {
        AuthorizationDecision::Allowed { .. } => Ok(()),
        AuthorizationDecision::Refused { reason, .. } => Err(reason),
    }
}

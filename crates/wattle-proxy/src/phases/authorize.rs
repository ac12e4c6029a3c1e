//! Authorize: the model decides; this file only lends it the facts and keeps the answer.

use wattle_model::{
    AuthorizationDecision, ConnectionFacts, Inbound, NoTrace, PeerFacts, Reason, RequestFacts,
};

use crate::inbound::Who;

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

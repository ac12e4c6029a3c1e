//! Authorize: the model decides; this file only lends it the facts and keeps the answer.

use std::net::IpAddr;

use wattle_identity::SpiffeId;
use wattle_model::{
    AuthorizationDecision, ConnectionFacts, Inbound, NoTrace, PeerFacts, Reason, RequestFacts,
};

/// The facts of an inbound connection.
pub(crate) fn facts(peer: Option<&SpiffeId>, peer_ip: IpAddr, port: u16) -> ConnectionFacts<'_> {
    let peer = peer.map(|id| PeerFacts {
        principal: id.principal(),
        namespace: id.namespace(),
        service_account: id.service_account(),
    });
    ConnectionFacts { peer, peer_ip, port }
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

//! Refuse: what is not let in gets an id, under which the facts that were compared are kept for a while.

use std::rc::Rc;

use http::{HeaderMap, HeaderValue};
use wattle_model::{AuthorizationDecision, Inbound, NoTrace, Reason, RequestFacts};
use wattle_telemetry::Refusal;

use super::authorize;
use crate::inbound::Who;
use crate::worker::Worker;

mod compared;
mod seen;

pub(crate) use compared::Compared;
use seen::Room;

/// Keeps the facts and gives their id.
pub(crate) fn keep(
    worker: &Worker,
    who: &Who,
    (reason, detail): (&'static str, &'static str),
    request: Option<&RequestFacts<'_>>,
) -> Rc<str> {
    // 64 random bits: nobody guesses one, and no two of a process are alike.
    let id: Rc<str> = format!("{:016x}", rand::random::<u64>()).into();
    let inbound = worker.inbound();
    let compared = worker.refusals.compared(inbound.as_ref());
    let mut room = Room::default();
    let policy = inbound
        .as_deref()
        .and_then(|inbound| decided_by(inbound, who, reason, request));
    worker.refusals.keep(Refusal {
        id: id.to_string(),
        trace_id: request
            .and_then(|request| trace_of(request.headers))
            .map(str::to_owned),
        time: jiff::Timestamp::try_from(worker.clock.wall())
            .map_or_else(|_| String::new(), |time| format!("{time:.3}")),
        reason: reason.to_owned(),
        detail: detail.to_owned(),
        policy: policy.unwrap_or_default(),
        workload: worker.settings.id.as_str().to_owned(),
        instance: worker.settings.instance.clone(),
        peer: who.peer.as_ref().map(|peer| peer.as_str().to_owned()),
        downstream: who.downstream,
        local: who.local,
        sni: who.sni.as_deref().map(|sni| room.cut(sni)),
        request: request.map(|request| room.request(request, &compared)),
    });
    id
}

/// The trace that the request says it belongs to.
fn trace_of(headers: &HeaderMap) -> Option<&str> {
    wattle_telemetry::trace_id(traceparent(headers)?.to_str().ok()?)
}

/// Which trace it is of, as it was sent; of several headers, none (W3C Trace Context §3.2).
pub(crate) fn traceparent(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut said = headers.get_all("traceparent").iter();
    said.next().filter(|_| said.next().is_none())
}

/// The policy behind the reason, where there is one: decided once more, which only a refusal pays for.
fn decided_by(
    inbound: &Inbound,
    who: &Who,
    reason: &str,
    request: Option<&RequestFacts<'_>>,
) -> Option<String> {
    let connection = authorize::facts(who);
    if let Err(refusal) = inbound.admit(&connection, &mut NoTrace) {
        return refusal.policy.map(ToString::to_string);
    }
    if ![Reason::PolicyDenied.id(), Reason::PolicyNotAllowed.id()].contains(&reason) {
        return None;
    }
    match inbound.authorize(&connection, request, &mut NoTrace) {
        AuthorizationDecision::Refused {
            policy: Some(policy),
            rule,
            ..
        } => {
            let rule = rule.map(|rule| format!(" rule {rule}")).unwrap_or_default();
            Some(format!("{policy}{rule}"))
        }
        _ => None,
    }
}

//! What the inbound side of a workload says.

use std::net::SocketAddr;

use wattle_model::{
    Ask, AuthorizationDecision, ConnectionFacts, Inbound, NoTrace, ObjectRef, PeerFacts, Protocol, Reason,
    RequestFacts, Step, Verdict,
};

use super::asked::Asked;
use super::backend::Carried;
use super::token::Taken;
use super::{TraceLine, WorkloadStep, lines};

/// Asks the inbound side exactly as its proxy would.
pub(super) fn judge(
    step: &mut WorkloadStep,
    asked: &Asked,
    inbound: &Inbound,
    local: SocketAddr,
    carried: &Carried,
) {
    let peer = asked.id.as_ref().filter(|_| step.mtls).map(|id| PeerFacts {
        principal: id.principal(),
        namespace: id.namespace(),
        service_account: id.service_account(),
    });
    let connection = ConnectionFacts {
        peer,
        peer_ip: asked.address,
        local_ip: local.ip(),
        port: local.port(),
        sni: asked.server_name.as_deref(),
    };
    let mut trace: Vec<Step> = Vec::new();
    if let Err(refusal) = inbound.admit(&connection, &mut trace) {
        step.allowed = false;
        step.reason = Some(refusal.reason.id().to_owned());
        step.policy = refusal.policy.map(ToString::to_string);
        step.trace = lines(trace);
        return;
    }
    // The sending proxy says on mutual TLS what it carries; plaintext is looked into where its port is not declared opaque.
    let looked_into = match inbound.port(local.port()).protocol {
        _ if step.mtls => !carried.opaque,
        Protocol::Tcp | Protocol::Tls => false,
        _ => !asked.opaque,
    };
    let claims = asked.claims.as_ref().filter(|_| looked_into);
    let token = match claims.map(|claims| claims.taken(inbound, &mut trace)) {
        Some(Taken::Refused) => {
            step.allowed = false;
            step.reason = Some(Reason::TokenInvalid.id().to_owned());
            step.trace = lines(trace);
            return;
        }
        Some(Taken::Verified(facts)) => Some(facts),
        Some(Taken::Ignored) | None => None,
    };
    let facts = looked_into.then(|| RequestFacts {
        token: token.as_ref(),
        remote_ip: wattle_model::original_client(peer.is_some(), &carried.head.headers),
        ..carried.head.facts()
    });
    for ask in inbound.asks(&connection, facts.as_ref(), &mut trace) {
        trace.push(asked_outside(&ask));
    }
    match inbound.authorize(&connection, facts.as_ref(), &mut trace) {
        AuthorizationDecision::Allowed { policy } => step.policy = policy.map(ToString::to_string),
        AuthorizationDecision::Refused { reason, policy, rule } => {
            step.allowed = false;
            step.reason = Some(reason.id().to_owned());
            let rule = rule.map(|rule| format!(" rule {rule}")).unwrap_or_default();
            step.policy = policy.map(|policy| format!("{policy}{rule}"));
        }
    }
    trace.extend(without_effect(inbound, &connection, facts.as_ref()));
    step.trace = lines(trace);
    if let Some(allowed_by) = step.policy.as_ref().filter(|_| step.allowed) {
        step.policy = Some(with_rule(allowed_by, &step.trace));
    }
}

/// What policies say that decide nothing: those under trial, and the one that marks for auditing.
fn without_effect(
    inbound: &Inbound,
    connection: &ConnectionFacts<'_>,
    request: Option<&RequestFacts<'_>>,
) -> Vec<Step> {
    let tried = inbound.tried(connection, request, &mut NoTrace).map(|tried| {
        let by = |policy: Option<&ObjectRef>| match policy {
            Some(policy) => format!(" by {policy}"),
            None => String::new(),
        };
        match tried {
            AuthorizationDecision::Allowed { policy } => format!("dry run: would be let in{}", by(policy)),
            AuthorizationDecision::Refused { policy, .. } => {
                format!("dry run: would be refused{}", by(policy))
            }
        }
    });
    let audited = inbound.audited_by(connection, request);
    let audited = audited.map(|policy| format!("marked for auditing by {policy}"));
    let told = tried.into_iter().chain(audited);
    told.map(|told| Step::new("without effect", Verdict::Skipped, told))
        .collect()
}

/// What follows holds if the authorizer lets it in, which only asking it can tell.
fn asked_outside(ask: &Ask<'_>) -> Step {
    let (name, service) = (&ask.authorizer.name, &ask.authorizer.service);
    Step::new(
        format!("{} rule {}", ask.policy, ask.rule),
        Verdict::Skipped,
        format!("asks {name} at {service}, whose answer is not known here"),
    )
}

/// The rule that allowed, from the trace.
fn with_rule(policy: &str, trace: &[TraceLine]) -> String {
    let matched = trace
        .iter()
        .rev()
        .find(|line| line.verdict == "matched" && line.subject.starts_with(policy));
    matched.map_or_else(|| policy.to_owned(), |line| line.subject.clone())
}

//! Refuse: what is not let in gets an id, under which the facts that were compared are kept for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use http::{HeaderMap, HeaderName, HeaderValue};
use wattle_model::{
    Attribute, Authorization, AuthorizationDecision, Inbound, NoTrace, PolicyRule, Reason, RequestFacts,
    TokenFacts,
};
use wattle_telemetry::{Refusal, RefusedRequest, RefusedToken};

use super::authorize;
use crate::inbound::Who;
use crate::worker::Worker;

/// Longest text that is kept, bytes.
const LONGEST: usize = 1024;
/// Most names of headers, and most values of one, that are kept.
const MOST: usize = 64;
/// Their values are credentials, whatever a policy compares.
const SECRET: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

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
    let compared = inbound.as_deref().map(Compared::by).unwrap_or_default();
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
        sni: who.sni.as_deref().map(cut),
        request: request.map(|request| seen(request, &compared)),
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

/// What policies compare of headers and claims.
#[derive(Default)]
struct Compared {
    headers: BTreeSet<String>,
    claims: Vec<Attribute>,
}

impl Compared {
    fn by(inbound: &Inbound) -> Self {
        let mut compared = Self::default();
        compared.add(&inbound.authorization);
        compared
    }

    fn add(&mut self, authorization: &Authorization) {
        let policies = authorization.policies();
        policies
            .flat_map(|policy| &policy.rules)
            .for_each(|rule| self.add_rule(rule));
        let routes = authorization.gates.iter().flat_map(|gate| &gate.routes);
        for header in routes.flat_map(|route| &route.matches.headers) {
            self.headers.insert(header.name.as_str().to_owned());
        }
    }

    fn add_rule(&mut self, rule: &PolicyRule) {
        for condition in &rule.when {
            match &condition.attribute {
                Attribute::RequestHeader(name) => _ = self.headers.insert(name.as_str().to_owned()),
                claim @ Attribute::RequestClaim(_) if !self.claims.contains(claim) => {
                    self.claims.push(claim.clone());
                }
                _ => {}
            }
        }
    }
}

fn seen(request: &RequestFacts<'_>, compared: &Compared) -> RefusedRequest {
    let named =
        |name: &&HeaderName| compared.headers.contains(name.as_str()) && !SECRET.contains(&name.as_str());
    let values = |name: &HeaderName| (name.as_str().to_owned(), values(request.headers, name));
    RefusedRequest {
        method: cut(request.method),
        scheme: cut(request.scheme),
        authority: cut(request.authority),
        path: cut(request.path),
        header_names: request
            .headers
            .keys()
            .take(MOST)
            .map(|name| cut(name.as_str()))
            .collect(),
        headers: request
            .headers
            .keys()
            .filter(named)
            .take(MOST)
            .map(values)
            .collect(),
        remote_ip: request.remote_ip,
        token: request.token.map(|token| said(token, compared)),
    }
}

/// A value that looks like a token is left empty.
fn values(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let shown = |value: &http::HeaderValue| {
        let text = String::from_utf8_lossy(value.as_bytes());
        let secret = text.starts_with("Bearer ") || text.starts_with("Basic ") || text.starts_with("eyJ");
        if secret { String::new() } else { cut(&text) }
    };
    headers.get_all(name).iter().take(MOST).map(shown).collect()
}

fn said(token: &TokenFacts, compared: &Compared) -> RefusedToken {
    let texts = |list: &[Box<str>]| list.iter().take(MOST).map(|text| cut(text)).collect();
    let claims: BTreeMap<_, _> = compared
        .claims
        .iter()
        .filter_map(|attribute| match attribute {
            Attribute::RequestClaim(path) => Some((attribute.to_string(), texts(token.claim(path)))),
            _ => None,
        })
        .collect();
    RefusedToken {
        principal: token
            .principal
            .as_ref()
            .map(|principal| (cut(&principal.issuer), cut(&principal.subject))),
        audiences: texts(&token.audiences),
        presenter: token.presenter.as_deref().map(cut),
        claims,
    }
}

fn cut(text: &str) -> String {
    text[..text.floor_char_boundary(LONGEST)].to_owned()
}

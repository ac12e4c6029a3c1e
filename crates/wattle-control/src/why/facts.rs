//! A record as the facts that a decision is made of.

use http::{HeaderMap, HeaderName, HeaderValue};
use wattle_identity::SpiffeId;
use wattle_model::{
    Attribute, CallerFacts, Claim, ConnectionFacts, PeerFacts, RequestFacts, TokenFacts, TokenPrincipal,
};
use wattle_telemetry::{Refusal, RefusedRequest, RefusedToken};

use super::WhyError;

/// What was recorded.
pub(crate) struct Facts<'a> {
    refusal: &'a Refusal,
    peer: Option<SpiffeId>,
    headers: HeaderMap,
    token: Option<TokenFacts>,
}

impl<'a> Facts<'a> {
    pub(crate) fn of(refusal: &'a Refusal) -> Result<Self, WhyError> {
        let read = |text: &String| {
            text.parse::<SpiffeId>()
                .map_err(|_| WhyError::Identity(text.clone()))
        };
        let request = refusal.request.as_ref();
        Ok(Self {
            refusal,
            peer: refusal.peer.as_ref().map(read).transpose()?,
            headers: request.map(headers).unwrap_or_default(),
            token: request.and_then(|request| request.token.as_ref()).map(token),
        })
    }

    /// Lends them to a question.
    pub(crate) fn ask<T>(
        &self,
        question: impl FnOnce(&ConnectionFacts<'_>, Option<&RequestFacts<'_>>) -> T,
    ) -> T {
        let connection = ConnectionFacts {
            peer: self.peer.as_ref().map(|peer| PeerFacts {
                principal: peer.principal(),
                namespace: peer.namespace(),
                service_account: peer.service_account(),
            }),
            peer_ip: self.refusal.downstream.ip(),
            local_ip: self.refusal.local.ip(),
            port: self.refusal.local.port(),
            sni: self.refusal.sni.as_deref(),
        };
        let request = self.refusal.request.as_ref().map(|request| RequestFacts {
            method: &request.method,
            scheme: &request.scheme,
            authority: &request.authority,
            path: &request.path,
            query: None,
            headers: &self.headers,
            caller: CallerFacts::default(),
            remote_ip: request.remote_ip,
            token: self.token.as_ref(),
        });
        question(&connection, request.as_ref())
    }
}

/// Values that are known.
fn headers(request: &RefusedRequest) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, values) in &request.headers {
        let Ok(name) = name.parse::<HeaderName>() else {
            continue;
        };
        for value in values
            .iter()
            .filter_map(|value| HeaderValue::from_str(value).ok())
        {
            headers.append(name.clone(), value);
        }
    }
    headers
}

fn token(said: &RefusedToken) -> TokenFacts {
    let texts = |list: &[String]| {
        list.iter()
            .map(|text| text.as_str().into())
            .collect::<Vec<Box<str>>>()
    };
    let mut token = TokenFacts {
        principal: said.principal.as_ref().map(|(issuer, subject)| TokenPrincipal {
            issuer: issuer.as_str().into(),
            subject: subject.as_str().into(),
        }),
        audiences: texts(&said.audiences),
        presenter: said.presenter.as_deref().map(Into::into),
        claims: Vec::new(),
    };
    for (attribute, values) in &said.claims {
        if let Attribute::RequestClaim(path) = Attribute::parse(attribute) {
            place(&mut token.claims, &path, texts(values));
        }
    }
    token
}

/// Puts values where the path leads.
fn place(members: &mut Vec<(Box<str>, Claim)>, path: &[Box<str>], values: Vec<Box<str>>) {
    let Some((name, rest)) = path.split_first() else {
        return;
    };
    if rest.is_empty() {
        members.push((name.clone(), Claim::Texts(values)));
        return;
    }
    if !members.iter().any(|(known, _)| known == name) {
        members.push((name.clone(), Claim::Members(Vec::new())));
    }
    for (known, claim) in members {
        if let (true, Claim::Members(inner)) = (*known == *name, claim) {
            return place(inner, rest, values);
        }
    }
}

//! Requests from web pages of other origins (Fetch §3.2; Gateway API `CORS`, Istio `corsPolicy`).

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{RequestFacts, TextMatch};

/// Which origins may call, and what they may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// Origins that may call; `*` is [`TextMatch::Present`].
    pub origins: Vec<TextMatch>,
    /// Methods of `access-control-allow-methods`.
    pub methods: CorsList,
    /// Headers of `access-control-allow-headers`.
    pub headers: CorsList,
    /// Headers of `access-control-expose-headers`.
    pub expose: CorsList,
    /// How long a browser may remember the answer; `None` sends no `access-control-max-age`.
    pub max_age: Option<Duration>,
    /// Cookies and the like may be sent.
    pub credentials: bool,
    /// A preflight of an origin that may not call goes on to the backend (Istio `unmatchedPreflights: FORWARD`);
    /// otherwise it is answered without permission.
    pub forwards_unmatched: bool,
}

/// Names that are allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorsList {
    /// Whatever is asked for (`*`).
    Any,
    /// These, joined as they are sent; empty sends no header.
    These(Box<str>),
}

/// What the policy makes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorsVerdict {
    /// It is none of its business: it goes on, and the response stays as it is.
    Pass,
    /// It goes on, and the response gets these headers.
    Allow(CorsReply),
    /// It is answered with these headers and goes nowhere.
    Preflight(CorsReply),
}

/// Headers of a response.
pub type CorsReply = Vec<(HeaderName, HeaderValue)>;

impl Cors {
    /// What becomes of `request`.
    pub fn decide(&self, request: &RequestFacts<'_>) -> CorsVerdict {
        let Some(origin) = request.headers.get(header::ORIGIN) else {
            return CorsVerdict::Pass;
        };
        let asked = request.headers.get(header::ACCESS_CONTROL_REQUEST_METHOD);
        let preflight = request.method == "OPTIONS" && asked.is_some();
        let text = String::from_utf8_lossy(origin.as_bytes());
        let allowed = self.origins.iter().any(|wanted| wanted.matches(&text));
        match (preflight, allowed) {
            (true, true) => CorsVerdict::Preflight(self.permission(origin, request.headers)),
            (true, false) if !self.forwards_unmatched => CorsVerdict::Preflight(Vec::new()),
            (false, true) => CorsVerdict::Allow(self.headers_of_answer(origin)),
            (_, false) => CorsVerdict::Pass,
        }
    }

    /// Headers of the answer to a preflight.
    fn permission(&self, origin: &HeaderValue, asked: &HeaderMap) -> CorsReply {
        let mut reply = self.headers_of_origin(origin);
        let lists = [
            (
                &self.methods,
                header::ACCESS_CONTROL_ALLOW_METHODS,
                header::ACCESS_CONTROL_REQUEST_METHOD,
            ),
            (
                &self.headers,
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                header::ACCESS_CONTROL_REQUEST_HEADERS,
            ),
        ];
        for (list, name, question) in lists {
            let value = match list {
                CorsList::Any => asked.get(question).cloned(),
                CorsList::These(names) if names.is_empty() => None,
                CorsList::These(names) => HeaderValue::from_str(names).ok(),
            };
            reply.extend(value.map(|value| (name, value)));
        }
        let max_age = self.max_age.map(|age| HeaderValue::from(age.as_secs()));
        reply.extend(max_age.map(|value| (header::ACCESS_CONTROL_MAX_AGE, value)));
        reply
    }

    /// Headers of the answer to a call.
    fn headers_of_answer(&self, origin: &HeaderValue) -> CorsReply {
        let mut reply = self.headers_of_origin(origin);
        let exposed = match &self.expose {
            // With credentials a `*` would be taken literally (Fetch §3.2.5); nothing says which headers there will be.
            CorsList::Any => Some(HeaderValue::from_static("*")).filter(|_| !self.credentials),
            CorsList::These(names) if names.is_empty() => None,
            CorsList::These(names) => HeaderValue::from_str(names).ok(),
        };
        reply.extend(exposed.map(|value| (header::ACCESS_CONTROL_EXPOSE_HEADERS, value)));
        reply
    }

    fn headers_of_origin(&self, origin: &HeaderValue) -> CorsReply {
        let mut reply = vec![(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone())];
        if self.credentials {
            reply.push((
                header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
                HeaderValue::from_static("true"),
            ));
        }
        reply
    }
}

#[cfg(test)]
mod tests;

//! What a service answers, signed by who made it.

use crate::upstream::CallError;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use serde::Serialize;
use wattle_http::{Body, Response};

/// Who answered: `INSTANCE/VERSION`.
pub(crate) const SERVED_BY: HeaderName = HeaderName::from_static("x-served-by");
/// Who took part, the answering service first, then those it asked.
pub(crate) const REQUEST_PATH: HeaderName = HeaderName::from_static("x-request-path");
/// Longest trail in bytes; what does not fit is left off.
const MAX_TRAIL_BYTES: usize = 1024;

/// The trails of the services that were asked.
#[derive(Debug, Default)]
pub(crate) struct Trail(Vec<String>);

impl Trail {
    /// Adds the trail an answer came with, or who gave it where there is none.
    pub(crate) fn add(&mut self, headers: &HeaderMap) {
        let value = headers.get(REQUEST_PATH).or_else(|| headers.get(SERVED_BY));
        self.0
            .extend(value.and_then(|value| value.to_str().ok()).map(str::to_owned));
    }

    fn written(&self, signature: &str) -> String {
        let mut all = signature.to_owned();
        for part in &self.0 {
            if all.len() + part.len() + 1 > MAX_TRAIL_BYTES {
                break;
            }
            all.push(',');
            all.push_str(part);
        }
        all
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trail: Trail,
}

impl Reply {
    fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
        Self {
            status,
            headers,
            body: body.into(),
            trail: Trail::default(),
        }
    }

    pub(crate) fn text(status: StatusCode, text: impl Into<String>) -> Self {
        Self::new(status, "text/plain; charset=utf-8", text.into() + "\n")
    }

    pub(crate) fn html(text: String) -> Self {
        Self::new(StatusCode::OK, "text/html; charset=utf-8", text)
    }

    pub(crate) fn json(value: &impl Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(text) => Self::new(StatusCode::OK, "application/json", text),
            Err(error) => Self::text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        }
    }

    pub(crate) fn not_found() -> Self {
        Self::text(StatusCode::NOT_FOUND, "not here")
    }

    /// The services asked on the way.
    pub(crate) fn after(mut self, trail: Trail) -> Self {
        self.trail = trail;
        self
    }

    /// As a message, signed. An answer to HEAD has no body.
    pub(crate) fn signed(mut self, signature: &str, method: &Method) -> Response {
        for (name, text) in [
            (SERVED_BY, signature),
            (REQUEST_PATH, &self.trail.written(signature)),
        ] {
            if let Ok(value) = HeaderValue::from_str(text) {
                self.headers.insert(name, value);
            }
        }
        let body = if method == Method::HEAD {
            Body::Empty
        } else {
            Body::full(self.body)
        };
        let mut response = Response::new(self.status, body);
        response.head.headers = self.headers;
        response
    }
}

/// A service that could not be asked is the caller's 502, with the reason as text.
impl From<CallError> for Reply {
    fn from(error: CallError) -> Self {
        Self::text(StatusCode::BAD_GATEWAY, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn headers(name: HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn an_answer_names_its_maker_and_everybody_asked() {
        let mut trail = Trail::default();
        trail.add(&headers(REQUEST_PATH, "reviews/v2,ratings/v1"));
        trail.add(&headers(SERVED_BY, "catalog-0/v1"));
        trail.add(&HeaderMap::new());
        let response = Reply::not_found().after(trail).signed("web/v1", &Method::GET);
        assert_eq!(response.head.headers[SERVED_BY], "web/v1");
        assert_eq!(
            response.head.headers[REQUEST_PATH],
            "web/v1,reviews/v2,ratings/v1,catalog-0/v1"
        );
    }

    #[test]
    fn a_trail_ends_at_its_bound() {
        let mut trail = Trail::default();
        (0..200).for_each(|_| trail.add(&headers(SERVED_BY, "somebody-somewhere/v1")));
        assert!(trail.written("web/v1").len() <= MAX_TRAIL_BYTES);
    }
}

//! What every HTTP service of the shop has in common: health, bounds, and a signature on each answer.

use super::Reply;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use std::future::Future;
use wattle_http::{Handler, Request, RequestHead, Response};

/// Most bytes of a request's body.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// Headers that belong to a request's trace and go on to whoever is asked next (W3C trace context, B3).
const PASSED_ON: [&str; 9] = [
    "traceparent",
    "tracestate",
    "x-request-id",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
];

/// A request as a service sees it.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    /// What goes on to the services that are asked for this.
    pub(crate) passed_on: HeaderMap,
    pub(crate) body: Bytes,
}

impl Asked {
    fn new(head: &RequestHead, body: Bytes) -> Self {
        let target = head.path_and_query.as_str();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        // HEAD is GET with the body left off at the end.
        let method = if head.method == Method::HEAD {
            Method::GET
        } else {
            head.method.clone()
        };
        Self {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            passed_on: passed_on(&head.headers),
            body,
        }
    }

    /// The parts of the path, without empty ones.
    pub(crate) fn segments(&self) -> Vec<&str> {
        self.path.split('/').filter(|part| !part.is_empty()).collect()
    }

    /// A number in the query, such as `votes=3`.
    pub(crate) fn number(&self, key: &str) -> Option<u32> {
        let pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .filter(|(name, _)| *name == key)
            .find_map(|(_, value)| value.parse().ok())
    }
}

fn passed_on(headers: &HeaderMap) -> HeaderMap {
    let wanted = |name: &http::HeaderName| PASSED_ON.contains(&name.as_str());
    headers
        .iter()
        .filter(|(name, _)| wanted(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// A service of the shop, without what all have in common.
pub(crate) trait Service {
    /// Answers; `Err` is an answer too, of a call that came to nothing.
    fn answer(&self, asked: Asked) -> impl Future<Output = Result<Reply, Reply>>;
}

/// A service with what all have in common.
#[derive(Debug)]
pub(crate) struct Front<S> {
    pub(crate) service: S,
    pub(crate) signature: String,
}

impl<S: Service> Handler for Front<S> {
    async fn handle(&self, request: Box<Request>) -> Response {
        let method = request.head.method.clone();
        self.reply(*request).await.signed(&self.signature, &method)
    }
}

impl<S: Service> Front<S> {
    async fn reply(&self, request: Request) -> Reply {
        let Request { head, body, .. } = request;
        let Ok(body) = body.collect(MAX_BODY_BYTES).await else {
            return Reply::text(StatusCode::BAD_REQUEST, "body broke off or is larger than 64 KiB");
        };
        let asked = Asked::new(&head, body);
        if asked.path == "/health" {
            return Reply::text(StatusCode::OK, "ok");
        }
        self.service.answer(asked).await.unwrap_or_else(|failed| failed)
    }
}

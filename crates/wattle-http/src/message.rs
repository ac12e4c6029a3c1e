//! Requests and responses, free of any version's wire form.

use crate::body::Body;
use crate::h1::RequestSink;
use crate::h2::InformationalSink;
use crate::{ByteStr, Spelling};
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, Version};

/// The scheme a request was made with; on HTTP/1 in origin form it is taken as `http` until someone knows better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    /// `http`
    #[default]
    Http,
    /// `https`
    Https,
}

impl Scheme {
    /// The scheme as written in a URI.
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

/// The head of a request. `Host` and `transfer-encoding` are not among the headers: they are `authority` and the body's framing.
#[derive(Clone, Debug)]
pub struct RequestHead {
    /// Method.
    pub method: Method,
    /// Scheme.
    pub scheme: Scheme,
    /// `Host` or `:authority`, or the authority of an absolute target; empty where HTTP/1.0 sent none.
    pub authority: ByteStr,
    /// Path and query as they were written; `*` for `OPTIONS *`, empty for `CONNECT`.
    pub path_and_query: ByteStr,
    /// The version the request came in.
    pub version: Version,
    /// Header fields, hop-by-hop ones included until [`crate::strip_hop_by_hop`].
    pub headers: HeaderMap,
    /// How the names were written.
    pub spelling: Spelling,
}

impl RequestHead {
    /// A head without headers, in HTTP/1.1 terms.
    pub fn new(method: Method, authority: impl Into<ByteStr>, path_and_query: impl Into<ByteStr>) -> Self {
        Self {
            method,
            scheme: Scheme::Http,
            authority: authority.into(),
            path_and_query: path_and_query.into(),
            version: Version::HTTP_11,
            headers: HeaderMap::new(),
            spelling: Spelling::default(),
        }
    }

    /// Whether a success turns the connection into a tunnel: `CONNECT`, or an upgrade asked for in the headers.
    pub fn asks_for_tunnel(&self) -> bool {
        self.method == Method::CONNECT || self.asks_for_upgrade()
    }

    /// Whether the headers ask for an upgrade (RFC 9110 §7.8).
    pub fn asks_for_upgrade(&self) -> bool {
        self.headers.contains_key(http::header::UPGRADE)
            && crate::has_token(&self.headers, &http::header::CONNECTION, "upgrade")
    }
}

/// The head of a response.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    /// Status.
    pub status: StatusCode,
    /// The version the response came in; a server answers in its own.
    pub version: Version,
    /// Reason phrase where it is not the customary one.
    pub reason: Option<Bytes>,
    /// Header fields.
    pub headers: HeaderMap,
    /// How the names were written.
    pub spelling: Spelling,
}

impl ResponseHead {
    /// A head without headers.
    pub fn new(status: StatusCode) -> Self {
        Self {
            status,
            version: Version::HTTP_11,
            reason: None,
            headers: HeaderMap::new(),
            spelling: Spelling::default(),
        }
    }
}

/// A request: head, body, and where interim answers to it go.
#[derive(Debug)]
pub struct Request {
    /// Head.
    pub head: RequestHead,
    /// Body; after a 101, or a 2xx to `CONNECT`, the raw bytes from the client.
    pub body: Body,
    /// Where 1xx responses are forwarded to.
    pub informational: Informational,
}

impl Request {
    /// A request that nobody waits for interim answers to.
    pub fn new(head: RequestHead, body: Body) -> Self {
        Self {
            head,
            body,
            informational: Informational::default(),
        }
    }

    /// The same request with this body.
    pub(crate) fn with(mut self: Box<Self>, body: Body) -> Box<Self> {
        self.body = body;
        self
    }
}

/// A response: head and body.
#[derive(Debug)]
pub struct Response {
    /// Head.
    pub head: ResponseHead,
    /// Body; after a 101, or a 2xx to `CONNECT`, the raw bytes from the server.
    pub body: Body,
}

impl Response {
    /// A response with this status and body.
    pub fn new(status: StatusCode, body: Body) -> Self {
        Self {
            head: ResponseHead::new(status),
            body,
        }
    }
}

/// A response with the request it answers, where that can be sent again.
#[derive(Debug)]
pub struct Answered {
    /// The response.
    pub response: Response,
    /// The request, when its body is still there as a whole.
    pub request: Option<Box<Request>>,
}

/// Where 1xx responses to a request go; nowhere by default.
#[derive(Clone, Debug, Default)]
pub struct Informational(pub(crate) Sink);

#[derive(Clone, Debug, Default)]
pub(crate) enum Sink {
    #[default]
    Nowhere,
    H1(RequestSink),
    H2(InformationalSink),
}

impl Informational {
    /// Passes an interim response (100..=199, not 101) to whoever made the request.
    pub fn send(&self, head: &ResponseHead) {
        match &self.0 {
            Sink::Nowhere => {}
            Sink::H1(sink) => sink.send(head),
            Sink::H2(sink) => sink.send(head),
        }
    }
}

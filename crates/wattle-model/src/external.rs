//! External authorization: a service that is asked whether a request may in (Envoy `ext_authz`).

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use crate::TextMatch;

/// A service that decides (Istio MeshConfig `extensionProviders`).
#[derive(Clone, Debug, PartialEq)]
pub struct ExternalAuthorizer {
    /// Name that policies call it by.
    pub name: Arc<str>,
    /// `host:port` of the service.
    pub service: Arc<str>,
    /// How it is asked.
    pub protocol: CheckProtocol,
    /// Time for the answer.
    pub timeout: Duration,
    /// Requests go on when the service does not answer; the default is to refuse them.
    pub fail_open: bool,
    /// Status where the service does not answer, 200 to 599; default 403.
    pub status_on_error: u16,
    /// The beginning of the request's body is shown too; `None` is none of it.
    pub body: Option<CheckedBody>,
}

/// How a service is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum CheckProtocol {
    /// `envoy.service.auth.v3.Authorization/Check`.
    Grpc,
    /// An HTTP request with the method and path of the checked one; 200 lets it in.
    Http(Box<HttpCheck>),
}

/// What is carried to and from a service that is asked over HTTP.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HttpCheck {
    /// Set before the path.
    pub path_prefix: Arc<str>,
    /// Headers of the request that are shown, by name; `host`, method, path, content-length and authorization always are.
    pub shown: Vec<TextMatch>,
    /// Headers that are added to what is shown.
    pub added: Vec<(HeaderName, HeaderValue)>,
    /// Headers of the answer that the application gets, where it lets in.
    pub to_upstream: Vec<TextMatch>,
    /// Headers of the answer that the client gets where it refuses; empty is all of them.
    pub to_downstream_on_deny: Vec<TextMatch>,
    /// Headers of the answer that the client gets with the application's response.
    pub to_downstream_on_allow: Vec<TextMatch>,
}

/// How much of the body is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckedBody {
    /// Most bytes.
    pub max_bytes: u32,
    /// A longer body is cut there; otherwise it is refused with 413.
    pub allow_partial: bool,
    /// It is sent as bytes rather than text (gRPC only).
    pub as_bytes: bool,
}

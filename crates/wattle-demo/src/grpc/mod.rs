//! gRPC in as much as one small service needs: messages by hand, five-byte frames, statuses in trailers.
//!
//! [`message`] is the contract (also written down in `ratings.proto`); [`frame`] cuts a body into messages; [`channel`]
//! calls. The service itself is [`crate::shop::ratings`].

pub(crate) mod channel;
pub(crate) mod frame;
pub(crate) mod message;

pub(crate) use channel::Channel;

use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

/// The status of a call (grpc.io, PROTOCOL-HTTP2).
pub(crate) const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// Its text, percent-encoded.
pub(crate) const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
/// The media type of every call.
pub(crate) const CONTENT: HeaderValue = HeaderValue::from_static("application/grpc+proto");

/// The statuses that are given here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    Ok = 0,
    InvalidArgument = 3,
    NotFound = 5,
    Unimplemented = 12,
}

/// Trailers, or the headers of an answer that has nothing else.
pub(crate) fn status(code: Code, message: &'static str) -> HeaderMap {
    let mut fields = HeaderMap::new();
    fields.insert(GRPC_STATUS, HeaderValue::from(code as u16));
    if !message.is_empty() {
        fields.insert(GRPC_MESSAGE, HeaderValue::from_static(message));
    }
    fields
}

/// The headers every request and answer starts with.
pub(crate) fn opening() -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, CONTENT)])
}

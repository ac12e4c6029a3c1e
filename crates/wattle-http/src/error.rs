//! What can go wrong, per operation.

use crate::{BodyError, Request};
use http::StatusCode;
use std::io;

macro_rules! parse_errors {
    ($($(#[$doc:meta])* $name:ident = $status:ident, $reason:literal, $text:literal;)*) => {
        /// Why bytes were refused as HTTP/1; each has a status for the peer and a stable reason for logs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
        pub enum ParseError {
            $($(#[$doc])* #[error($text)] $name,)*
        }

        impl ParseError {
            /// The status a server answers with.
            pub fn status(&self) -> StatusCode {
                match self { $(Self::$name => StatusCode::$status,)* }
            }

            /// A stable identifier.
            pub fn reason(&self) -> &'static str {
                match self { $(Self::$name => $reason,)* }
            }
        }
    };
}

parse_errors! {
    /// The first line is not a request line or status line (RFC 9112 §3, §4).
    StartLine = BAD_REQUEST, "start-line", "malformed start line";
    /// Neither HTTP/1.0 nor HTTP/1.1.
    Version = HTTP_VERSION_NOT_SUPPORTED, "version", "unsupported HTTP version";
    /// The target is none of the four forms, or holds bytes that may not be there (RFC 9112 §3.2).
    Target = BAD_REQUEST, "target", "malformed request target";
    /// The target is longer than allowed.
    TargetTooLong = URI_TOO_LONG, "target-too-long", "request target too long";
    /// A header name is malformed, is followed by whitespace, or a line was folded (RFC 9112 §5.1, §5.2).
    HeaderName = BAD_REQUEST, "header-name", "malformed header name or folded line";
    /// A header value holds control characters.
    HeaderValue = BAD_REQUEST, "header-value", "malformed header value";
    /// A line ends in LF without CR: peers disagree on what that means.
    BareLineFeed = BAD_REQUEST, "bare-line-feed", "line ends in a bare line feed";
    /// More header fields than allowed.
    TooManyHeaders = REQUEST_HEADER_FIELDS_TOO_LARGE, "too-many-headers", "too many header fields";
    /// A head or trailer section larger than allowed.
    HeadTooLarge = REQUEST_HEADER_FIELDS_TOO_LARGE, "head-too-large", "message head too large";
    /// HTTP/1.1 without `Host` (RFC 9112 §3.2).
    HostMissing = BAD_REQUEST, "host-missing", "host header missing";
    /// More than one `Host`, or one that differs from `:authority`.
    HostConflict = BAD_REQUEST, "host-conflict", "more than one host";
    /// A `Host` that is not a host.
    HostInvalid = BAD_REQUEST, "host-invalid", "malformed host";
    /// `content-length` is not a number.
    LengthInvalid = BAD_REQUEST, "length-invalid", "malformed content-length";
    /// Several `content-length`; of a response, several that differ.
    LengthConflict = BAD_REQUEST, "length-conflict", "conflicting content-length";
    /// `content-length` beside `transfer-encoding` (RFC 9112 §6.3).
    LengthAndEncoding = BAD_REQUEST, "length-and-encoding", "content-length beside transfer-encoding";
    /// `transfer-encoding` where chunked is not last and only, or in HTTP/1.0.
    EncodingInvalid = BAD_REQUEST, "encoding-invalid", "malformed transfer-encoding";
    /// A transfer coding other than chunked (RFC 9112 §6.1).
    EncodingUnsupported = NOT_IMPLEMENTED, "encoding-unsupported", "unsupported transfer-encoding";
    /// A chunk's size line or extension is malformed.
    ChunkSize = BAD_REQUEST, "chunk-size", "malformed chunk size";
    /// A chunk is not followed by CR LF.
    ChunkEnd = BAD_REQUEST, "chunk-end", "malformed chunk end";
    /// Chunk extensions beyond any use.
    ChunkExtensions = BAD_REQUEST, "chunk-extensions", "chunk extensions too large";
    /// The trailer section is malformed.
    Trailers = BAD_REQUEST, "trailers", "malformed trailers";
    /// The head did not come in time.
    HeadTimeout = REQUEST_TIMEOUT, "head-timeout", "message head did not arrive in time";
    /// The body stopped for too long.
    BodyTimeout = REQUEST_TIMEOUT, "body-timeout", "message body stopped for too long";
    /// More interim responses than any server sends.
    TooManyInformational = BAD_GATEWAY, "too-many-informational", "too many interim responses";
}

/// Why a server connection ended in disorder.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The client sent something that was refused; it was told so.
    #[error("refused: {0}")]
    Refused(ParseError),
    /// The stream failed.
    #[error("connection failed")]
    Io(#[source] io::Error),
    /// The client went while its request was in work, or stopped in the middle of one.
    #[error("client went away")]
    Aborted,
    /// The response body broke off after its head was sent, so the connection had to be cut.
    #[error("response body failed")]
    Response(#[source] BodyError),
    /// HTTP/2 failed as a connection; the code of RFC 9113 §7.
    #[error("http/2 connection error {0}")]
    H2(u32),
}

/// Why a request got no response; holds the request where it is certain that it may be sent again.
#[derive(Debug, thiserror::Error)]
#[error("{kind}")]
pub struct SendError {
    /// What happened.
    pub kind: SendErrorKind,
    /// The request, given back when the peer cannot have acted on it, or when repeating it is harmless and possible.
    pub request: Option<Box<Request>>,
    /// Whether the connection had served before: a stale keep-alive connection explains the failure.
    pub reused: bool,
}

/// What kept a response from coming.
#[derive(Debug, thiserror::Error)]
pub enum SendErrorKind {
    /// No byte of it was accepted: the connection was closed before, refused the stream, or is going away.
    #[error("request was not sent")]
    NotSent,
    /// The request cannot be written in this version: a target, host or field that it has no form for.
    #[error("request has no form in this protocol")]
    Unrepresentable,
    /// The connection ended before a byte of the response.
    #[error("connection closed before a response")]
    ClosedBeforeResponse,
    /// The connection ended within the head of the response.
    #[error("connection closed within the response head")]
    ClosedMidResponse,
    /// The response is not HTTP.
    #[error("response refused: {0}")]
    Parse(ParseError),
    /// The stream failed.
    #[error("connection failed")]
    Io(#[source] io::Error),
    /// The request's own body failed.
    #[error("request body failed")]
    Body(#[source] BodyError),
    /// The peer reset the HTTP/2 stream with this code (RFC 9113 §7).
    #[error("stream reset with code {0}")]
    Reset(u32),
}

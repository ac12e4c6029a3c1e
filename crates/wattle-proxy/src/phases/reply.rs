//! The one place where a reason becomes a reply: HTTP status, gRPC status, `wattle-reason`, flag.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use wattle_http::{Body, ParseError, Response, ResponseHead};
use wattle_model::Reason;
use wattle_telemetry::ResponseFlags;

/// Names the reason of a reply that the application did not give.
pub(crate) const REASON: HeaderName = HeaderName::from_static("wattle-reason");

/// A reply of the proxy's own.
pub(crate) fn local(reason: Reason, grpc: bool) -> Response {
    if grpc {
        grpc_reply(reason)
    } else {
        http_reply(reason)
    }
}

fn http_reply(reason: Reason) -> Response {
    let status = StatusCode::from_u16(reason.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = Response::new(
        status,
        Body::full(Bytes::from(format!("{}\n", reason.sentence()))),
    );
    let headers = &mut response.head.headers;
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(REASON, HeaderValue::from_static(reason.id()));
    response
}

/// A reply in headers alone, as gRPC prescribes: HTTP status 200 and the status in `grpc-status`.
fn grpc_reply(reason: Reason) -> Response {
    let mut response = Response::new(StatusCode::OK, Body::Empty);
    let headers = &mut response.head.headers;
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from(grpc_status(reason)));
    headers.insert("grpc-message", HeaderValue::from_static(reason.sentence()));
    headers.insert(REASON, HeaderValue::from_static(reason.id()));
    response
}

/// gRPC's own mapping of HTTP statuses, except that a passed time limit is DEADLINE_EXCEEDED.
pub(crate) fn grpc_status(reason: Reason) -> u32 {
    match reason {
        Reason::RequestTimeout | Reason::BackendTimeout => 4,
        _ => match reason.status() {
            400 => 13,
            401 => 16,
            403 => 7,
            404 => 12,
            429 | 502..=504 => 14,
            _ => 2,
        },
    }
}

/// A redirect.
pub(crate) fn redirect(status: u16, location: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::FOUND);
    let mut response = Response::new(status, Body::Empty);
    if let Ok(location) = HeaderValue::try_from(location) {
        response.head.headers.insert(header::LOCATION, location);
    }
    response
}

/// The head sent to a client whose bytes are not HTTP or exceed a bound.
pub(crate) fn refusal(error: &ParseError) -> ResponseHead {
    let mut head = ResponseHead::new(error.status());
    head.headers
        .insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
    head.headers
        .insert(REASON, HeaderValue::from_static(parse_reason(error).id()));
    head
}

/// The reason that stands for a refused message.
fn parse_reason(error: &ParseError) -> Reason {
    match error {
        ParseError::TargetTooLong => Reason::RequestTargetTooLong,
        ParseError::TooManyHeaders | ParseError::HeadTooLarge => Reason::RequestHeaderTooLarge,
        ParseError::EncodingUnsupported => Reason::UnsupportedTransferEncoding,
        ParseError::Version => Reason::UnsupportedHttpVersion,
        ParseError::HeadTimeout => Reason::RequestHeadTimeout,
        _ => Reason::BadRequest,
    }
}

/// Envoy's flag for a reason.
pub(crate) fn flags(reason: Reason) -> ResponseFlags {
    ResponseFlags::from_letters(reason.flag()).unwrap_or(ResponseFlags::NONE)
}

//! The one place where a reason becomes a reply: HTTP status, gRPC status, `wattle-reason`, flag.

use std::rc::Rc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use wattle_http::{Body, ParseError, Response, ResponseHead};
use wattle_model::{Abort, CorsReply, DirectResponse, Reason};
use wattle_telemetry::ResponseFlags;

use super::external::Denial;

/// Names the reason of a reply that the application did not give.
pub(crate) const REASON: HeaderName = HeaderName::from_static("wattle-reason");

/// Names the facts that the proxy keeps of what it refused.
pub(crate) const REFUSAL: HeaderName = HeaderName::from_static("wattle-refusal");

/// The id by which another proxy keeps the facts of its refusal.
pub(crate) fn refusal_id(headers: &HeaderMap) -> Option<Rc<str>> {
    let id = headers.get(REFUSAL)?.to_str().ok()?;
    let well = id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    well.then(|| id.into())
}

/// A reply of the proxy's own.
pub(crate) fn local(reason: Reason, grpc: bool) -> Response {
    if grpc {
        grpc_reply(reason, grpc_status(reason))
    } else {
        http_reply(reason, reason.status())
    }
}

/// What a service that was asked says in place of the reason's reply. A gRPC client gets the status as gRPC's, the body
/// as its message.
pub(crate) fn denied(reason: Reason, denial: Denial, grpc: bool) -> Response {
    let Denial {
        status,
        headers: told,
        body,
    } = denial;
    let mut response = match grpc {
        true => grpc_reply(reason, grpc_of_http(status)),
        false => http_reply(reason, status),
    };
    let headers = &mut response.head.headers;
    if grpc {
        if let Some(message) = grpc_message(&body) {
            headers.insert("grpc-message", message);
        }
    } else if matches!(status, 204 | 205 | 304) {
        response.body = Body::Empty;
    } else if !body.is_empty() {
        response.body = Body::full(body);
    }
    for name in told.keys() {
        // What makes it a reply of gRPC is not a service's to say.
        if grpc && (*name == header::CONTENT_TYPE || name.as_str().starts_with("grpc-")) {
            continue;
        }
        headers.remove(name);
        for value in told.get_all(name) {
            headers.append(name, value.clone());
        }
    }
    response
}

fn http_reply(reason: Reason, code: u16) -> Response {
    let mut response = Response::new(
        status(code),
        Body::full(Bytes::from(format!("{}\n", reason.sentence()))),
    );
    let headers = &mut response.head.headers;
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(REASON, HeaderValue::from_static(reason.id()));
    response
}

fn grpc_reply(reason: Reason, code: u32) -> Response {
    let mut response = grpc_head(code, Some(HeaderValue::from_static(reason.sentence())));
    response
        .head
        .headers
        .insert(REASON, HeaderValue::from_static(reason.id()));
    response
}

/// A reply in headers alone, as gRPC prescribes: HTTP status 200 and the status in `grpc-status`.
fn grpc_head(code: u32, message: Option<HeaderValue>) -> Response {
    let mut response = Response::new(StatusCode::OK, Body::Empty);
    let headers = &mut response.head.headers;
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from(code));
    if let Some(message) = message {
        headers.insert("grpc-message", message);
    }
    response
}

/// gRPC's own mapping of HTTP statuses, except that a passed time limit is DEADLINE_EXCEEDED and a passed rate limit
/// RESOURCE_EXHAUSTED.
pub(crate) fn grpc_status(reason: Reason) -> u32 {
    match reason {
        Reason::RequestTimeout | Reason::BackendTimeout | Reason::IdleTimeout => 4,
        // Unlike UNAVAILABLE it does not make clients try again at once (Linkerd's choice).
        Reason::RateLimited => 8,
        _ => grpc_of_http(reason.status()),
    }
}

/// gRPC's own mapping of HTTP statuses.
fn grpc_of_http(status: u16) -> u32 {
    match status {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502..=504 => 14,
        _ => 2,
    }
}

/// The HTTP status that stands for a gRPC status (Envoy's mapping, the one of google.rpc.Code).
fn http_of_grpc(status: u8) -> u16 {
    match status {
        0 => 200,
        1 => 499,
        3 | 9 | 11 => 400,
        4 => 504,
        5 => 404,
        6 | 10 => 409,
        7 => 403,
        8 => 429,
        12 => 501,
        14 => 503,
        16 => 401,
        _ => 500,
    }
}

/// What a rule answers by itself. A gRPC client gets the status as gRPC's, the body as its message.
pub(crate) fn direct(direct: &DirectResponse, grpc: bool) -> Response {
    if grpc {
        return grpc_head(grpc_of_http(direct.status), grpc_message(&direct.body));
    }
    let body = Body::full(Bytes::copy_from_slice(&direct.body));
    let mut response = Response::new(status(direct.status), body);
    if !direct.body.is_empty() {
        let headers = &mut response.head.headers;
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    }
    response
}

/// Longest text that becomes a gRPC message; a header that is longer is refused by clients.
const MESSAGE_BYTES: usize = 1024;

/// A text as `grpc-message`: percent-encoded where it is not printable ASCII (gRPC over HTTP/2, `Percent-Encoded`).
fn grpc_message(text: &[u8]) -> Option<HeaderValue> {
    use std::fmt::Write as _;
    let mut message = String::with_capacity(text.len().min(MESSAGE_BYTES));
    for byte in text.iter().take(MESSAGE_BYTES) {
        match byte {
            b' '..=b'~' if *byte != b'%' => message.push(char::from(*byte)),
            _ => write!(message, "%{byte:02X}").ok()?,
        }
    }
    HeaderValue::try_from(message)
        .ok()
        .filter(|value| !value.is_empty())
}

/// The answer to a preflight.
pub(crate) fn preflight(permission: CorsReply) -> Response {
    let mut response = Response::new(StatusCode::OK, Body::Empty);
    super::transform::cors(&mut response.head, permission);
    response
}

/// An injected error, in the terms of whoever asked.
pub(crate) fn aborted(abort: Abort, grpc: bool) -> Response {
    let reason = Reason::FaultInjected;
    match (abort, grpc) {
        (Abort::Grpc(code), true) => grpc_reply(reason, u32::from(code)),
        (Abort::Http(code), true) => grpc_reply(reason, grpc_of_http(code)),
        (Abort::Grpc(code), false) => http_reply(reason, http_of_grpc(code)),
        (Abort::Http(code), false) => http_reply(reason, code),
    }
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A redirect.
pub(crate) fn redirect(code: u16, location: &str) -> Response {
    let mut response = Response::new(status(code), Body::Empty);
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
        ParseError::BodyTimeout => Reason::RequestBodyTimeout,
        _ => Reason::BadRequest,
    }
}

/// Envoy's flag for a reason.
pub(crate) fn flags(reason: Reason) -> ResponseFlags {
    ResponseFlags::from_letters(reason.flag()).unwrap_or(ResponseFlags::NONE)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn status_and_grpc(response: &Response) -> (u16, Option<&str>) {
        let grpc = response.head.headers.get("grpc-status");
        (
            response.head.status.as_u16(),
            grpc.map(|value| value.to_str().unwrap()),
        )
    }

    #[test]
    fn an_injected_error_is_told_in_the_terms_of_whoever_asked() {
        let table = [
            (Abort::Http(418), false, (418, None)),
            (Abort::Http(503), true, (200, Some("14"))),
            (Abort::Grpc(5), false, (404, None)),
            (Abort::Grpc(5), true, (200, Some("5"))),
        ];
        for (abort, grpc, expected) in table {
            let response = aborted(abort, grpc);
            assert_eq!(status_and_grpc(&response), expected, "{abort:?}");
            assert_eq!(response.head.headers[REASON], "fault_injected");
        }
    }

    #[test]
    fn a_rules_own_answer_reaches_a_grpc_client_as_a_status_with_a_message() {
        let answer = DirectResponse {
            status: 503,
            body: b"50% off\n".as_slice().into(),
        };
        let response = direct(&answer, true);
        assert_eq!(status_and_grpc(&response), (200, Some("14")));
        assert_eq!(response.head.headers["grpc-message"], "50%25 off%0A");
        assert_eq!(direct(&answer, false).head.status, 503);
    }
}

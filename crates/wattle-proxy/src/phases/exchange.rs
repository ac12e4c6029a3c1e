//! Exchange: one request on one connection, and what a failure means.

use http::{Method, StatusCode, Version};
use wattle_http::{Answered, Body, BodyError, ParseError, Request, Response, SendError, SendErrorKind};
use wattle_identity::Rejection;
use wattle_model::{Reason, Retry};

use super::connect::Connection;
use super::{reply, transform};

/// RFC 9113 §7: the stream was refused before anything was done.
const REFUSED_STREAM: u32 = 7;

/// A body of at most so many bytes is read before the request is sent, so that it can be sent again.
const KEPT_BYTES: u64 = 16 * 1024;

/// Reads a small body of known length as a whole; fails when the client does not send what it announced.
///
/// HTTP/1 only: an HTTP/2 body may end in trailers, and belongs to a stream that may go on in both directions.
pub(crate) async fn keep_small_body(request: &mut Request) -> Result<(), Reason> {
    let small = request
        .body
        .remaining()
        .is_some_and(|length| (1..=KEPT_BYTES).contains(&length));
    if !small || request.head.version >= Version::HTTP_2 || request.head.asks_for_tunnel() {
        return Ok(());
    }
    let whole = std::mem::take(&mut request.body)
        .collect(KEPT_BYTES as usize)
        .await;
    request.body = Body::full(whole.map_err(|error| body_reason(&error))?);
    Ok(())
}

/// Sends a request and gives the response's head as the application sent it, with the request where it can be sent again.
pub(crate) async fn exchange(
    connection: Connection,
    mut request: Box<Request>,
) -> Result<Answered, SendError> {
    match connection {
        Connection::Http1(client, _) => client.send_kept(request).await,
        Connection::Multiplexed {
            client,
            marked: false,
            ..
        } => client.send_kept(request).await,
        Connection::Multiplexed {
            client, marked: true, ..
        } => {
            transform::mark_request(&mut request.head);
            match client.send_kept(request).await {
                Ok(mut answered) => {
                    transform::unmark_response(&mut answered.response.head);
                    answered
                        .request
                        .iter_mut()
                        .for_each(|request| transform::unmark_request(&mut request.head));
                    Ok(answered)
                }
                Err(mut error) => {
                    error
                        .request
                        .iter_mut()
                        .for_each(|request| transform::unmark_request(&mut request.head));
                    Err(error)
                }
            }
        }
    }
}

/// Does the response, to a CONNECT or not, turn the connection into a tunnel?
pub(crate) fn is_tunnel(response: &Response, connect: bool) -> bool {
    response.head.status == StatusCode::SWITCHING_PROTOCOLS || (connect && response.head.status.is_success())
}

/// The reason that the far proxy gave, if the response is its own and says that the request may be sent elsewhere.
pub(crate) fn turned_back(response: &Response, method: &Method) -> Option<Reason> {
    if response.head.status.as_u16() < 500 {
        return None;
    }
    let reason = Reason::from_id(response.head.headers.get(reply::REASON)?.to_str().ok()?)?;
    // A status that somebody chose is for the client.
    if response.head.status.as_u16() != reason.status() {
        return None;
    }
    match reason.retry() {
        Retry::Safe => Some(reason),
        Retry::Idempotent if method.is_idempotent() => Some(reason),
        Retry::Idempotent | Retry::Never => None,
    }
}

/// Why a request's own body failed.
pub(crate) fn body_reason(error: &BodyError) -> Reason {
    match error {
        BodyError::Parse(ParseError::BodyTimeout) => Reason::RequestBodyTimeout,
        _ => Reason::RequestBodyBroken,
    }
}

/// The reason to give when it is not tried again.
pub(crate) fn reason(kind: &SendErrorKind) -> Reason {
    match kind {
        SendErrorKind::Unrepresentable => Reason::BadRequest,
        SendErrorKind::Body(error) => body_reason(error),
        SendErrorKind::Parse(_) => Reason::UpstreamProtocolError,
        SendErrorKind::Reset(REFUSED_STREAM) => Reason::UpstreamRefusedStream,
        SendErrorKind::Io(error) if Rejection::from_io_error(error).is_some() => Reason::UpstreamTlsFailure,
        SendErrorKind::NotSent => Reason::UpstreamRefusedStream,
        SendErrorKind::ClosedBeforeResponse
        | SendErrorKind::ClosedMidResponse
        | SendErrorKind::Io(_)
        | SendErrorKind::Reset(_) => Reason::UpstreamResetBeforeResponse,
    }
}

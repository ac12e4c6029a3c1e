//! Exchange: one request on one connection, and what a failure means.

use wattle_http::{Request, Response, SendError, SendErrorKind};
use wattle_identity::Rejection;
use wattle_model::Reason;

use super::connect::Connection;
use super::transform;

/// RFC 9113 §7: the stream was refused before anything was done.
const REFUSED_STREAM: u32 = 7;

/// Sends a request and gives the response's head as the application sent it.
pub(crate) async fn exchange(connection: Connection, mut request: Request) -> Result<Response, SendError> {
    match connection {
        Connection::Http1(client) => client.send(request).await,
        Connection::Multiplexed { client, marked: false, .. } => client.send(request).await,
        Connection::Multiplexed { client, marked: true, .. } => {
            transform::mark_request(&mut request.head);
            match client.send(request).await {
                Ok(mut response) => {
                    transform::unmark_response(&mut response.head);
                    Ok(response)
                }
                Err(mut error) => {
                    if let Some(request) = &mut error.request {
                        transform::unmark_request(&mut request.head);
                    }
                    Err(error)
                }
            }
        }
    }
}

/// The reason to give when it is not tried again.
pub(crate) fn reason(kind: &SendErrorKind) -> Reason {
    match kind {
        SendErrorKind::Unrepresentable => Reason::BadRequest,
        SendErrorKind::Body(_) => Reason::RequestBodyBroken,
        SendErrorKind::Parse(_) => Reason::UpstreamProtocolError,
        SendErrorKind::Reset(REFUSED_STREAM) => Reason::UpstreamRefusedStream,
        SendErrorKind::Io(error) if Rejection::from_io_error(error).is_some() => Reason::UpstreamTlsFailure,
        SendErrorKind::NotSent
        | SendErrorKind::ClosedBeforeResponse
        | SendErrorKind::ClosedMidResponse
        | SendErrorKind::Io(_)
        | SendErrorKind::Reset(_) => Reason::UpstreamResetBeforeResponse,
    }
}

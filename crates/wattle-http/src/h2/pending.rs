//! A request that was sent and waits for its response's head.

use super::body::{Pump, PumpError, StreamBody};
use super::client::Active;
use super::convert;
use crate::{Body, Informational, RequestHead, Response, ResponseHead, SendErrorKind};
use h2::Reason;
use h2::client::ResponseFuture;
use http::header;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A request that waits for its response.
pub(super) struct Pending {
    pub(super) response: ResponseFuture,
    pub(super) upload: Option<Box<Pump>>,
    /// The peer wants no more of the body; its response or reset says why.
    pub(super) upload_failed: bool,
    pub(super) active: Active,
}

impl Pending {
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        informational: &Informational,
    ) -> Poll<Result<http::Response<h2::RecvStream>, SendErrorKind>> {
        if let Some(upload) = self.upload.as_mut().filter(|_| !self.upload_failed) {
            match upload.poll(cx) {
                Poll::Ready(Ok(())) => self.upload = None,
                Poll::Ready(Err(PumpError::Body(error))) => {
                    return Poll::Ready(Err(SendErrorKind::Body(error)));
                }
                Poll::Ready(Err(PumpError::Peer)) => self.upload_failed = true,
                Poll::Pending => {}
            }
        }
        while let Poll::Ready(Some(Ok(interim))) = self.response.poll_informational(cx) {
            let mut head = ResponseHead::new(interim.status());
            head.headers = interim.into_parts().0.headers;
            // A 100 answers us: the body's first poll asks our own client for it.
            if head.status != http::StatusCode::CONTINUE {
                informational.send(&head);
            }
        }
        Pin::new(&mut self.response).poll(cx).map_err(send_error)
    }

    pub(super) fn finish(self, response: http::Response<h2::RecvStream>, request: &RequestHead) -> Response {
        let (parts, recv) = response.into_parts();
        let upgrade = request
            .asks_for_upgrade()
            .then(|| request.headers.get(header::UPGRADE))
            .flatten();
        let head = convert::response_in(parts, upgrade);
        let bare = request.method == http::Method::HEAD || crate::h1::has_no_body(head.status);
        let length = convert::content_length(&head.headers).filter(|_| !bare);
        let upload = self.upload.filter(|_| !self.upload_failed);
        Response {
            head,
            body: StreamBody::start(recv, length, upload, Some(self.active)),
        }
    }

    /// The body to repeat the request with, if repeating it is harmless and possible.
    pub(super) fn repeatable(
        self,
        kind: &SendErrorKind,
        head: &RequestHead,
        copy: Option<Body>,
    ) -> Option<Body> {
        let harmless = match kind {
            SendErrorKind::NotSent => true,
            SendErrorKind::ClosedBeforeResponse => head.method.is_idempotent(),
            _ => false,
        };
        let untouched = self
            .upload
            .filter(|upload| !upload.consumed)
            .map(|upload| upload.body);
        copy.or(untouched).filter(|_| harmless)
    }
}

fn send_error(error: h2::Error) -> SendErrorKind {
    let refused = error.is_remote() && error.is_reset() && error.reason() == Some(Reason::REFUSED_STREAM);
    match error.reason() {
        // The engine fails a stream by GOAWAY only when its number is above the last one the peer took.
        _ if refused || (error.is_remote() && error.is_go_away()) => SendErrorKind::NotSent,
        Some(reason) => SendErrorKind::Reset(reason.into()),
        None => SendErrorKind::ClosedBeforeResponse,
    }
}

//! One request over one stream, for commands and health checks: the whole body within a bound.

use crate::{Body, BodyError, Io, Limits, Request, RequestHead, ResponseHead, SendError, h1};
use bytes::Bytes;
use std::rc::Rc;

/// Why a fetch failed.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No response came.
    #[error("no response")]
    Send(#[source] SendError),
    /// The response broke off or is too large.
    #[error("response failed")]
    Body(#[source] BodyError),
}

/// Sends one HTTP/1.1 request and reads the response, at most `bound` bytes of body. Sets no time limit.
pub async fn fetch(
    io: impl Io + 'static,
    head: RequestHead,
    body: Bytes,
    bound: usize,
) -> Result<(ResponseHead, Bytes), FetchError> {
    let client = h1::Client::new(io, Rc::new(Limits::default()), None);
    let response = client
        .send(Request::new(head, Body::full(body)))
        .await
        .map_err(FetchError::Send)?;
    let body = response.body.collect(bound).await.map_err(FetchError::Body)?;
    Ok((response.head, body))
}

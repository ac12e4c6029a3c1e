//! What a server connection calls for each request.

use crate::{ParseError, Request, Response, ResponseHead};
use http::header::{CONTENT_LENGTH, HeaderValue};
use std::future::Future;

/// Answers requests; shared by all connections of a worker as `Rc<H>`.
pub trait Handler {
    /// Answers one request, which stays in one place so that no step on its way holds a copy. Dropped midway when the client goes.
    fn handle(&self, request: Box<Request>) -> impl Future<Output = Response>;

    /// The head sent to a peer whose bytes are not HTTP or exceed a bound; the connection closes after it.
    fn refuse(&self, error: &ParseError) -> ResponseHead {
        let mut head = ResponseHead::new(error.status());
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        head
    }
}

/// What a connection did until it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Served {
    /// Requests answered.
    pub requests: u64,
    /// Why it ended.
    pub ended: Ended,
}

/// Why a server connection ended in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The client closed, or one side asked for `connection: close`.
    Closed,
    /// The drain signal.
    Drained,
    /// The idle timeout.
    Idle,
    /// An upgrade or `CONNECT`, both directions at their end.
    Tunnel,
}

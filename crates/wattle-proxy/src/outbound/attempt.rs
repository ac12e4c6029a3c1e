//! One try at one endpoint: connect → exchange, within the try's limits of time.

use std::ops::Deref;
use std::pin::pin;
use std::time::Duration;

use tokio::time::Instant;
use wattle_balance::{Outcome, Picked};
use wattle_http::{Answered, Request, Response, SendError, SendErrorKind};
use wattle_model::Reason;

use super::forward::Forward;
use crate::phases::connect::{self, ConnectFailure, Connection, Wanted};
use crate::phases::exchange;
use crate::phases::record::GRPC_STATUS;
use crate::phases::uploaded::Uploaded;
use crate::worker::Upstream;

/// Limits of time of one try.
#[derive(Clone, Copy, Default)]
pub(super) struct TryLimits<'a> {
    /// Connecting included, up to the response's head.
    pub(super) whole: Option<Duration>,
    /// From the end of the request.
    pub(super) response: Option<&'a Uploaded>,
}

/// What a try came to.
pub(super) enum Tried {
    Response(Box<Response>),
    /// No connection came about: nobody has seen the request.
    Unreached(Box<Request>, ConnectFailure),
    /// Nothing was accepted: the request may go elsewhere.
    Again(Box<Request>, Reason),
    /// A kept connection was closed: the request may go to the same endpoint again.
    Stale(Box<Request>),
    Failed(Reason),
}

/// An endpoint that is being tried. Given up midway, it is told how long it was waited for, or that it was too slow.
pub(super) struct Trying<'a> {
    forward: &'a Forward<'a>,
    picked: Option<Picked<Upstream>>,
}

impl<'a> Trying<'a> {
    pub(super) fn new(forward: &'a Forward<'a>, picked: Picked<Upstream>) -> Self {
        Self {
            forward,
            picked: Some(picked),
        }
    }

    /// Tells the endpoint how it went; what it holds is kept.
    pub(super) fn ended(mut self, outcome: Option<Outcome>) -> Option<Picked<Upstream>> {
        let mut picked = self.picked.take();
        if let (Some(picked), Some(outcome)) = (&mut picked, outcome) {
            self.tell(picked, outcome);
        }
        picked
    }

    fn tell(&self, picked: &mut Picked<Upstream>, outcome: Outcome) {
        let elapsed = self.forward.worker.clock.now_ns() - picked.picked_at();
        picked.outcome(elapsed, outcome);
    }
}

impl Deref for Trying<'_> {
    type Target = Option<Picked<Upstream>>;

    fn deref(&self) -> &Self::Target {
        &self.picked
    }
}

impl Drop for Trying<'_> {
    fn drop(&mut self) {
        let Some(mut picked) = self.picked.take() else {
            return;
        };
        let outcome = match self.forward.too_slow.get() {
            true => Outcome::Failure,
            false => Outcome::Cancelled,
        };
        self.tell(&mut picked, outcome);
    }
}

impl Forward<'_> {
    /// Tries this endpoint.
    pub(super) async fn one_try(&self, upstream: &Upstream, request: Box<Request>) -> Tried {
        let trying = pin!(self.untimed(upstream, request));
        match self.limits.whole {
            None => trying.await,
            Some(limit) => tokio::time::timeout(limit, trying)
                .await
                .unwrap_or(Tried::Failed(Reason::BackendTimeout)),
        }
    }

    async fn untimed(&self, upstream: &Upstream, request: Box<Request>) -> Tried {
        let connection = match connect::http(
            self.worker,
            upstream,
            self.wanted,
            request.head.authority.as_str(),
        )
        .await
        {
            Ok(connection) => connection,
            Err(failure) => return Tried::Unreached(request, failure),
        };
        if let (Wanted::Http1Tunnel, Connection::Http1(_, proof)) = (self.wanted, &connection) {
            self.rests_on.replace(proof.clone());
        }
        let marked = connection.is_marked();
        let sending = pin!(exchange::exchange(connection, request));
        let sent = match self.limits.response {
            None => sending.await,
            Some(uploaded) => {
                let overdue = uploaded.overdue(Instant::now());
                tokio::select! {
                    sent = sending => sent,
                    () = overdue => return Tried::Failed(Reason::BackendTimeout),
                }
            }
        };
        tried(sent, marked)
    }
}

fn tried(sent: Result<Answered, SendError>, marked: bool) -> Tried {
    match sent {
        Ok(Answered {
            response,
            request: Some(request),
        }) if marked => match exchange::turned_back(&response, &request.head.method) {
            Some(reason) => Tried::Again(request, reason),
            None => Tried::Response(Box::new(response)),
        },
        Ok(Answered { response, .. }) => Tried::Response(Box::new(response)),
        Err(SendError {
            kind: SendErrorKind::Unrepresentable,
            ..
        }) => Tried::Failed(Reason::BadRequest),
        Err(SendError {
            kind,
            request: Some(request),
            reused,
        }) => match reused {
            true => Tried::Stale(request),
            false => Tried::Again(request, exchange::reason(&kind)),
        },
        Err(SendError {
            kind, request: None, ..
        }) => Tried::Failed(exchange::reason(&kind)),
    }
}

/// What a failure of this side says of the endpoint; nothing when the request itself is to blame.
pub(super) fn failure(reason: Reason) -> Option<Outcome> {
    match reason {
        Reason::RequestBodyBroken | Reason::RequestBodyTimeout | Reason::BadRequest => None,
        _ => Some(Outcome::Failure),
    }
}

/// Is the endpoint to blame for a connection that did not come about, or a limit or lack on this side?
pub(super) fn blame(failure: &ConnectFailure) -> Outcome {
    match (failure.reason, failure.cause) {
        (Reason::Overload | Reason::UpstreamOverflow, _) | (_, "no_own_certificate") => Outcome::Cancelled,
        _ => Outcome::ConnectFailure,
    }
}

/// Does the response speak for the endpoint?
pub(super) fn verdict(response: &Response, grpc: bool) -> Outcome {
    match response.head.status.as_u16() {
        502..=504 => Outcome::GatewayError,
        500..=599 => Outcome::ServerError,
        429 => Outcome::Backpressure,
        _ if !grpc => Outcome::Success,
        _ => match response.head.headers.get(&GRPC_STATUS) {
            Some(status) if status == "14" => Outcome::GatewayError,
            Some(status) if status == "8" => Outcome::Backpressure,
            _ => Outcome::Success,
        },
    }
}

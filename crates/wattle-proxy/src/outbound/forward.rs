//! Forward: pick → connect → exchange, again on another endpoint where nothing was lost by it.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use wattle_balance::{EndpointId, Outcome, Picked};
use wattle_http::{Answered, Request, Response, SendError, SendErrorKind};
use wattle_model::{Backend, Reason, RetryPolicy, ServicePort};

use super::metrics;
use crate::phases::connect::{self, ConnectFailure, Connection, Wanted};
use crate::phases::exchange;
use crate::phases::pick;
use crate::phases::record::Record;
use crate::worker::{Cluster, Upstream, Worker};
use wattle_telemetry::ResponseFlags;

/// Endpoints tried for one request.
const MAX_ENDPOINTS: usize = 3;
/// Times a request is sent again because a kept connection turned out to be closed.
const MAX_STALE: usize = 8;

/// One request on its way to a backend.
pub(super) struct Forward<'a> {
    pub(super) worker: &'a Rc<Worker>,
    pub(super) cluster: &'a Cluster,
    pub(super) backend: &'a Backend,
    /// The service that was dialled.
    pub(super) frontend: Option<&'a ServicePort>,
    pub(super) wanted: Wanted,
    /// Hash of the request, where the backend's policy goes by one.
    pub(super) hash: Option<u64>,
    /// Longest time for one try.
    pub(super) try_limit: Option<Duration>,
    /// What is sent again; without it, what nobody has acted on.
    pub(super) retry: Option<&'a RetryPolicy>,
}

/// A response with the record that goes along.
pub(super) struct Forwarded {
    pub(super) response: Response,
    pub(super) record: Record,
}

/// What all tries came to.
pub(super) struct Ended {
    pub(super) result: Result<Answer, Reason>,
    /// The endpoint that was tried last.
    pub(super) picked: Option<Picked<Upstream>>,
    /// Another try was wanted, and none was left.
    pub(super) exhausted: bool,
}

/// What a try came to.
pub(super) enum Tried {
    Response(Box<Response>),
    /// Nothing was accepted: the request may go elsewhere.
    Again(Box<Request>, Reason),
    /// A kept connection was closed: the request may go to the same endpoint again.
    Stale(Box<Request>),
    Failed(Reason),
}

impl Forward<'_> {
    /// Tries endpoints until one answers, nothing is left to try, or the record's deadline passes.
    pub(super) async fn run(
        &self,
        request: Request,
        mut record: Record,
    ) -> Result<Forwarded, (Reason, Record)> {
        let mut tries = pin!(self.every_try(request, record.is_grpc()));
        let ended = poll_fn(|cx| {
            if let Poll::Ready(ended) = tries.as_mut().poll(cx) {
                return Poll::Ready(Ok(ended));
            }
            record.poll_over(cx).map(Err)
        })
        .await;
        match ended {
            Err(reason) => Err((reason, record)),
            Ok(Ended {
                result,
                picked,
                exhausted,
            }) => {
                self.place(&mut record, picked.as_ref());
                if exhausted {
                    record.flag(ResponseFlags::UPSTREAM_RETRY_LIMIT_EXCEEDED);
                }
                let response = match result {
                    Ok(response) => *response,
                    Err(reason) => return Err((reason, record)),
                };
                if let Some(picked) = &picked {
                    record.answered(picked.member().address(), &response.head);
                }
                record.hold(picked);
                Ok(Forwarded { response, record })
            }
        }
    }

    async fn every_try(&self, request: Request, grpc: bool) -> Ended {
        // A tunnel has no body that could be kept: what follows is the client's own.
        match self.retry.filter(|_| self.wanted != Wanted::Http1Tunnel) {
            // A future of its own size only where it is needed.
            Some(policy) => Box::pin(self.retried(request, grpc, policy)).await,
            None => {
                let (result, picked) = self.tries(request, grpc).await;
                Ended {
                    result,
                    picked,
                    exhausted: false,
                }
            }
        }
    }

    /// Counts the request on the edge to the endpoint that was tried last.
    fn place(&self, record: &mut Record, picked: Option<&Picked<Upstream>>) {
        let Some(picked) = picked else { return };
        let upstream = picked.member().payload();
        record.on(metrics::http(
            self.worker,
            upstream,
            self.frontend,
            record.is_grpc(),
        ));
        record.name(|names| names.destination = metrics::principal(self.worker, upstream));
    }

    async fn tries(
        &self,
        request: Request,
        grpc: bool,
    ) -> (Result<Answer, Reason>, Option<Picked<Upstream>>) {
        let mut request = Box::new(request);
        let mut tried: Vec<EndpointId> = Vec::new();
        let mut stale = 0;
        let mut last: Option<(Reason, Picked<Upstream>)> = None;
        let mut repetition = None;
        loop {
            if last.is_some() {
                repetition = match self.cluster.bounds.retry(self.worker.clock.now_ns()) {
                    Ok(allowed) => Some(allowed),
                    Err(_) => return ended(last),
                };
            }
            let mut picked = match pick::pick(self.worker, self.cluster, self.hash, &tried) {
                Ok(picked) if last.is_none() || !tried.contains(&picked.member().id()) => picked,
                Err(reason) if last.is_none() => return (Err(reason), None),
                Ok(_) | Err(_) => return ended(last),
            };
            let started = self.worker.clock.now_ns();
            let elapsed = || self.worker.clock.now_ns() - started;
            let connection = match self.connect(&picked).await {
                Ok(connection) => connection,
                Err(failure) => {
                    picked.outcome(elapsed(), blame(failure.reason, failure.cause));
                    self.log(&picked, &failure);
                    tried.push(picked.member().id());
                    last = Some((failure.reason, picked));
                    if tried.len() >= MAX_ENDPOINTS {
                        return ended(last);
                    }
                    continue;
                }
            };
            match self.send(connection, request).await {
                Tried::Response(response) => {
                    drop(repetition);
                    picked.outcome(elapsed(), verdict(&response, grpc));
                    return (Ok(response), Some(picked));
                }
                Tried::Stale(back) if stale < MAX_STALE => {
                    stale += 1;
                    request = back;
                }
                Tried::Stale(_) => return (Err(Reason::UpstreamResetBeforeResponse), Some(picked)),
                Tried::Again(back, reason) if tried.len() + 1 < MAX_ENDPOINTS => {
                    picked.outcome(elapsed(), Outcome::Failure);
                    tried.push(picked.member().id());
                    last = Some((reason, picked));
                    request = back;
                }
                Tried::Again(_, reason) | Tried::Failed(reason) => {
                    if reason != Reason::RequestBodyBroken && reason != Reason::BadRequest {
                        picked.outcome(elapsed(), Outcome::Failure);
                    }
                    return (Err(reason), Some(picked));
                }
            }
        }
    }

    pub(super) async fn connect(&self, picked: &Picked<Upstream>) -> Result<Connection, ConnectFailure> {
        connect::http(self.worker, picked.member().payload(), self.wanted).await
    }

    pub(super) async fn send(&self, connection: Connection, request: Box<Request>) -> Tried {
        let marked = connection.is_marked();
        let sending = exchange::exchange(connection, *request);
        let sent = match self.try_limit {
            None => sending.await,
            Some(limit) => match tokio::time::timeout(limit, sending).await {
                Ok(sent) => sent,
                Err(_) => return Tried::Failed(Reason::BackendTimeout),
            },
        };
        match sent {
            Ok(Answered {
                response,
                request: Some(request),
            }) if marked => match exchange::turned_back(&response, &request.head.method) {
                Some(reason) => Tried::Again(Box::new(request), reason),
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

    pub(super) fn log(&self, picked: &Picked<Upstream>, failure: &ConnectFailure) {
        tracing::info!(
            backend = %self.backend.id, endpoint = %picked.member().address(), reason = failure.reason.id(),
            cause = failure.cause, detail = failure.detail, "connect failed"
        );
    }
}

pub(super) type Answer = Box<Response>;

fn ended(last: Option<(Reason, Picked<Upstream>)>) -> (Result<Answer, Reason>, Option<Picked<Upstream>>) {
    match last {
        Some((reason, picked)) => (Err(reason), Some(picked)),
        None => (Err(Reason::NoEndpoints), None),
    }
}

/// Is the endpoint to blame for a connection that did not come about, or a limit or lack on this side?
pub(super) fn blame(reason: Reason, cause: &str) -> Outcome {
    match (reason, cause) {
        (Reason::Overload | Reason::UpstreamOverflow, _) | (_, "no_own_certificate") => Outcome::Cancelled,
        _ => Outcome::ConnectFailure,
    }
}

/// Does the response speak for the endpoint?
pub(super) fn verdict(response: &Response, grpc: bool) -> Outcome {
    let grpc_status = || match grpc {
        true => response.head.headers.get("grpc-status"),
        false => None,
    };
    match response.head.status.as_u16() {
        502..=504 => Outcome::GatewayError,
        500..=599 => Outcome::ServerError,
        429 => Outcome::Backpressure,
        _ if grpc_status().is_some_and(|status| status == "14") => Outcome::GatewayError,
        _ if grpc_status().is_some_and(|status| status == "8") => Outcome::Backpressure,
        _ => Outcome::Success,
    }
}

//! Forward: pick → connect → exchange, again on another endpoint where nothing was lost by it.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use tokio::time::Instant;
use wattle_balance::{EndpointId, Picked};
use wattle_http::{Request, Response};
use wattle_model::{Backend, Reason, RetryPolicy, ServicePort};

use super::attempt::{Tried, TryLimits, Trying, blame, failure, verdict};
use super::metrics;
use crate::phases::connect::{ConnectFailure, Wanted};
use crate::phases::pick::{self, Wish};
use crate::phases::record::Record;
use crate::phases::uploaded;
use crate::worker::{Cluster, Proof, Upstream, Worker};
use wattle_telemetry::ResponseFlags;

/// Endpoints tried for one request.
const MAX_ENDPOINTS: usize = 3;
/// Times a request is sent again because a kept connection turned out to be closed.
pub(super) const MAX_STALE: usize = 8;

/// One request on its way to a backend.
pub(super) struct Forward<'a> {
    pub(super) worker: &'a Rc<Worker>,
    pub(super) cluster: &'a Cluster,
    pub(super) backend: &'a Backend,
    /// The service that was dialled.
    pub(super) frontend: Option<&'a ServicePort>,
    pub(super) wanted: Wanted,
    /// What the request asks of the choice of an endpoint.
    pub(super) wish: Wish<'a>,
    pub(super) limits: TryLimits<'a>,
    /// When the whole exchange is over.
    pub(super) until: Option<Instant>,
    /// What is sent again; without it, what nobody has acted on.
    pub(super) retry: Option<&'a RetryPolicy>,
    /// The limit of the whole passed, and not for lack of the request.
    pub(super) too_slow: Cell<bool>,
    /// What the connection of a tunnel rests on, where it is one of the mesh.
    pub(super) rests_on: RefCell<Option<Rc<Proof>>>,
}

/// A response with the record that goes along.
pub(super) struct Forwarded {
    pub(super) response: Response,
    pub(super) record: Box<Record>,
    /// Tag of the endpoint that answered.
    pub(super) tag: Option<u64>,
    /// As [`Forward::rests_on`].
    pub(super) rests_on: Option<Rc<Proof>>,
}

/// What all tries came to.
pub(super) struct Ended {
    pub(super) result: Result<Answer, Reason>,
    /// The endpoint that was tried last.
    pub(super) picked: Option<Picked<Upstream>>,
    /// Another try was wanted, and none was left.
    pub(super) exhausted: bool,
}

impl Ended {
    fn with(result: Result<Answer, Reason>, picked: Option<Picked<Upstream>>) -> Self {
        Self {
            result,
            picked,
            exhausted: false,
        }
    }

    fn after(last: Option<(Reason, Option<Picked<Upstream>>)>) -> Self {
        match last {
            Some((reason, picked)) => Self::with(Err(reason), picked),
            None => Self::with(Err(Reason::NoEndpoints), None),
        }
    }
}

impl Forward<'_> {
    /// Tries endpoints until one answers, nothing is left to try, or the record's deadline passes.
    pub(super) async fn run(
        &self,
        request: Box<Request>,
        mut record: Box<Record>,
    ) -> Result<Forwarded, (Reason, Box<Record>)> {
        let now = self.worker.clock.recent_ns();
        record.count(self.cluster.bounds.begin(now, self.retry.is_some()));
        let whole = uploaded::is_whole(&request.body);
        let mut tries = pin!(self.every_try(request, record.is_grpc()));
        let ended = poll_fn(|cx| {
            if let Poll::Ready(ended) = tries.as_mut().poll(cx) {
                return Poll::Ready(Ok(ended));
            }
            record.poll_over(cx).map(Err)
        })
        .await;
        match ended {
            Err(reason) => {
                self.too_slow.set(whole && reason == Reason::RequestTimeout);
                Err((reason, record))
            }
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
                let tag = picked.as_ref().map(|picked| picked.member().payload().tag);
                record.hold(picked);
                Ok(Forwarded {
                    response,
                    record,
                    tag,
                    rests_on: self.rests_on.take(),
                })
            }
        }
    }

    async fn every_try(&self, request: Box<Request>, grpc: bool) -> Ended {
        // A tunnel has no body that could be kept: what follows is the client's own.
        match self.retry.filter(|_| self.wanted != Wanted::Http1Tunnel) {
            // A future of its own size only where it is needed.
            Some(policy) => Box::pin(self.retried(request, grpc, policy)).await,
            None => self.tries(request, grpc).await,
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

    async fn tries(&self, mut request: Box<Request>, grpc: bool) -> Ended {
        let mut tried: Vec<EndpointId> = Vec::new();
        let mut stale = 0;
        let mut last = None;
        let mut repetition = None;
        loop {
            if last.is_some() {
                repetition = match self.cluster.bounds.retry(self.worker.clock.now_ns()) {
                    Ok(allowed) => Some(allowed),
                    Err(_) => return Ended::after(last),
                };
            }
            let picked = match pick::pick(self.worker, self.cluster, self.wish, &tried) {
                Ok(picked) if last.is_none() || !tried.contains(&picked.member().id()) => picked,
                Err(reason) if last.is_none() => return Ended::with(Err(reason), None),
                Ok(_) | Err(_) => return Ended::after(last),
            };
            let member = picked.member().clone();
            let trying = Trying::new(self, picked);
            let (back, reason, outcome) = match self.one_try(member.payload(), request).await {
                Tried::Response(response) => {
                    drop(repetition);
                    let picked = trying.ended(Some(verdict(&response, grpc)));
                    return Ended::with(Ok(response), picked);
                }
                Tried::Stale(back) if stale < MAX_STALE => {
                    stale += 1;
                    request = back;
                    drop(trying.ended(None));
                    continue;
                }
                Tried::Stale(_) => {
                    return Ended::with(Err(Reason::UpstreamResetBeforeResponse), trying.ended(None));
                }
                Tried::Failed(reason) => return Ended::with(Err(reason), trying.ended(failure(reason))),
                Tried::Unreached(back, failed) => {
                    self.log(&member, &failed);
                    (back, failed.reason, Some(blame(&failed)))
                }
                Tried::Again(back, reason) => (back, reason, failure(reason)),
            };
            tried.push(member.id());
            last = Some((reason, trying.ended(outcome)));
            request = back;
            if tried.len() >= MAX_ENDPOINTS {
                return Ended::after(last);
            }
        }
    }

    pub(super) fn log(&self, member: &wattle_balance::Member<Upstream>, failure: &ConnectFailure) {
        tracing::info!(
            backend = %self.backend.id, endpoint = %member.address(), reason = failure.reason.id(),
            cause = failure.cause, detail = failure.detail, "connect failed"
        );
    }
}

pub(super) type Answer = Box<Response>;

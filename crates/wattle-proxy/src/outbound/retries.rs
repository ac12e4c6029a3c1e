//! Retries: a request whose route has a policy is sent again where the policy says so, under a budget.
//!
//! Its body is kept while it streams, up to a bound; beyond that it is sent once. The last answer is given back when no
//! try is left.

use std::time::Duration;

use wattle_balance::{EndpointId, Outcome, Picked};
use wattle_http::{Kept, Request, Response};
use wattle_model::{Reason, RetryPolicy, TryResult};

use super::forward::{Ended, Forward, Tried, blame, verdict};
use crate::phases::{pick, record};
use crate::worker::Upstream;

/// Bytes of a body that are kept so that it can be sent again.
const KEPT_BYTES: usize = 64 * 1024;
/// Times a try is made again because a kept connection turned out to be closed.
const MAX_STALE: usize = 8;

/// What one try came to, with the endpoint it went to.
struct Try {
    result: Result<Box<Response>, Reason>,
    picked: Option<Picked<Upstream>>,
}

impl Forward<'_> {
    /// Tries as often as the policy allows.
    pub(super) async fn retried(&self, request: Request, grpc: bool, policy: &RetryPolicy) -> Ended {
        let Request {
            head,
            body,
            informational,
        } = request;
        let idempotent = head.method.is_idempotent();
        let kept = Kept::new(body, KEPT_BYTES);
        let budget = self.cluster.bounds.default_budget();
        let now = || self.worker.clock.now_ns();
        let _counted = budget.as_ref().map(|budget| budget.request(now()));
        let mut tried: Vec<EndpointId> = Vec::new();
        let (mut number, mut repetition) = (0, None);
        loop {
            let again = Request {
                head: head.clone(),
                body: kept.body().unwrap_or_default(),
                informational: informational.clone(),
            };
            let attempt = self.attempt(again, grpc, &tried).await;
            drop(repetition.take());
            let ended = match &attempt.result {
                Ok(response) => answered(response, grpc),
                Err(reason) => TryResult::Failed(*reason),
            };
            let wanted = policy.repeats(ended, idempotent);
            if !wanted || !kept.is_whole() {
                return attempt.ended(false);
            }
            let own = budget.as_ref().map(|budget| budget.try_retry(now()));
            let allowed = self.cluster.bounds.retry(now());
            let (Ok(allowed), None | Some(Some(_))) = (allowed, &own) else {
                return attempt.ended(true);
            };
            if number >= policy.attempts {
                return attempt.ended(true);
            }
            number += 1;
            repetition = Some((allowed, own));
            if let (true, Some(picked)) = (policy.another_endpoint, &attempt.picked) {
                tried.push(picked.member().id());
            }
            // Lets go of the answer and of the endpoint before the wait.
            drop(attempt);
            self.wait(policy.wait(number)).await;
        }
    }

    /// A part of `longest`, drawn: those who failed together do not come back together.
    async fn wait(&self, longest: Duration) {
        let part = self.worker.clock.random() as f64 / u64::MAX as f64;
        tokio::time::sleep(longest.mul_f64(part)).await;
    }

    /// One try, and what it says of the endpoint.
    async fn attempt(&self, request: Request, grpc: bool, tried: &[EndpointId]) -> Try {
        let mut request = Box::new(request);
        for _ in 0..=MAX_STALE {
            let mut picked = match pick::pick(self.worker, self.cluster, self.hash, tried) {
                Ok(picked) => picked,
                Err(reason) => return Try::failed(reason, None),
            };
            let started = self.worker.clock.now_ns();
            let elapsed = || self.worker.clock.now_ns() - started;
            let connection = match self.connect(&picked).await {
                Ok(connection) => connection,
                Err(failure) => {
                    picked.outcome(elapsed(), blame(failure.reason, failure.cause));
                    self.log(&picked, &failure);
                    return Try::failed(failure.reason, Some(picked));
                }
            };
            match self.send(connection, request).await {
                Tried::Response(response) => {
                    picked.outcome(elapsed(), verdict(&response, grpc));
                    return Try {
                        result: Ok(response),
                        picked: Some(picked),
                    };
                }
                // Nobody has seen it: it goes once more and counts as the same try.
                Tried::Stale(back) => request = back,
                Tried::Again(_, reason) | Tried::Failed(reason) => {
                    if !matches!(reason, Reason::RequestBodyBroken | Reason::BadRequest) {
                        picked.outcome(elapsed(), Outcome::Failure);
                    }
                    return Try::failed(reason, Some(picked));
                }
            }
        }
        Try::failed(Reason::UpstreamResetBeforeResponse, None)
    }
}

impl Try {
    fn failed(reason: Reason, picked: Option<Picked<Upstream>>) -> Self {
        Self {
            result: Err(reason),
            picked,
        }
    }

    /// As the end of all tries; `exhausted` when another was wanted and none is left.
    fn ended(self, exhausted: bool) -> Ended {
        Ended {
            result: self.result,
            picked: self.picked,
            exhausted,
        }
    }
}

/// How an answer counts: its status, and of gRPC the status that its head tells, if it does.
fn answered(response: &Response, grpc: bool) -> TryResult {
    TryResult::Answered {
        status: response.head.status.as_u16(),
        grpc: grpc
            .then(|| record::grpc_status(&response.head.headers))
            .flatten()
            .and_then(|status| u8::try_from(status).ok()),
    }
}

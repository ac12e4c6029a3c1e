//! Retries: a request whose route has a policy is sent again where the policy says so, under a budget.
//!
//! Its body is kept while it streams, up to a bound; beyond that it is sent once. The last answer is given back when no
//! try is left. A policy that hedges starts another try beside one that is slow; the first answer that stands counts.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, select};
use wattle_balance::{EndpointId, Picked};
use wattle_http::{Informational, Kept, Request, RequestHead, Response};
use wattle_model::{Reason, RetryPolicy, TryResult};

use super::attempt::{Tried, Trying, blame, failure, verdict};
use super::forward::{Ended, Forward, MAX_STALE};
use crate::phases::{deadline, pick, record};
use crate::worker::{Repetition, Upstream};

/// Bytes of a body that are kept so that it can be sent again.
const KEPT_BYTES: usize = 64 * 1024;

/// A request that may be sent more than once.
struct Repeated<'a> {
    policy: &'a RetryPolicy,
    head: RequestHead,
    kept: Kept,
    informational: Informational,
    grpc: bool,
    /// Repetitions so far.
    number: u32,
    /// Endpoints that were tried, where the policy prefers others.
    tried: Vec<EndpointId>,
}

/// What one try came to, with the endpoint it went to.
struct Try {
    result: Result<Box<Response>, Reason>,
    picked: Option<Picked<Upstream>>,
    /// No endpoint could be picked.
    hopeless: bool,
}

/// Which endpoints a try may go to.
struct Choice<'a> {
    /// Not these, if another is fit.
    avoid: &'a [EndpointId],
    /// Not these at all.
    only_others: bool,
    /// Told where it goes.
    went: &'a Cell<Option<EndpointId>>,
}

impl Forward<'_> {
    /// Tries as often as the policy allows.
    pub(super) async fn retried(&self, request: Box<Request>, grpc: bool, policy: &RetryPolicy) -> Ended {
        let mut repeated = Repeated::new(request, grpc, policy);
        let mut repetition = None;
        loop {
            let attempt = match policy.hedge_after.filter(|_| repeated.may_hedge()) {
                // Boxed, so that who does not hedge need not hold two tries.
                Some(after) => Box::pin(self.hedged(&mut repeated, after)).await,
                None => self.once(&mut repeated).await,
            };
            drop(repetition.take());
            // Where none could be picked nothing was tried: a wait would change nothing for the better.
            if attempt.hopeless || !repeated.wants_another(&attempt) {
                return attempt.ended(false);
            }
            if repeated.number >= policy.attempts {
                return attempt.ended(repeated.number > 0);
            }
            match self.repetition() {
                Ok(allowed) => repetition = Some(allowed),
                Err(_) => return attempt.ended(true),
            }
            repeated.number += 1;
            // Lets go of the answer and of the endpoint before the wait.
            drop(attempt);
            self.wait(policy.wait(repeated.number)).await;
        }
    }

    fn repetition(&self) -> Result<Repetition, Reason> {
        self.cluster.bounds.repeat(self.worker.clock.now_ns())
    }

    /// A part of `longest`, drawn: those who failed together do not come back together.
    async fn wait(&self, longest: Duration) {
        let part = self.worker.clock.random() as f64 / u64::MAX as f64;
        tokio::time::sleep(longest.mul_f64(part)).await;
    }

    async fn once(&self, repeated: &mut Repeated<'_>) -> Try {
        let went = Cell::new(None);
        let choice = Choice {
            avoid: &repeated.tried,
            only_others: false,
            went: &went,
        };
        let attempt = self.attempt(repeated.again(self), repeated.grpc, choice).await;
        repeated.tried_at(went.get());
        attempt
    }

    /// A try, and another at another endpoint beside it when the first takes longer than `after`.
    async fn hedged(&self, repeated: &mut Repeated<'_>, after: Duration) -> Try {
        let (first_went, second_went) = (Cell::new(None), Cell::new(None));
        let mut avoid = repeated.tried.clone();
        let before = avoid.clone();
        let choice = Choice {
            avoid: &before,
            only_others: false,
            went: &first_went,
        };
        let mut first = pin!(self.attempt(repeated.again(self), repeated.grpc, choice));
        let attempt = match tokio::time::timeout(after, first.as_mut()).await {
            Ok(attempt) => attempt,
            Err(_) => match self.repetition().ok().filter(|_| repeated.kept.is_whole()) {
                None => first.await,
                Some(_allowed) => {
                    repeated.number += 1;
                    avoid.extend(first_went.get());
                    let choice = Choice {
                        avoid: &avoid,
                        only_others: true,
                        went: &second_went,
                    };
                    let second = pin!(self.attempt(repeated.again(self), repeated.grpc, choice));
                    match select(first, second).await {
                        Either::Left((done, other)) => repeated.better(done, other).await,
                        Either::Right((done, other)) => repeated.better(done, other).await,
                    }
                }
            },
        };
        repeated.tried_at(first_went.get());
        repeated.tried_at(second_went.get());
        attempt
    }

    /// One try, and what it says of the endpoint.
    async fn attempt(&self, request: Request, grpc: bool, choice: Choice<'_>) -> Try {
        let mut request = Box::new(request);
        for stale in 0..=MAX_STALE {
            let picked = match pick::pick(self.worker, self.cluster, self.wish, choice.avoid) {
                Ok(picked) => picked,
                Err(reason) => return Try::hopeless(reason),
            };
            let member = picked.member().clone();
            if choice.only_others && choice.avoid.contains(&member.id()) {
                return Try::hopeless(Reason::NoHealthyEndpoint);
            }
            choice.went.set(Some(member.id()));
            let trying = Trying::new(self, picked);
            match self.one_try(member.payload(), request).await {
                Tried::Response(response) => {
                    let picked = trying.ended(Some(verdict(&response, grpc)));
                    return Try {
                        result: Ok(response),
                        picked,
                        hopeless: false,
                    };
                }
                // Nobody has seen it: it goes once more and counts as the same try.
                Tried::Stale(back) if stale < MAX_STALE => {
                    request = back;
                    drop(trying.ended(None));
                }
                Tried::Stale(_) => {
                    return Try::failed(Reason::UpstreamResetBeforeResponse, trying.ended(None));
                }
                Tried::Unreached(_, failed) => {
                    self.log(&member, &failed);
                    return Try::failed(failed.reason, trying.ended(Some(blame(&failed))));
                }
                Tried::Again(_, reason) | Tried::Failed(reason) => {
                    return Try::failed(reason, trying.ended(failure(reason)));
                }
            }
        }
        Try::hopeless(Reason::Internal)
    }
}

impl<'a> Repeated<'a> {
    fn new(request: Box<Request>, grpc: bool, policy: &'a RetryPolicy) -> Self {
        let Request {
            head,
            body,
            informational,
        } = *request;
        Self {
            policy,
            head,
            kept: Kept::new(body, KEPT_BYTES),
            informational,
            grpc,
            number: 0,
            tried: Vec::new(),
        }
    }

    /// The request from its start; who asks for gRPC is told how much of the time is left.
    fn again(&self, forward: &Forward<'_>) -> Request {
        let mut head = self.head.clone();
        if let (Some(until), true) = (forward.until, self.grpc && self.number > 0) {
            deadline::renew(
                &mut head,
                until.saturating_duration_since(tokio::time::Instant::now()),
            );
        }
        Request {
            head,
            body: self.kept.body().unwrap_or_default(),
            informational: self.informational.clone(),
        }
    }

    fn tried_at(&mut self, endpoint: Option<EndpointId>) {
        let new = endpoint.filter(|_| self.policy.another_endpoint);
        self.tried.extend(new);
    }

    /// May a second one be under way? What a backend acts on twice must be harmless.
    fn may_hedge(&self) -> bool {
        let harmless = self.head.method.is_idempotent() || self.policy.unsafe_methods;
        harmless && self.number < self.policy.attempts
    }

    fn wants_another(&self, attempt: &Try) -> bool {
        self.repeats(attempt) && self.kept.is_whole()
    }

    fn repeats(&self, attempt: &Try) -> bool {
        let ended = match &attempt.result {
            Ok(response) => answered(response, self.grpc),
            Err(reason) if self.kept.is_read() => TryResult::Failed(*reason),
            Err(reason) => TryResult::Unsent(*reason),
        };
        self.policy.repeats(ended, self.head.method.is_idempotent())
    }

    /// Of two tries the first that is an answer and stands, else the one that ends last, unless that is no answer at all.
    async fn better(&self, done: Try, other: impl Future<Output = Try>) -> Try {
        if done.result.is_ok() && !self.repeats(&done) {
            return done;
        }
        let later = other.await;
        let worse = later.hopeless || (later.result.is_err() && done.result.is_ok());
        if worse { done } else { later }
    }
}

impl Try {
    fn failed(reason: Reason, picked: Option<Picked<Upstream>>) -> Self {
        Self {
            result: Err(reason),
            picked,
            hopeless: false,
        }
    }

    fn hopeless(reason: Reason) -> Self {
        Self {
            hopeless: true,
            ..Self::failed(reason, None)
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

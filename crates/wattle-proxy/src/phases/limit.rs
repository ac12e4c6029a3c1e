//! Limit: how much the workload takes. The model says what a limit applies to; counting is the proxy's, or a service's.

mod refused;
mod service;

use std::cell::OnceCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use wattle_model::{ConnectionFacts, ObjectRef, Reason, RequestFacts};
use wattle_telemetry::{Counter, Family, Kind, Labels};

use super::ask::Failure;
use crate::worker::{Question, RateLimits, Worker};
pub(crate) use refused::Refused;
use service::Verdict;

static LIMITED: Family = Family {
    name: "wattle_rate_limited_total",
    help: "Requests that a limit on what the workload takes refused, or that its service could not be asked about, by object and result.",
    kind: Kind::Counter,
    hides_idle: false,
};

/// The limits as one worker holds them, with its series.
pub(crate) struct Limits {
    shared: Arc<RateLimits>,
    local: Vec<OnceCell<Counter>>,
    asked: Vec<[OnceCell<Counter>; 3]>,
}

/// Who is limited.
pub(crate) struct Caller<'a> {
    pub(crate) connection: &'a ConnectionFacts<'a>,
    /// Of its identity; 0 for one without.
    pub(crate) key: u64,
}

impl Limits {
    pub(crate) fn new(shared: Arc<RateLimits>) -> Self {
        let cells = |count: usize| std::iter::repeat_with(OnceCell::new).take(count).collect();
        let asked = shared.questions.iter();
        Self {
            local: cells(shared.local.len()),
            asked: asked.map(|_| [const { OnceCell::new() }; 3]).collect(),
            shared,
        }
    }
}

/// May this request in, by every limit that applies to it?
pub(crate) async fn limit(
    worker: &Rc<Worker>,
    limits: &Limits,
    caller: &Caller<'_>,
    request: &RequestFacts<'_>,
) -> Result<(), Refused> {
    count(worker, limits, caller, request)?;
    for (question, series) in limits.shared.questions.iter().zip(&limits.asked) {
        let descriptors = service::descriptors(question, caller, request);
        if descriptors.is_empty() {
            continue;
        }
        // A future of its own size only where it is needed.
        let verdict = Box::pin(service::ask(worker, question, descriptors)).await;
        judge(worker, question, series, verdict)?;
    }
    Ok(())
}

/// Those that are counted here.
fn count(
    worker: &Worker,
    limits: &Limits,
    caller: &Caller<'_>,
    request: &RequestFacts<'_>,
) -> Result<(), Refused> {
    let (port, peer) = (caller.connection.port, caller.connection.peer.as_ref());
    for (local, series) in limits.shared.local.iter().zip(&limits.local) {
        if !local.limit.applies(port, peer, request) {
            continue;
        }
        if let Err(wait) = local.check(caller.key, worker.clock.now_ns()) {
            let make = || counter(worker, &local.limit.origin, "limited");
            series.get_or_init(make).increment();
            return Err(Refused::limited(Some(wait), Vec::new()));
        }
    }
    Ok(())
}

fn judge(
    worker: &Worker,
    question: &Question,
    [limited, failed, failed_open]: &[OnceCell<Counter>; 3],
    verdict: Result<Verdict, Failure>,
) -> Result<(), Refused> {
    let note = |series: &OnceCell<Counter>, result: &str| {
        let origin = question.limits.first().map(|(limit, _)| &limit.origin);
        if let Some(origin) = origin {
            series.get_or_init(|| counter(worker, origin, result)).increment();
        }
    };
    match verdict {
        Ok(Verdict::Pass) => Ok(()),
        Ok(Verdict::Over { wait, headers }) => {
            note(limited, "limited");
            Err(Refused::limited(wait, headers))
        }
        Err(failure) => {
            tracing::info!(
                service = %question.service, domain = %question.domain, cause = failure.cause,
                detail = failure.detail, allowed = question.allow_on_failure, "rate limit service failed"
            );
            if question.allow_on_failure {
                note(failed_open, "failed_open");
                return Ok(());
            }
            note(failed, "failed");
            Err(Reason::RateLimitServiceFailure.into())
        }
    }
}

fn counter(worker: &Worker, origin: &ObjectRef, result: &str) -> Counter {
    let object = format!("{}/{}/{}", origin.kind, origin.namespace, origin.name);
    let labels = Labels::new(&[("limit", &object), ("result", result)]);
    worker.shard.counter(&LIMITED, &labels)
}

/// Whole seconds, at least one, for a header.
fn seconds(wait: Duration) -> u64 {
    wait.as_secs()
        .saturating_add(u64::from(wait.subsec_nanos() > 0))
        .max(1)
}

//! Session: a request that belongs to one goes to the session's endpoint, while that is fit and its rule leads there.

use std::rc::Rc;
use std::time::UNIX_EPOCH;

use wattle_balance::Member;
use wattle_http::{RequestHead, ResponseHead, Scheme};
use wattle_model::{Action, Outcome, RouteDecision, SessionPersistence, WeightedBackend};

use crate::worker::{Service, Upstream, Worker};

/// The session of one request; nothing where its rule keeps none.
#[derive(Default)]
pub(crate) struct Session<'a>(Option<Kept<'a>>);

struct Kept<'a> {
    policy: &'a SessionPersistence,
    /// Where it goes on.
    endpoint: Option<Rc<Member<Upstream>>>,
    secure: bool,
}

impl<'a> Session<'a> {
    /// Finds the endpoint of the request's session among those of the rule's backends, and decides for its backend.
    pub(crate) fn resume(
        worker: &Worker,
        service: &'a Service,
        decision: &mut RouteDecision<'a>,
        head: &RequestHead,
    ) -> Self {
        let Some(rule) = decision.rule else {
            return Self(None);
        };
        let Some(policy) = rule.session.as_deref() else {
            return Self(None);
        };
        let mut kept = Kept {
            policy,
            endpoint: None,
            secure: head.scheme == Scheme::Https,
        };
        if let (Some(tag), Action::Forward(backends)) =
            (policy.tag(&head.headers, seconds(worker)), &*rule.action)
        {
            let found = backends.iter().find_map(|weighted| {
                let endpoint = tagged(worker, service, weighted, tag)?;
                let index = weighted.backend?;
                let backend = service.destination.backend(index)?;
                let filters = weighted.filters.as_deref();
                Some((
                    endpoint,
                    Outcome::Forward {
                        backend,
                        index,
                        filters,
                    },
                ))
            });
            if let Some((endpoint, outcome)) = found {
                kept.endpoint = Some(endpoint);
                decision.outcome = outcome;
            }
        }
        Self(Some(kept))
    }

    /// The endpoint that is asked first.
    pub(crate) fn endpoint(&self) -> Option<&Rc<Member<Upstream>>> {
        self.0.as_ref()?.endpoint.as_ref()
    }

    /// Begins a session with the endpoint of this tag, unless it was the session's already.
    pub(crate) fn tell(&self, worker: &Worker, head: &mut ResponseHead, tag: Option<u64>) {
        let (Some(kept), Some(tag)) = (&self.0, tag) else {
            return;
        };
        if kept
            .endpoint
            .as_ref()
            .is_some_and(|member| member.payload().tag == tag)
        {
            return;
        }
        if let Some((name, value)) = kept.policy.begin(tag, seconds(worker), kept.secure) {
            head.headers.append(name, value);
        }
    }
}

/// The endpoint of a backend that gets traffic.
fn tagged(
    worker: &Worker,
    service: &Service,
    weighted: &WeightedBackend,
    tag: u64,
) -> Option<Rc<Member<Upstream>>> {
    let index = weighted.backend.filter(|_| weighted.weight > 0)?;
    service.cluster(index)?.tagged(tag, worker.clock.now_ns())
}

/// Since 1970.
fn seconds(worker: &Worker) -> u64 {
    let since = worker.clock.wall().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

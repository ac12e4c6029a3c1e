//! Limits on what the workload takes, with what counts against them: made by the main thread, shared by all workers.

use std::sync::Arc;
use std::time::Duration;

use wattle_balance::{KeyedRateLimiter, RateLimiter};
use wattle_model::{Allowance, GlobalLimit, RateLimit};

use crate::config::Dialled;

/// All limits, in the order in which they are asked: a caller that is over a limit of its own must not use up what all
/// callers share, and no service is asked about a request that is refused anyway.
#[derive(Debug, Default)]
pub(crate) struct RateLimits {
    pub(crate) local: Vec<LocalLimit>,
    pub(crate) questions: Vec<Question>,
}

/// A limit that this proxy counts.
#[derive(Clone, Debug)]
pub(crate) struct LocalLimit {
    pub(crate) limit: RateLimit,
    count: Arc<Count>,
}

#[derive(Debug)]
enum Count {
    Together(RateLimiter),
    ByIdentity(KeyedRateLimiter),
}

/// Limits that one service is asked about in one question.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) service: Dialled,
    pub(crate) domain: Arc<str>,
    pub(crate) timeout: Duration,
    pub(crate) allow_on_failure: bool,
    /// The limits, each with a descriptor of its own.
    pub(crate) limits: Vec<(RateLimit, GlobalLimit)>,
}

impl RateLimits {
    /// Of these; `None` without any. Those that are among the `old` ones go on counting.
    pub(crate) fn of(limits: &[RateLimit], old: Option<&Self>) -> Option<Arc<Self>> {
        if limits.is_empty() {
            return None;
        }
        let mut known: Vec<&LocalLimit> = old.into_iter().flat_map(|old| &old.local).collect();
        let mut made = Self::default();
        for limit in limits {
            match &limit.allowance {
                Allowance::Local { .. } => {
                    let same = known.iter().position(|old| is_same(&old.limit, limit));
                    let kept = same.map(|at| known.swap_remove(at).clone());
                    made.local.extend(kept.or_else(|| LocalLimit::new(limit)));
                }
                Allowance::Global(global) => made.ask(limit, global),
            }
        }
        made.local.sort_by_key(|local| local.breadth());
        Some(Arc::new(made))
    }

    fn ask(&mut self, limit: &RateLimit, global: &GlobalLimit) {
        let asked = (limit.clone(), global.clone());
        let service = Dialled::read(&global.service);
        let same = self.questions.iter_mut().find(|known| {
            known.service == service
                && known.domain == global.domain
                && known.timeout == global.timeout
                && known.allow_on_failure == global.allow_on_failure
        });
        match same {
            Some(question) => question.limits.push(asked),
            None => self.questions.push(Question {
                service,
                domain: global.domain.clone(),
                timeout: global.timeout,
                allow_on_failure: global.allow_on_failure,
                limits: vec![asked],
            }),
        }
    }
}

impl LocalLimit {
    fn new(limit: &RateLimit) -> Option<Self> {
        let Allowance::Local {
            requests,
            per,
            burst,
            by_identity,
        } = limit.allowance
        else {
            return None;
        };
        let pace = wattle_balance::RateLimit { requests, per, burst };
        let count = match by_identity {
            true => Count::ByIdentity(KeyedRateLimiter::new(pace)),
            false => Count::Together(RateLimiter::new(pace)),
        };
        Some(Self {
            limit: limit.clone(),
            count: Arc::new(count),
        })
    }

    /// Counts one request of the identity with this key; the time until one would fit when it is one too many.
    pub(crate) fn check(&self, key: u64, now: u64) -> Result<(), Duration> {
        let checked = match &*self.count {
            Count::Together(limiter) => limiter.check(now),
            Count::ByIdentity(limiter) => limiter.check(key, now),
        };
        checked.map_err(|limited| Duration::from_nanos(limited.retry_after_ns))
    }

    /// Limits of single callers first, then of some, then of all.
    fn breadth(&self) -> u8 {
        match (&*self.count, self.limit.clients.is_empty()) {
            (Count::ByIdentity(_), _) => 0,
            (Count::Together(_), false) => 1,
            (Count::Together(_), true) => 2,
        }
    }
}

/// Is it the same limit, wherever in its file the object stands now?
fn is_same(old: &RateLimit, new: &RateLimit) -> bool {
    let object = |limit: &RateLimit| {
        let origin = &limit.origin;
        (origin.kind.clone(), origin.namespace.clone(), origin.name.clone())
    };
    let moved = RateLimit {
        origin: new.origin.clone(),
        ..old.clone()
    };
    object(old) == object(new) && moved == *new
}

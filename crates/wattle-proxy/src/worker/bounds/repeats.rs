//! Repetitions: bounded by the breaker, and by a budget relative to the requests.

use std::rc::Rc;

use wattle_balance::{Permit, RetryBudget, RetryBudgetConfig};
use wattle_model::Reason;

use super::Bounds;

/// What a repetition holds while it lasts.
#[derive(Debug, Default)]
pub(crate) struct Repetition {
    _permits: (Option<Permit>, Option<Permit>),
}

impl Bounds {
    /// Counts a request of the workload in the budget of repetitions, once however often it is tried, while the permit is
    /// held; without a policy about that only a request that may be `repeated`.
    pub(crate) fn begin(&self, now: u64, repeated: bool) -> Option<Permit> {
        if let (true, Some(budget)) = (self.counts.get(), self.budget.borrow().as_ref()) {
            return Some(budget.request(now));
        }
        let budget = repeated.then(|| self.default_budget())??;
        Some(budget.request(now))
    }

    /// The right to repeat a request, to be held while that lasts; an overflow when the breaker or the budget has none left.
    pub(crate) fn retry(&self, now: u64) -> Result<Repetition, Reason> {
        if !self.counts.get() {
            return Ok(Repetition::default());
        }
        let retry = self.breaker.try_retry().ok_or(Reason::UpstreamOverflow)?;
        let budget = match self.budget.borrow().as_ref() {
            None => None,
            Some(budget) => Some(budget.try_retry(now).ok_or(Reason::UpstreamOverflow)?),
        };
        Ok(Repetition {
            _permits: (Some(retry), budget),
        })
    }

    /// The same for a request that a route's policy repeats, by its own budget where the backend's policy names none.
    pub(crate) fn repeat(&self, now: u64) -> Result<Repetition, Reason> {
        let mut repetition = self.retry(now)?;
        if let Some(budget) = self.default_budget() {
            let own = budget.try_retry(now).ok_or(Reason::UpstreamOverflow)?;
            repetition._permits.1 = Some(own);
        }
        Ok(repetition)
    }

    /// The budget of repetitions where the policy names none: 20 % of the requests under way, and 3 always (Envoy's).
    fn default_budget(&self) -> Option<Rc<RetryBudget>> {
        if self.budget.borrow().is_some() {
            return None;
        }
        let budget = || Rc::new(RetryBudget::new(RetryBudgetConfig::concurrent()));
        Some(self.default_budget.get_or_init(budget).clone())
    }
}

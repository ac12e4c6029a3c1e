//! What a destination is to one caller, where objects are for some of the callers of a namespace (Istio
//! `DestinationRule` with `workloadSelector`).

use std::sync::Arc;

use crate::matching::CallerLabel;
use crate::{
    Action, Backend, BackendId, BackendPolicy, CallerFacts, Destination, Filters, Mirror, RouteRule,
    RouteTable, WeightedBackend,
};

/// What a backend is to callers with certain labels.
#[derive(Clone, Debug, PartialEq)]
pub struct CallerBackend {
    /// Labels of the workloads it is about; empty for all that none before it covers.
    pub labels: Vec<CallerLabel>,
    /// What it is to them; `None` when it is nothing, so that its share is refused.
    pub seen: Option<SeenBackend>,
}

/// What of a backend depends on who calls.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenBackend {
    /// As [`Backend::id`].
    pub id: BackendId,
    /// As [`Backend::policy`].
    pub policy: Arc<BackendPolicy>,
}

impl Backend {
    /// Its endpoints and its policy to `caller`: what the first of [`Self::callers`] that covers it says, else its own.
    pub fn seen_by(&self, caller: &CallerFacts<'_>) -> Option<(&BackendId, &Arc<BackendPolicy>)> {
        let mut callers = self.callers.iter();
        match callers.find(|one| caller.has_labels(&one.labels)) {
            None => Some((&self.id, &self.policy)),
            Some(one) => one.seen.as_ref().map(|seen| (&seen.id, &seen.policy)),
        }
    }
}

impl Destination {
    /// The names of all endpoints that some caller of the namespace needs; not those of the original destination, which
    /// has none.
    pub fn backend_ids(&self) -> impl Iterator<Item = &BackendId> {
        let ids = self.backends.iter().flat_map(|backend| {
            let callers = backend.callers.iter().filter_map(|one| one.seen.as_ref());
            std::iter::once(&backend.id).chain(callers.map(|seen| &seen.id))
        });
        ids.filter(|id| !id.is_empty())
    }

    /// Does it depend on the labels of who calls what its backends are?
    pub fn differs_by_caller(&self) -> bool {
        self.backends.iter().any(|backend| !backend.callers.is_empty())
    }

    /// What it is to `caller`; itself where that does not depend on who calls.
    ///
    /// A backend that is nothing to the caller is gone, and what routes refer to it is refused as a reference that
    /// could not be resolved.
    pub fn seen_by(self: &Arc<Self>, caller: &CallerFacts<'_>) -> Arc<Self> {
        if !self.differs_by_caller() {
            return Arc::clone(self);
        }
        let mut backends = Vec::with_capacity(self.backends.len());
        let mut moved = Vec::with_capacity(self.backends.len());
        for backend in &self.backends {
            let seen = backend.seen_by(caller);
            moved.push(seen.and_then(|_| u32::try_from(backends.len()).ok()));
            backends.extend(seen.map(|(id, policy)| Backend {
                id: Arc::clone(id),
                policy: Arc::clone(policy),
                callers: Vec::new(),
                ..backend.clone()
            }));
        }
        let mut found = Self {
            backends,
            ..Self::clone(self)
        };
        if moved.contains(&None) {
            Moved(&moved).destination(&mut found);
        }
        Arc::new(found)
    }
}

/// Where each backend is by now.
struct Moved<'a>(&'a [Option<u32>]);

impl Moved<'_> {
    fn destination(&self, found: &mut Destination) {
        self.reference(&mut found.default_backend);
        for route in &mut found.connections {
            route.backends.iter_mut().for_each(|share| self.share(share));
        }
        let mut rules = found.routes.rules().to_vec();
        rules.iter_mut().for_each(|rule| self.rule(rule));
        found.routes = RouteTable::new(rules);
    }

    fn rule(&self, rule: &mut RouteRule) {
        self.filters(&mut rule.filters);
        if let Action::Forward(_) = &*rule.action
            && let Action::Forward(shares) = Arc::make_mut(&mut rule.action)
        {
            shares.iter_mut().for_each(|share| self.share(share));
        }
    }

    fn share(&self, share: &mut WeightedBackend) {
        self.reference(&mut share.backend);
        if let Some(filters) = &mut share.filters {
            self.filters(filters);
        }
    }

    fn filters(&self, filters: &mut Arc<Filters>) {
        if filters.mirrors.is_empty() {
            return;
        }
        let moved = |mirror: &mut Mirror| self.reference(&mut mirror.backend);
        Arc::make_mut(filters).mirrors.iter_mut().for_each(moved);
    }

    fn reference(&self, index: &mut Option<u32>) {
        let at = index.and_then(|index| usize::try_from(index).ok());
        *index = at.and_then(|at| self.0.get(at).copied().flatten());
    }
}

#[cfg(test)]
mod tests;

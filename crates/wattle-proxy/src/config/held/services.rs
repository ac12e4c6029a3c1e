//! Services that the proxy itself asks: about limits on what the workload takes, and whether it may have it.

use std::collections::HashSet;
use std::sync::Arc;

use wattle_model::{Allowance, Inbound};
use wattle_wire::proto::discovery::DeltaDiscoveryRequest;

use super::{Dialled, Held, News};
use crate::worker::RateLimits;

impl Held {
    /// Makes the limits of `inbound` anew where they changed: once for all workers.
    pub(super) fn replace_rate_limits(&mut self, inbound: &Inbound) {
        let old = self.inbound.as_ref().map_or(&[][..], |old| &old.rate_limits);
        if *old == inbound.rate_limits {
            return;
        }
        let new = RateLimits::of(&inbound.rate_limits, self.rate_limits.as_deref());
        self.feed.tell_all(&News::RateLimits(new.clone()));
        self.rate_limits = new;
    }

    /// Subscribes to the services that `inbound` has asked, and no longer to those that only the one before had.
    pub(super) fn replace_services(&mut self, inbound: &Inbound) -> Vec<DeltaDiscoveryRequest> {
        let old = self.inbound.as_deref().map(services).unwrap_or_default();
        let new = services(inbound);
        let mut requests = Vec::new();
        for worker in 0..self.feed.workers() {
            for service in new.difference(&old) {
                requests.extend(self.want_destination(worker, service.clone()));
            }
            for service in old.difference(&new) {
                requests.extend(self.forget(worker, service));
                self.feed.tell(worker, News::Destination(service.clone(), None));
            }
        }
        requests
    }
}

/// Those that are names; an address is asked for when it is needed.
fn services(inbound: &Inbound) -> HashSet<Dialled> {
    let limiting = inbound
        .rate_limits
        .iter()
        .filter_map(|limit| match &limit.allowance {
            Allowance::Global(global) => Some(&global.service),
            Allowance::Local { .. } => None,
        });
    let external = inbound.authorization.external.iter();
    let authorizing = external.map(|external| &external.authorizer.service);
    let named = |service: &Arc<str>| match Dialled::read(service) {
        Dialled::Address(_) => None,
        name => Some(name),
    };
    limiting.chain(authorizing).filter_map(named).collect()
}

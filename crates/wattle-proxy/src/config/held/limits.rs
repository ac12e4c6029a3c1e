//! Limits on what the workload takes: made once for all workers, with the services that some of them ask.

use std::collections::HashSet;
use std::sync::Arc;

use wattle_model::Inbound;
use wattle_wire::proto::discovery::DeltaDiscoveryRequest;

use super::{Dialled, Held, News};
use crate::worker::RateLimits;

impl Held {
    /// Makes the limits of `inbound` anew where they changed, and subscribes to the services that some of them ask.
    pub(super) fn replace_rate_limits(&mut self, inbound: &Inbound) -> Vec<DeltaDiscoveryRequest> {
        let old = self.inbound.as_ref().map_or(&[][..], |old| &old.rate_limits);
        if *old == inbound.rate_limits {
            return Vec::new();
        }
        let new = RateLimits::of(&inbound.rate_limits, self.rate_limits.as_deref());
        self.feed.tell_all(&News::RateLimits(new.clone()));
        let old = std::mem::replace(&mut self.rate_limits, new.clone());
        let named = |limits: Option<Arc<RateLimits>>| -> HashSet<Dialled> {
            let services = limits.iter().flat_map(|limits| limits.services());
            services
                .filter(|service| matches!(service, Dialled::Name(_)))
                .cloned()
                .collect()
        };
        let (old, new) = (named(old), named(new));
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

//! Destinations: who wants them, which endpoints they need, and when they are told.

use std::sync::Arc;

use wattle_model::{CallerFacts, Destination};
use wattle_wire::proto::discovery::DeltaDiscoveryRequest;
use wattle_wire::{Kind, ResourceName};

use super::{Dialled, Held, News};

/// Most destinations subscribed to at once; a further one is refused until others are forgotten.
const MAX_DESTINATIONS: usize = 20_000;

impl Held {
    pub(super) fn want_destination(&mut self, worker: usize, dialled: Dialled) -> Vec<DeltaDiscoveryRequest> {
        if self.wanted.len() >= MAX_DESTINATIONS {
            self.feed.tell(worker, News::Destination(dialled, None));
            return Vec::new();
        }
        self.wanted.add(&dialled, worker);
        let name = destination_name(&dialled);
        let request = self.subscriber.subscribe(&name, None);
        if let Some(destination) = self.complete(&dialled) {
            self.tell_destination(worker, &dialled, &destination);
        } else if self.subscriber.answered(&name) && !self.incomplete.contains(&dialled) {
            self.feed.tell(worker, News::Destination(dialled, None));
        }
        request.into_iter().collect()
    }

    pub(super) fn forget(&mut self, worker: usize, dialled: &Dialled) -> Vec<DeltaDiscoveryRequest> {
        if !self.wanted.remove(dialled, worker) {
            return Vec::new();
        }
        let name = destination_name(dialled);
        let mut requests: Vec<_> = self.subscriber.unsubscribe(&name).into_iter().collect();
        self.encoded.remove(&name);
        requests.extend(self.replace_destination(dialled.clone(), None));
        requests
    }

    /// Subscribes to the endpoints a destination needs, drops those nobody needs any more, publishes it when complete.
    pub(super) fn replace_destination(
        &mut self,
        dialled: Dialled,
        new: Option<Arc<Destination>>,
    ) -> Vec<DeltaDiscoveryRequest> {
        let mut requests = Vec::new();
        let old = match new.clone() {
            Some(new) => self.destinations.insert(dialled.clone(), new),
            None => self.destinations.remove(&dialled),
        };
        for id in new.iter().flat_map(|destination| destination.backend_ids()) {
            *self.backend_uses.entry(id.clone()).or_default() += 1;
            let name = ResourceName::new(Kind::Endpoints, id.clone());
            requests.extend(self.subscriber.subscribe(&name, None));
        }
        for id in old.iter().flat_map(|destination| destination.backend_ids()) {
            requests.extend(self.release(id));
        }
        self.incomplete.remove(&dialled);
        if new.is_some() {
            self.incomplete.insert(dialled.clone());
            self.publish(&dialled);
        }
        requests
    }

    pub(super) fn publish(&mut self, dialled: &Dialled) {
        let Some(destination) = self.complete(dialled) else {
            return;
        };
        self.incomplete.remove(dialled);
        for worker in self.wanted.workers(dialled) {
            self.tell_destination(worker, dialled, &destination);
        }
    }

    fn tell_destination(&self, worker: usize, dialled: &Dialled, destination: &Arc<Destination>) {
        for id in destination.backend_ids() {
            if let Some(endpoints) = self.endpoints.get(id) {
                self.feed
                    .tell(worker, News::Endpoints(id.clone(), endpoints.clone()));
            }
        }
        let news = News::Destination(dialled.clone(), Some(destination.clone()));
        self.feed.tell(worker, news);
    }

    /// The destination as the workload sees it, if all its endpoints are known, and whose workload it is where that
    /// matters.
    fn complete(&self, dialled: &Dialled) -> Option<Arc<Destination>> {
        let destination = self.destinations.get(dialled)?;
        if destination.differs_by_caller() && self.inbound.is_none() {
            return None;
        }
        let known = destination
            .backend_ids()
            .all(|id| self.endpoints.contains_key(id));
        known.then(|| destination.seen_by(&self.caller()))
    }

    /// Who dials, and asks for names.
    pub(crate) fn caller(&self) -> CallerFacts<'_> {
        let labels = self.inbound.as_ref().map_or(&[][..], |inbound| &inbound.labels);
        CallerFacts {
            labels,
            ..CallerFacts::default()
        }
    }

    /// The workload's labels are known, or others: what depends on them is told anew.
    pub(super) fn relabelled(&mut self) {
        let destinations = self.destinations.iter();
        let differing = destinations.filter(|(_, destination)| destination.differs_by_caller());
        let differing: Vec<_> = differing.map(|(dialled, _)| dialled.clone()).collect();
        for dialled in differing {
            self.publish(&dialled);
        }
    }
}

fn destination_name(dialled: &Dialled) -> ResourceName {
    ResourceName::new(Kind::Destination, dialled.to_string())
}

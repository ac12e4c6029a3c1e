//! Destinations: who wants them, which endpoints they need, and when they are told.

use std::sync::Arc;

use wattle_model::{BackendId, Destination};
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
        for id in new.iter().flat_map(|destination| backend_ids(destination)) {
            *self.backend_uses.entry(id.clone()).or_default() += 1;
            let name = ResourceName::new(Kind::Endpoints, id.clone());
            requests.extend(self.subscriber.subscribe(&name, None));
        }
        for id in old.iter().flat_map(|destination| backend_ids(destination)) {
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
        for id in backend_ids(destination) {
            if let Some(endpoints) = self.endpoints.get(id) {
                self.feed
                    .tell(worker, News::Endpoints(id.clone(), endpoints.clone()));
            }
        }
        let news = News::Destination(dialled.clone(), Some(destination.clone()));
        self.feed.tell(worker, news);
    }

    /// The destination, if all its endpoints are known.
    fn complete(&self, dialled: &Dialled) -> Option<Arc<Destination>> {
        let destination = self.destinations.get(dialled)?;
        let known = backend_ids(destination).all(|id| self.endpoints.contains_key(id));
        known.then(|| destination.clone())
    }
}

/// Backends that have an Endpoints resource.
fn backend_ids(destination: &Destination) -> impl Iterator<Item = &BackendId> {
    destination
        .backends
        .iter()
        .filter(|backend| !backend.id.is_empty())
        .map(|backend| &backend.id)
}

fn destination_name(dialled: &Dialled) -> ResourceName {
    ResourceName::new(Kind::Destination, dialled.to_string())
}

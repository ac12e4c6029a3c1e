//! Streams of standard clients within the hub.

use std::collections::BTreeSet;
use std::time::Instant;

use wattle_compile::ResourceName as Compiled;
use wattle_envoy::Kind;

use super::Request;
use crate::hub::{Answer, Denied, Hub, StreamId};

impl Hub {
    /// Is it a client of standard xDS that said this? A delta stream is ours until its first request says otherwise.
    pub(in crate::hub) fn is_standard(&mut self, id: StreamId, request: &Request) -> bool {
        let Request::Delta(request) = request else {
            return true;
        };
        if let Some(stream) = self.streams.get(&id)
            && stream.guest.node.is_empty()
            && Kind::of_type_url(&request.type_url).is_some()
            && let Some(stream) = self.streams.remove(&id)
        {
            self.envoys.opened(id, stream.guest, true);
        }
        self.envoys.contains(id)
    }

    /// A client of standard xDS said something.
    pub(in crate::hub) fn take_standard(
        &mut self,
        id: StreamId,
        request: Request,
        now: Instant,
    ) -> Result<(), Denied> {
        let asks_for_more = self.envoys.hear(id, request, now, &self.metrics)?;
        if !self.ready {
            return Ok(());
        }
        if asks_for_more {
            self.show(id)?;
        }
        self.pump_standard(id, now);
        Ok(())
    }

    /// The sources have said what they hold: those who waited are answered.
    pub(in crate::hub) fn begin_standard(&mut self, now: Instant) {
        for id in self.envoys.ids() {
            match self.show(id) {
                Ok(()) => self.pump_standard(id, now),
                Err(denied) => self.refuse(id, denied),
            }
        }
    }

    /// Tells clients of standard xDS what has changed.
    pub(in crate::hub) fn flush_standard(&mut self, changed: &BTreeSet<Compiled>, now: Instant) {
        let (concerned, unread) = self.envoys.refresh(&mut self.mesh, changed);
        self.forget_unread(unread);
        for id in concerned {
            self.pump_standard(id, now);
        }
    }

    fn show(&mut self, id: StreamId) -> Result<(), Denied> {
        let unread = self.envoys.show(id, &mut self.mesh)?;
        self.forget_unread(unread);
        Ok(())
    }

    /// Drops results that no client of standard xDS reads, unless a proxy of ours wants them.
    pub(in crate::hub) fn forget_unread(&mut self, unread: Vec<Compiled>) {
        for name in unread {
            if !self.wanted.contains_key(&name) {
                self.mesh.forget(&name);
            }
        }
    }

    fn pump_standard(&mut self, id: StreamId, now: Instant) {
        while let Some(answer) = self.envoys.next(id, now) {
            let (carried, bytes) = match &answer {
                Answer::Delta(response) => {
                    let bodies = response.resources.iter().filter_map(|one| one.resource.as_ref());
                    let carried = response.resources.len() + response.removed_resources.len();
                    (carried, bodies.map(|body| body.value.len()).sum())
                }
                Answer::World(response) => {
                    let bodies = response.resources.iter();
                    (
                        response.resources.len(),
                        bodies.map(|body| body.value.len()).sum(),
                    )
                }
            };
            self.metrics.pushed(carried, bytes);
            self.outbox.push((id, Ok(answer)));
        }
    }
}

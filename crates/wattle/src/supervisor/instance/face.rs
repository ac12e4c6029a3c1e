//! What an instance shows of itself: its status on the board, its WorkloadEntry, its news.

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;

use crate::supervisor::entry;
use crate::supervisor::status::{Phase, Status};
use crate::supervisor::world::World;

use super::spec::Spec;

/// The outside of an instance.
pub(super) struct Face {
    pub(super) world: Rc<World>,
    pub(super) spec: Rc<Spec>,
    /// What others were last told: address and whether it is healthy.
    published: Cell<Option<(IpAddr, bool)>>,
}

impl Face {
    pub(super) fn new(world: &Rc<World>, spec: &Rc<Spec>) -> Self {
        Self {
            world: Rc::clone(world),
            spec: Rc::clone(spec),
            published: Cell::new(None),
        }
    }

    /// Changes the status.
    pub(super) fn change(&self, change: impl FnOnce(&mut Status)) {
        self.world.board.change(&self.spec.name, change);
    }

    /// Enters a phase.
    pub(super) fn phase(&self, phase: Phase, note: Option<&str>) {
        self.change(|status| {
            status.phase = phase;
            status.note = note.map(str::to_owned);
        });
    }

    /// Tells whoever watches the terminal.
    pub(super) fn say(&self, text: impl Into<String>) {
        self.world.screen.event(&self.spec.name.name, text);
    }

    /// Tells the mesh where it is and whether it is healthy.
    pub(super) fn publish(&self, address: IpAddr, healthy: bool) {
        if self.published.replace(Some((address, healthy))) == Some((address, healthy)) {
            return;
        }
        let entry = entry::entry(&self.spec.name, &self.spec.process, address, healthy);
        let published = entry::publish(&self.world.place.workloads(), &self.spec.name, &entry);
        if let Err(error) = published {
            tracing::error!(%error, instance = %self.spec.name, "the mesh could not be told of it");
        }
    }

    /// Tells the mesh that it is not healthy, if the mesh thinks otherwise; says whether it did.
    pub(super) fn publish_unhealthy(&self) -> bool {
        match self.published.get() {
            Some((address, true)) => {
                self.publish(address, false);
                true
            }
            _ => false,
        }
    }

    /// Tells the mesh that it is gone.
    pub(super) fn withdraw(&self) {
        self.published.set(None);
        if let Err(error) = entry::withdraw(&self.world.place.workloads(), &self.spec.name) {
            tracing::error!(%error, instance = %self.spec.name, "the mesh could not be told that it is gone");
        }
    }
}

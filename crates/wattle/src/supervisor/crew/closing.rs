//! The end of a mesh: those that depend on others first, all others after them.

use std::collections::BTreeSet;

use crate::supervisor::status::Name;

use super::sources::Sources;
use super::{Crew, Event};

impl Crew {
    /// Stops everything in order and waits until it is gone.
    pub(super) async fn close(&mut self, sources: &mut Sources) {
        self.world.closing.set(true);
        self.world.screen.news("stopping");
        while !self.slots.is_empty() {
            for name in self.next_to_go() {
                self.stop(&name);
            }
            if self.slots.is_empty() {
                return;
            }
            if let Event::Ended(name) = sources.next_of_closing().await {
                self.forget(&name);
            }
        }
    }

    /// Those on which nobody who is still there depends; all, if they depend on each other in a circle.
    fn next_to_go(&self) -> Vec<Name> {
        let depended: BTreeSet<Name> = self
            .slots
            .iter()
            .flat_map(|(name, slot)| {
                let names = slot.spec.process.spec.depends_on.iter();
                names.map(|process| Name::new(&name.namespace, process.as_str()))
            })
            .collect();
        let is_free = |name: &Name| {
            let slot = &self.slots[name];
            !depended.contains(&Name::new(&name.namespace, &*slot.spec.process.meta.name))
        };
        let free: Vec<Name> = self.slots.keys().filter(|name| is_free(name)).cloned().collect();
        if free.is_empty() {
            self.slots.keys().cloned().collect()
        } else {
            free
        }
    }
}

impl Sources {
    /// What still counts when the mesh ends: who has ended. A second signal is the outer process's to answer.
    async fn next_of_closing(&mut self) -> Event {
        match self.ended.recv().await {
            Some(name) => Event::Ended(name),
            None => Event::Changed,
        }
    }
}

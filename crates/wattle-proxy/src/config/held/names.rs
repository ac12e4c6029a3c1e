//! The names that the workload can resolve, where its queries come here.

use std::sync::Arc;

use wattle_model::Names;
use wattle_wire::{Kind, ResourceName};

use super::Held;

/// Whether names are wanted, and what is held of them.
#[derive(Default)]
pub(super) struct Resolvable {
    namespace: Option<Box<str>>,
    names: Option<Arc<Names>>,
}

impl Resolvable {
    /// Only the names of the own namespace are wanted, if any are.
    pub(super) fn wants(&self, namespace: &str) -> bool {
        self.namespace.as_deref() == Some(namespace)
    }

    pub(super) fn set(&mut self, names: Names) {
        self.names = Some(Arc::new(names));
    }
}

impl Held {
    /// Wants the names of the workload's namespace as well; to be said before anything is restored.
    pub(crate) fn want_names(&mut self, namespace: &str) {
        self.resolvable.namespace = Some(namespace.into());
        self.subscriber
            .subscribe(&ResourceName::new(Kind::Names, namespace), None);
    }

    /// The names, once known, and whose they are where that matters.
    pub(crate) fn names(&self) -> Option<&Arc<Names>> {
        let names = self.resolvable.names.as_ref()?;
        (self.inbound.is_some() || !names.differs_by_caller()).then_some(names)
    }

    /// Whether everything is known without which the workload must not start: its own inbound side, and its names if
    /// they are wanted, since one that is not known would be denied.
    pub(crate) fn is_complete(&self) -> bool {
        let resolvable = &self.resolvable;
        self.inbound.is_some() && (resolvable.namespace.is_none() || resolvable.names.is_some())
    }
}

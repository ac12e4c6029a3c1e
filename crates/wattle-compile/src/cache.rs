//! Results of queries with what each of them read.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use wattle_model::{Destination, Endpoints, Inbound, Names, Workload};

use crate::Read;

/// The name of a compiled resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResourceName {
    /// A destination, as seen from a namespace.
    Destination {
        /// `ip:port` or `host:port`.
        name: Arc<str>,
        /// Namespace of the caller.
        from: Arc<str>,
    },
    /// Endpoints of a backend.
    Endpoints(Arc<str>),
    /// The inbound side of the workload `namespace/instance`.
    Inbound(Arc<str>),
    /// The workload at an address.
    Peer(IpAddr),
    /// The names that workloads of a namespace can resolve.
    Names(Arc<str>),
}

/// A compiled resource; `None` when there is no such thing.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Compiled {
    Destination(Option<Arc<Destination>>),
    Endpoints(Option<Arc<Endpoints>>),
    Inbound(Option<Arc<Inbound>>),
    Peer(Option<Arc<Workload>>),
    Names(Arc<Names>),
}

#[derive(Default)]
pub(crate) struct Cache {
    results: HashMap<ResourceName, (Compiled, BTreeSet<Read>)>,
    readers: HashMap<Read, BTreeSet<ResourceName>>,
}

impl Cache {
    pub(crate) fn find(&self, name: &ResourceName) -> Option<&Compiled> {
        self.results.get(name).map(|(compiled, _)| compiled)
    }

    pub(crate) fn keep(&mut self, name: &ResourceName, compiled: Compiled, reads: BTreeSet<Read>) {
        for read in &reads {
            self.readers.entry(read.clone()).or_default().insert(name.clone());
        }
        self.results.insert(name.clone(), (compiled, reads));
    }

    pub(crate) fn forget(&mut self, name: &ResourceName) {
        let Some((_, reads)) = self.results.remove(name) else {
            return;
        };
        for read in reads {
            if let Some(readers) = self.readers.get_mut(&read) {
                readers.remove(name);
                if readers.is_empty() {
                    self.readers.remove(&read);
                }
            }
        }
    }

    /// Drops the results that read any of `touched`, and names them.
    pub(crate) fn invalidate(&mut self, touched: &BTreeSet<Read>) -> BTreeSet<ResourceName> {
        let readers = touched.iter().filter_map(|read| self.readers.get(read));
        let names: BTreeSet<_> = readers.flatten().cloned().collect();
        for name in &names {
            self.forget(name);
        }
        names
    }

    pub(crate) fn len(&self) -> usize {
        self.results.len()
    }
}

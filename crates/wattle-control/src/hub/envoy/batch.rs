//! What a response carries: chosen from the newest state and from what the client was told.

use std::sync::Arc;

use prost::Message;
use wattle_envoy::{Kind, Resource, Resources};

use super::session::{Protocol, Subscription};

/// Most resources in one response that need not be complete.
const MAX_BATCH: usize = 500;
/// Bytes after which such a response is closed.
const MAX_BATCH_BYTES: usize = 1024 * 1024;

/// Names with the version that was carried; `None` is "there is no such thing".
pub(super) type Carried = Vec<(Arc<str>, Option<Arc<str>>)>;

/// A response, before it is put into the words of its protocol.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) kind: Kind,
    pub(super) nonce: String,
    pub(super) set: Vec<(Arc<str>, Resource)>,
    pub(super) removed: Vec<Arc<str>>,
    /// Names among `set` that are new to the client or different.
    fresh: Vec<Arc<str>>,
}

/// What a client was last told of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// `None` is "there is no such thing".
    version: Option<Arc<str>>,
    /// To be repeated where a response must be complete; absent for what it holds from an earlier stream.
    resource: Option<Resource>,
}

impl Told {
    pub(super) fn held(version: &str) -> Self {
        Self {
            version: Some(version.into()),
            resource: None,
        }
    }

    pub(super) fn sent(resource: &Resource) -> Self {
        Self {
            version: Some(resource.version.clone()),
            resource: Some(resource.clone()),
        }
    }

    pub(super) fn absent() -> Self {
        Self {
            version: None,
            resource: None,
        }
    }
}

/// A cluster, as far as it says where its endpoints come from (`envoy.config.cluster.v3.Cluster`, reduced).
#[derive(Clone, PartialEq, Message)]
struct ClusterSource {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "3")]
    eds: Option<EdsSource>,
}

/// `Cluster.EdsClusterConfig`, reduced.
#[derive(Clone, PartialEq, Message)]
struct EdsSource {
    #[prost(string, tag = "2")]
    service_name: String,
}

impl Batch {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            nonce: String::new(),
            set: Vec::new(),
            removed: Vec::new(),
            fresh: Vec::new(),
        }
    }

    /// Names of the endpoints of clusters that this response makes or makes anew.
    pub(super) fn awaited_endpoints(&self) -> Vec<Arc<str>> {
        if self.kind != Kind::Cluster {
            return Vec::new();
        }
        let fresh = self.set.iter().filter(|(name, _)| self.fresh.contains(name));
        fresh
            .filter_map(|(_, resource)| {
                let cluster = ClusterSource::decode(resource.body.clone()).ok()?;
                let named = cluster.eds?.service_name;
                Some(if named.is_empty() { cluster.name } else { named }.into())
            })
            .collect()
    }
}

impl Subscription {
    /// What is new or different, and for kinds that nothing else refers to by then also what is gone.
    pub(super) fn additions(&self, kind: Kind, protocol: Protocol, newest: &Resources) -> Option<Batch> {
        let mut batch = Batch::new(kind);
        let fresh = |name: &Arc<str>, resource: &Resource| {
            let told = self.told.get(name);
            self.again.contains(name)
                || told.is_none_or(|told| told.version.as_ref() != Some(&resource.version))
        };
        let mut bytes = 0;
        for (name, resource) in self.visible(kind, newest) {
            if !fresh(name, resource) {
                continue;
            }
            batch.fresh.push(name.clone());
            batch.set.push((name.clone(), resource.clone()));
            bytes += resource.body.len();
            let full = batch.set.len() >= MAX_BATCH || bytes >= MAX_BATCH_BYTES;
            if full && !is_complete(kind, protocol) {
                break;
            }
        }
        if matches!(kind, Kind::Listener | Kind::Route) {
            batch.removed = self.gone(kind, newest);
        }
        let missing = self.names.iter().filter(|name| !self.told.contains_key(*name));
        let there = newest.resources.get(&kind);
        batch.removed.extend(
            missing
                .filter(|name| !there.is_some_and(|there| there.contains_key(*name)))
                .cloned(),
        );
        self.close(batch, protocol, newest, true)
    }

    /// What is gone, of kinds that others referred to.
    pub(super) fn removals(&self, kind: Kind, protocol: Protocol, newest: &Resources) -> Option<Batch> {
        let mut batch = Batch::new(kind);
        batch.removed = self.gone(kind, newest);
        self.close(batch, protocol, newest, false)
    }

    /// What the client holds and what is not there any more.
    fn gone(&self, kind: Kind, newest: &Resources) -> Vec<Arc<str>> {
        let there = newest.resources.get(&kind);
        let held = self.told.iter().filter(|(_, told)| told.version.is_some());
        held.map(|(name, _)| name)
            .filter(|name| !there.is_some_and(|there| there.contains_key(*name)))
            .cloned()
            .collect()
    }

    /// Completes a response where it must be complete; nothing when it would say nothing.
    fn close(
        &self,
        mut batch: Batch,
        protocol: Protocol,
        newest: &Resources,
        keeping: bool,
    ) -> Option<Batch> {
        let kind = batch.kind;
        if batch.set.is_empty() && batch.removed.is_empty() && !(self.owed && keeping) {
            return None;
        }
        if is_complete(kind, protocol) {
            let newest_all = self.visible(kind, newest);
            batch.set = newest_all
                .map(|(name, resource)| (name.clone(), resource.clone()))
                .collect();
            if keeping && kind == Kind::Cluster {
                let gone = self.gone(kind, newest).into_iter();
                batch.set.extend(
                    gone.filter_map(|name| Some((name.clone(), self.told.get(&name)?.resource.clone()?))),
                );
            }
        }
        Some(batch)
    }
}

/// Is whoever is missing in a response of this kind gone?
fn is_complete(kind: Kind, protocol: Protocol) -> bool {
    protocol == Protocol::World && matches!(kind, Kind::Cluster | Kind::Listener)
}

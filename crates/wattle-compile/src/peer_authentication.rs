//! Which mutual TLS mode holds on the ports of a workload: Istio's PeerAuthentication.

use std::collections::BTreeMap;
use std::sync::Arc;

use wattle_api::{Kind, MtlsMode as Written, PeerAuthentication, Resource};
use wattle_model::{MtlsMode, ObjectRef};

use crate::Instance;
use crate::route::{object_ref, unread};
use crate::view::View;

type Policy = Arc<Resource<PeerAuthentication>>;

/// The modes of one workload.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Effective {
    pub(crate) mode: MtlsMode,
    pub(crate) origin: Option<ObjectRef>,
    pub(crate) ports: BTreeMap<u16, (MtlsMode, ObjectRef)>,
}

impl Effective {
    /// The mode of a port, and the object that set it.
    pub(crate) fn on(&self, port: u16) -> (MtlsMode, Option<&ObjectRef>) {
        match self.ports.get(&port) {
            Some((mode, origin)) => (*mode, Some(origin)),
            None => (self.mode, self.origin.as_ref()),
        }
    }

    fn narrow(&mut self, policy: Option<&Policy>) {
        let Some(policy) = policy else { return };
        if let Some(mode) = mode(policy.spec.mtls.mode) {
            self.mode = mode;
            self.origin = Some(object_ref(&policy.meta, Kind::PeerAuthentication, &policy.origin));
        }
    }
}

/// The modes of a workload: of the mesh, then of its namespace, then its own, then by port; UNSET leaves the wider one.
pub(crate) fn effective(instance: &Instance, view: &View<'_>) -> Effective {
    let root = &view.settings.root_namespace;
    let namespace = &instance.key.namespace;
    let mut effective = Effective::default();
    effective.narrow(oldest(
        view.peer_authentications(root)
            .filter(|policy| policy.spec.selector.is_none()),
    ));
    effective.narrow(oldest(
        view.peer_authentications(namespace)
            .filter(|policy| policy.spec.selector.is_none()),
    ));
    for unreadable in [root, namespace]
        .into_iter()
        .filter_map(|namespace| view.unreadable_peer(namespace))
    {
        effective.mode = MtlsMode::Strict;
        effective.origin = Some(unread(unreadable));
    }
    let own = oldest(view.peer_authentications(namespace).filter(|policy| {
        policy
            .spec
            .selector
            .as_ref()
            .is_some_and(|selector| selector.selects(&instance.labels))
    }));
    effective.narrow(own);
    for (port, mtls) in own.iter().flat_map(|policy| &policy.spec.port_level_mtls) {
        if let (Some(mode), Some(policy)) = (mode(mtls.mode), own) {
            let origin = object_ref(&policy.meta, Kind::PeerAuthentication, &policy.origin);
            effective.ports.insert(port.number(), (mode, origin));
        }
    }
    effective
}

/// The one that wins where several compete: the oldest, then the first by name.
pub(crate) fn oldest<'a>(policies: impl Iterator<Item = &'a Policy>) -> Option<&'a Policy> {
    policies.min_by(|a, b| age(a).cmp(&age(b)))
}

fn age(policy: &Policy) -> (bool, Option<i128>, &str) {
    let created = policy.meta.creation_timestamp.map(|at| at.as_nanosecond());
    (created.is_none(), created, &policy.meta.name)
}

fn mode(written: Written) -> Option<MtlsMode> {
    match written {
        Written::Unset => None,
        Written::Disable => Some(MtlsMode::Disable),
        Written::Permissive => Some(MtlsMode::Permissive),
        Written::Strict => Some(MtlsMode::Strict),
    }
}

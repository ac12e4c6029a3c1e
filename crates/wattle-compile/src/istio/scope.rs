//! Sidecars: what callers of a namespace know of, and what happens to the rest.

use std::sync::Arc;

use wattle_api::istio::{EgressHost, EgressNamespace, Host, OutboundMode, Sidecar};
use wattle_api::{Kind, Resource};
use wattle_model::{Access, CallerScope, Reason};

use super::http::caller_labels;
use super::routes;
use crate::Name;
use crate::external::mesh_config;
use crate::route::object_ref;
use crate::view::{View, selects};

/// What is dialled.
#[derive(Clone, Copy)]
pub(crate) enum Dialled<'a> {
    /// A port of a service in a namespace.
    Service {
        namespace: &'a str,
        host: &'a str,
        port: u16,
    },
    /// An address that nothing names.
    Unknown,
}

/// What the destination is to callers in `from`: those that a Sidecar selects by their labels first, the oldest such one
/// before the others; then the namespace's own Sidecar without a selector, else the root namespace's.
pub(crate) fn scopes(dialled: Dialled<'_>, from: &Arc<str>, view: &View<'_>) -> Vec<CallerScope> {
    let own = sorted(view.sidecars_in(from));
    let (selecting, whole): (Vec<_>, Vec<_>) =
        own.into_iter().partition(|sidecar| selector(sidecar).is_some());
    let root = &view.settings.root_namespace;
    let everywhere = whole.into_iter().next().or_else(|| {
        let there = if from == root {
            Vec::new()
        } else {
            sorted(view.sidecars_in(root))
        };
        there.into_iter().find(|sidecar| selector(sidecar).is_none())
    });
    let is_everybodys = everywhere.is_none() && matches!(dialled, Dialled::Unknown);
    let config = mesh_config(view);
    let mode = config.and_then(|(_, config)| config.outbound_traffic_policy.as_ref());
    let mode = mode.map_or(OutboundMode::AllowAny, |policy| policy.mode);
    let mut scopes: Vec<_> = selecting
        .into_iter()
        .chain(everywhere)
        .map(|sidecar| CallerScope {
            labels: selector(sidecar).map(caller_labels).unwrap_or_default(),
            origin: object_ref(&sidecar.meta, Kind::Sidecar, &sidecar.origin),
            access: access(sidecar, dialled, (from, mode)),
        })
        .collect();
    if let (true, OutboundMode::RegistryOnly, Some((map, _))) = (is_everybodys, mode, config) {
        scopes.push(CallerScope {
            labels: Vec::new(),
            origin: object_ref(&map.meta, Kind::ConfigMap, &map.origin),
            access: rest(mode),
        });
    }
    // What is open to all that are left needs no scope.
    while scopes.last().is_some_and(|scope| scope.access == Access::Full) {
        scopes.pop();
    }
    scopes
}

/// The same for a workload's own address: what a Sidecar lets through is known all the same, and called with mutual TLS.
pub(crate) fn known(dialled: Dialled<'_>, from: &Arc<str>, view: &View<'_>) -> Vec<CallerScope> {
    let mut scopes = scopes(dialled, from, view);
    for scope in &mut scopes {
        if scope.access == Access::PassThrough {
            scope.access = Access::Full;
        }
    }
    scopes
}

fn sorted(mut found: Vec<&Arc<Resource<Sidecar>>>) -> Vec<&Arc<Resource<Sidecar>>> {
    found.sort_by_key(|sidecar| routes::age(&sidecar.meta));
    found
}

fn selector(sidecar: &Resource<Sidecar>) -> Option<&wattle_api::Labels> {
    let labels = sidecar
        .spec
        .workload_selector
        .as_ref()
        .map(|selector| &selector.labels)?;
    (!labels.is_empty()).then_some(labels)
}

fn access(
    sidecar: &Resource<Sidecar>,
    dialled: Dialled<'_>,
    (from, default): (&str, OutboundMode),
) -> Access {
    let own = sidecar.spec.outbound_traffic_policy.as_ref();
    let mode = own.map_or(default, |policy| policy.mode);
    let Dialled::Service {
        namespace,
        host,
        port,
    } = dialled
    else {
        return rest(mode);
    };
    let listeners = &sidecar.spec.egress;
    if listeners.is_empty() {
        return Access::Full;
    }
    // A listener of this port counts alone; one without a port is for all the others.
    let own = listeners
        .iter()
        .find(|one| one.port.as_ref().is_some_and(|own| own.number.number() == port));
    let listener = own.or_else(|| listeners.iter().find(|one| one.port.is_none()));
    let named = |excluded: bool| {
        let hosts = listener.into_iter().flat_map(|listener| &listener.hosts);
        hosts
            .filter(move |one| one.excluded == excluded)
            .any(|one| names(one, from, namespace, host))
    };
    if named(false) && !named(true) {
        Access::Full
    } else {
        rest(mode)
    }
}

/// What happens to the destinations that it does not know.
fn rest(mode: OutboundMode) -> Access {
    match mode {
        OutboundMode::RegistryOnly => Access::Refused(Reason::UnknownDestination),
        OutboundMode::AllowAny => Access::PassThrough,
    }
}

/// Does an entry name this service?
pub(crate) fn names(entry: &EgressHost, own: &str, namespace: &str, host: &str) -> bool {
    let there = match &entry.namespace {
        EgressNamespace::Any => true,
        EgressNamespace::Own => namespace == own,
        EgressNamespace::Nowhere => false,
        EgressNamespace::Named(name) => namespace == name,
    };
    there && (entry.host == Host::Any || entry.host.covers(&Host::Name(host.to_owned())))
}

/// Whom a Sidecar is for.
pub(crate) enum InForce<'a> {
    /// Some workload, or its namespace.
    Here,
    /// No workload has the labels of its selector.
    Nowhere,
    /// Where it is meant to be, this one is instead.
    Instead(&'a Arc<Resource<Sidecar>>),
}

/// Whether a Sidecar is in force for all workloads that it is written for.
pub(crate) fn in_force<'a>(sidecar: &Resource<Sidecar>, view: &View<'a>) -> InForce<'a> {
    let namespace = &sidecar.meta.namespace;
    let rival = |found: Option<&'a Arc<Resource<Sidecar>>>| match found {
        Some(found) if found.meta.name != sidecar.meta.name => InForce::Instead(found),
        _ => InForce::Here,
    };
    let Some(wanted) = selector(sidecar) else {
        let mut own = sorted(view.sidecars_in(namespace)).into_iter();
        return rival(own.find(|other| selector(other).is_none()));
    };
    let mut selected = view
        .workloads_in(namespace)
        .filter(|instance| selects(wanted, &instance.labels));
    let Some(first) = selected.next() else {
        return InForce::Nowhere;
    };
    std::iter::once(first)
        .chain(selected)
        .map(|instance| {
            rival(of_workload(
                &(namespace.clone(), "".into()),
                &instance.labels,
                view,
            ))
        })
        .find(|found| matches!(found, InForce::Instead(_)))
        .unwrap_or(InForce::Here)
}

/// The Sidecar of a workload: one that selects it, else its namespace's, else the root namespace's.
pub(crate) fn of_workload<'a>(
    name: &Name,
    labels: &wattle_api::Labels,
    view: &View<'a>,
) -> Option<&'a Arc<Resource<Sidecar>>> {
    let own = sorted(view.sidecars_in(&name.0));
    let selecting = own
        .iter()
        .find(|sidecar| selector(sidecar).is_some_and(|wanted| selects(wanted, labels)));
    let whole = || own.iter().find(|sidecar| selector(sidecar).is_none());
    let found = selecting.or_else(whole).copied();
    found.or_else(|| {
        sorted(view.sidecars_in(&view.settings.root_namespace))
            .into_iter()
            .find(|sidecar| selector(sidecar).is_none())
    })
}

//! Whose a host is, and who else has a say in it.

use std::sync::Arc;

use wattle_api::Resource;
use wattle_api::istio::ServiceEntry;

use super::frontend::is_visible;
use crate::view::View;

/// How near what a namespace says of a host is to callers; the nearest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Nearness {
    /// The callers' own namespace.
    Own,
    Root,
    Other,
}

pub(crate) fn nearness(namespace: &str, from: &str, view: &View<'_>) -> Nearness {
    if namespace == from {
        Nearness::Own
    } else if namespace == &*view.settings.root_namespace {
        Nearness::Root
    } else {
        Nearness::Other
    }
}

/// Of the ServiceEntries of a host those that count for callers in `from`: of what they may see, the nearest.
pub(crate) fn counting<'a>(
    entries: Vec<&'a Arc<Resource<ServiceEntry>>>,
    from: &str,
    view: &View<'_>,
) -> impl Iterator<Item = &'a Arc<Resource<ServiceEntry>>> {
    let near = |entry: &Resource<ServiceEntry>| nearness(&entry.meta.namespace, from, view);
    let visible = entries.into_iter().filter(|entry| is_visible(entry, from));
    let visible: Vec<_> = visible.map(|entry| (near(entry), entry)).collect();
    let nearest = visible.iter().map(|(near, _)| *near).min();
    let counting = visible
        .into_iter()
        .filter(move |(near, _)| Some(*near) == nearest);
    counting.map(|(_, entry)| entry)
}

/// Is there no nearer ServiceEntry of the same host for callers in `from`?
pub(crate) fn counts(entry: &Resource<ServiceEntry>, host: &Arc<str>, from: &str, view: &View<'_>) -> bool {
    let own = nearness(&entry.meta.namespace, from, view);
    let mut counting = counting(view.entries_of(host), from, view);
    counting.all(|other| nearness(&other.meta.namespace, from, view) >= own)
}

/// Does a VirtualService of namespace `author` route callers in `from` to a host of namespace `owner`?
///
/// As with producer and consumer routes of the Gateway API, callers elsewhere are for the owner to route; the root
/// namespace may, and anybody whom the owner lets by asking for Istio's defaults.
pub(crate) fn may_route(author: &str, owner: &Arc<str>, from: &str, view: &View<'_>) -> bool {
    speaks_for(author, owner, from, view) || view.has_istio_defaults(owner)
}

/// Is what `author` says of a host of namespace `owner` to be heeded by callers in `from`?
pub(crate) fn speaks_for(author: &str, owner: &str, from: &str, view: &View<'_>) -> bool {
    author == owner || nearness(author, from, view) < Nearness::Other
}

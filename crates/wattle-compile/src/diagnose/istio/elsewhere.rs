//! What is written for callers elsewhere who do not follow it, because the host is somebody else's.

use std::sync::Arc;

use wattle_api::Resource;
use wattle_api::istio::{ExportTo, Host, ServiceEntry, VirtualService, Visibility};

use super::super::Findings;
use crate::istio::{frontend, owner};
use crate::store::ISTIO_DEFAULTS;
use crate::view::View;

/// Stands for callers in a namespace that nothing names.
const ANYWHERE: &str = "";

/// Namespaces that stand for all but `own` whose callers something is exported to.
fn callers(export: &ExportTo, own: &str) -> Vec<Arc<str>> {
    let mut callers = Vec::new();
    if export.reaches(own, ANYWHERE).unwrap_or(true) {
        callers.push(ANYWHERE.into());
    }
    callers.extend(export.entries().iter().filter_map(|entry| match entry {
        Visibility::Namespace(name) if name != own => Some(Arc::from(name.as_str())),
        _ => None,
    }));
    callers
}

/// The same for a host that not everybody sees: then those who do stand for all.
fn callers_of(found: &Resource<VirtualService>, host: &Arc<str>, view: &View<'_>) -> Vec<Arc<str>> {
    let author = &found.meta.namespace;
    let mut all = callers(&found.spec.export_to, author);
    if all.iter().any(|from| &**from == ANYWHERE) && frontend::find(host, ANYWHERE, view).is_none() {
        for entry in view.entries_of(host) {
            let home = &entry.meta.namespace;
            all.push(Arc::clone(home));
            all.extend(callers(&entry.spec.export_to, home));
        }
        all.retain(|from| from != author);
    }
    all
}

/// The namespace of a host, if callers elsewhere follow it and not a VirtualService that is exported to them.
fn owner_of(found: &Resource<VirtualService>, host: &Arc<str>, view: &View<'_>) -> Option<Arc<str>> {
    let callers = callers_of(found, host, view).into_iter();
    let mut owners = callers.filter_map(|from| {
        let owner = frontend::find(host, &from, view)?.name.0;
        (!owner::may_route(&found.meta.namespace, &owner, &from, view)).then_some(owner)
    });
    owners.next()
}

/// Warns of a host, or of hosts below a pattern, that are for another namespace to route.
pub(super) fn routed(
    found: &Resource<VirtualService>,
    (written, pattern): (&Host, &Arc<str>),
    field: &str,
    view: &View<'_>,
    findings: &mut Findings<'_>,
) {
    let author = &found.meta.namespace;
    let whose = |host: Arc<str>| Some((owner_of(found, &host, view)?, host));
    let first = if written.is_pattern() {
        let covered = view.known_hosts().into_iter().map(|(_, host)| host);
        let mut covered = covered.filter(|host| written.covers(&Host::Name(host.to_string())));
        covered.find_map(whose)
    } else {
        whose(Arc::clone(pattern))
    };
    let Some((owner, host)) = first else { return };
    let reason = format!(
        "{host} is of namespace {owner}: callers in other namespaces than {author} do not follow this VirtualService there, \
         though it is exported to them"
    );
    let hint = format!(
        "write it in namespace {owner}, limit exportTo to '.', or let namespace {owner} allow it by the label \
         {ISTIO_DEFAULTS}: enabled"
    );
    findings.warn("foreign-host", field, reason, &hint);
}

/// Warns of a host that callers elsewhere know from a ServiceEntry of another namespace.
pub(super) fn declared(
    entry: &Resource<ServiceEntry>,
    host: &Arc<str>,
    field: &str,
    view: &View<'_>,
    findings: &mut Findings<'_>,
) {
    let own = &entry.meta.namespace;
    let mut others = callers(&entry.spec.export_to, own)
        .into_iter()
        .filter_map(|from| {
            let first = owner::counting(view.entries_of(host), &from, view).next()?;
            (first.meta.namespace != *own).then_some((from, first))
        });
    let Some((from, first)) = others.next() else {
        return;
    };
    let whose = match &*from {
        ANYWHERE => "callers in other namespaces".to_owned(),
        named => format!("callers in {named}"),
    };
    let reason = format!(
        "ServiceEntry {}/{} is for the same host, and counts for {whose}",
        first.meta.namespace, first.meta.name
    );
    let hint = "limit exportTo to '.', or write the host in one namespace";
    findings.warn("conflicting-hosts", field, reason, hint);
}

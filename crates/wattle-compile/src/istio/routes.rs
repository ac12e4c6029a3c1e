//! Which VirtualService applies to a host for callers of a namespace.

use std::sync::Arc;

use wattle_api::istio::{GatewayRef, VirtualService};
use wattle_api::{Kind, Meta, Resource};
use wattle_model::ObjectRef;

use super::frontend::Frontend;
use super::{host, owner};
use crate::route::object_ref;
use crate::view::View;

/// The VirtualService for a host: of the narrowest pattern, the oldest that is exported to `from` and may route it there.
///
/// Istio leaves open which of several counts for the mesh; `diagnose` reports the others.
pub(crate) fn of_host<'a>(
    frontend: &Frontend<'_>,
    from: &str,
    view: &View<'a>,
) -> Option<&'a Arc<Resource<VirtualService>>> {
    let may_route = |found: &Resource<VirtualService>| {
        owner::may_route(&found.meta.namespace, &frontend.name.0, from, view)
    };
    host::covering(&frontend.host).find_map(|pattern| {
        let there = view.virtual_services_of(&pattern);
        let applying = there
            .into_iter()
            .filter(|found| applies(found, from) && may_route(found));
        applying.min_by_key(|found| age(&found.meta))
    })
}

/// Is it for proxies beside workloads of `from`?
pub(crate) fn applies(found: &Resource<VirtualService>, from: &str) -> bool {
    let spec = &found.spec;
    spec.is_for_mesh()
        && spec
            .export_to
            .reaches(&found.meta.namespace, from)
            .unwrap_or(true)
}

/// Does a match or rule with these gateways apply in the mesh?
pub(crate) fn in_mesh(gateways: &[GatewayRef]) -> bool {
    gateways.is_empty() || gateways.contains(&GatewayRef::Mesh)
}

/// The older first; one without a timestamp counts as the youngest.
pub(crate) fn age(meta: &Meta) -> (bool, Option<i128>, Arc<str>, Arc<str>) {
    let created = meta.creation_timestamp.map(|at| at.as_nanosecond());
    (
        created.is_none(),
        created,
        Arc::clone(&meta.namespace),
        Arc::clone(&meta.name),
    )
}

/// Where it was written, for traces.
pub(crate) fn origin(found: &Resource<VirtualService>) -> ObjectRef {
    object_ref(&found.meta, Kind::VirtualService, &found.origin)
}

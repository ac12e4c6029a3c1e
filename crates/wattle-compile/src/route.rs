//! HTTPRoutes that a caller of a Service sees, as one table in order of precedence (GAMMA, GEP-1426).

use std::sync::Arc;
use std::time::Duration;

use wattle_api::{BackendRef, HttpRoute, HttpRule, ParentRef, Resource};
use wattle_model::{Action, ObjectRef, RouteRule, RouteTable, RuleRef, Timeouts, WeightedBackend};

use crate::backend::{self, Backends};
use crate::precedence::Rank;
use crate::view::View;
use crate::{Name, filter, matches};

/// The table of a Service port for callers in namespace `from`.
///
/// Routes of the caller's own namespace (consumer routes) replace those of the Service's (producer routes); routes
/// elsewhere are none of its business.
pub(crate) fn table(
    parent: &Name,
    port: &wattle_api::ServicePort,
    from: &Arc<str>,
    backends: &mut Backends,
    view: &View<'_>,
) -> RouteTable {
    let routes = view.routes_of(parent);
    let of = |namespace: &Arc<str>| {
        let there = routes
            .iter()
            .copied()
            .filter(|route| route.meta.namespace == *namespace);
        there
            .filter(|route| attaches(route, parent, port))
            .collect::<Vec<_>>()
    };
    let consumer = if *from == parent.0 { Vec::new() } else { of(from) };
    let chosen = if consumer.is_empty() {
        of(&parent.0)
    } else {
        consumer
    };
    let mut ranked: Vec<(Rank, RouteRule)> = chosen
        .into_iter()
        .flat_map(|route| rules(route, parent, from, backends, view))
        .collect();
    ranked.sort_by(|(a, _), (b, _)| a.cmp(b));
    RouteTable::new(ranked.into_iter().map(|(_, rule)| rule).collect())
}

/// True when one of the route's parents is this port of this Service.
fn attaches(route: &Resource<HttpRoute>, parent: &Name, port: &wattle_api::ServicePort) -> bool {
    route
        .spec
        .parent_refs
        .iter()
        .any(|written| is_parent(written, route, parent) && has_port(written, port))
}

/// True when `written` is the Service `parent`.
pub(crate) fn is_parent(written: &ParentRef, route: &Resource<HttpRoute>, parent: &Name) -> bool {
    let namespace = written.namespace.as_deref().unwrap_or(&route.meta.namespace);
    written.is_service() && *namespace == *parent.0 && *written.name == *parent.1
}

/// True when `written` is for this port, by number, by name, or because it names none.
pub(crate) fn has_port(written: &ParentRef, port: &wattle_api::ServicePort) -> bool {
    written.port.is_none_or(|number| number == port.port)
        && written
            .section_name
            .as_ref()
            .is_none_or(|name| port.name.as_ref() == Some(name))
}

fn rules(
    route: &Resource<HttpRoute>,
    parent: &Name,
    from: &Arc<str>,
    backends: &mut Backends,
    view: &View<'_>,
) -> Vec<(Rank, RouteRule)> {
    let mut compiled = Vec::new();
    let object = object_ref(&route.meta, wattle_api::Kind::HttpRoute, &route.origin);
    for (index, rule) in route.spec.rules.iter().enumerate() {
        let effect = filter::effect(&rule.filters);
        let action = match effect.redirect {
            _ if effect.unsupported => Action::Forward(Vec::new()),
            Some(redirect) => Action::Redirect(redirect),
            None => Action::Forward(forward(rule, (route, parent), from, backends, view)),
        };
        let (filters, action) = (Arc::new(effect.filters), Arc::new(action));
        for (position, matched) in rule.matches.iter().enumerate() {
            let Some(predicate) = matches::request(matched) else {
                continue;
            };
            let origin = RuleRef {
                object: object.clone(),
                rule: u32::try_from(index).unwrap_or(u32::MAX),
                matched: u32::try_from(position).unwrap_or(u32::MAX),
                name: rule.name.as_deref().unwrap_or("").into(),
            };
            let compiled_rule = RouteRule {
                origin,
                matches: predicate,
                filters: Arc::clone(&filters),
                action: Arc::clone(&action),
                timeouts: timeouts(&rule.timeouts),
                retry: None,
                session: None,
            };
            compiled.push((Rank::new(route, index, position, matched), compiled_rule));
        }
    }
    compiled
}

fn forward(
    rule: &HttpRule,
    (route, parent): (&Resource<HttpRoute>, &Name),
    from: &Arc<str>,
    backends: &mut Backends,
    view: &View<'_>,
) -> Vec<WeightedBackend> {
    let mut weighted = |written: &BackendRef| {
        let effect = filter::effect(&written.filters);
        let usable = !effect.unsupported && effect.redirect.is_none();
        let found = backend::resolve(written, route, parent, view)
            .ok()
            .filter(|_| usable);
        WeightedBackend {
            backend: found.map(|(name, port)| backends.index(&name, port, from, view)),
            written: backend::as_written(written),
            weight: written.weight,
            filters: (!effect.filters.is_empty()).then(|| Arc::new(effect.filters)),
        }
    };
    rule.backend_refs.iter().map(&mut weighted).collect()
}

fn timeouts(written: &wattle_api::Timeouts) -> Timeouts {
    let limit = |limit: Option<Duration>| limit.filter(|limit| !limit.is_zero());
    Timeouts {
        request: limit(written.request),
        backend_request: limit(written.backend_request),
        ..Timeouts::default()
    }
}

/// An object that cannot be read, for traces.
pub(crate) fn unread(key: &wattle_api::ObjectKey) -> ObjectRef {
    ObjectRef {
        kind: key.kind.unique_name().into(),
        namespace: Arc::clone(&key.namespace),
        name: Arc::clone(&key.name),
        file: "".into(),
        line: 0,
    }
}

/// Where an object was written, for traces.
pub(crate) fn object_ref(
    meta: &wattle_api::Meta,
    kind: wattle_api::Kind,
    origin: &wattle_api::Origin,
) -> ObjectRef {
    ObjectRef {
        kind: kind.unique_name().into(),
        namespace: Arc::clone(&meta.namespace),
        name: Arc::clone(&meta.name),
        file: Arc::clone(&origin.file),
        line: origin.at.line,
    }
}

//! HTTP rules of a VirtualService, as one table in the order written.

mod action;
mod changes;
mod matches;
mod retries;

pub(crate) use action::{backend, said};
pub(crate) use matches::{asks_for_claims, labels as caller_labels};
pub(crate) use retries::{istio_default, repeats_acted_on, without_counterpart};

use std::sync::Arc;

use wattle_api::Resource;
use wattle_api::istio::{HttpAction, HttpMatch, HttpRule, VirtualService};
use wattle_model::{ObjectRef, RouteRule, RouteTable, RuleRef};

use super::routes;
use crate::backend::Backends;
use crate::view::View;

/// For whom and for what a table is.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a, 'v> {
    /// Namespace of the callers.
    pub(crate) from: &'a Arc<str>,
    /// Port that was dialled.
    pub(crate) port: u16,
    /// Namespace of the VirtualService, in which short names are meant.
    pub(crate) namespace: &'a Arc<str>,
    pub(crate) view: &'a View<'v>,
}

/// Deepest chain of delegates; Istio allows one.
const DELEGATES: usize = 1;

/// The table of a VirtualService for callers that dial a port.
pub(crate) fn table(
    found: &Resource<VirtualService>,
    scene: Scene<'_, '_>,
    backends: &mut Backends,
) -> RouteTable {
    let origin = routes::origin(found);
    let mut rules = Vec::new();
    for (index, rule) in found.spec.http.iter().enumerate() {
        let place = Place {
            origin: &origin,
            rule: index,
            delegates: DELEGATES,
        };
        rules.extend(of_rule(rule, &[], place, scene, backends));
    }
    RouteTable::new(rules)
}

/// Where a rule stands.
#[derive(Clone, Copy)]
struct Place<'a> {
    origin: &'a ObjectRef,
    rule: usize,
    /// How many delegations may still follow.
    delegates: usize,
}

/// The rules that one written rule comes to; `outer` are the matches of the rule that delegates to it.
fn of_rule(
    rule: &HttpRule,
    outer: &[HttpMatch],
    place: Place<'_>,
    scene: Scene<'_, '_>,
    backends: &mut Backends,
) -> Vec<RouteRule> {
    let matches = applying(&combined(outer, &rule.matches), scene);
    if let HttpAction::Delegate(delegate) = &rule.action {
        return match place.delegates.checked_sub(1) {
            Some(left) => delegated(rule, (delegate, left), &matches, scene, backends),
            None => Vec::new(),
        };
    }
    let compiled = action::of(rule, scene, backends);
    let name: Arc<str> = rule.name.as_deref().unwrap_or("").into();
    let each = matches.iter().enumerate().filter_map(|(position, matched)| {
        let origin = RuleRef {
            object: place.origin.clone(),
            rule: u32::try_from(place.rule).unwrap_or(u32::MAX),
            matched: u32::try_from(position).unwrap_or(u32::MAX),
            name: Arc::clone(&name),
        };
        Some(compiled.rule(origin, matches::request(matched)?))
    });
    each.collect()
}

/// The rules of the VirtualService that another one delegates to, with the delegations left to it; none when it is not there, which `diagnose` reports.
fn delegated(
    rule: &HttpRule,
    (delegate, delegates): (&wattle_api::istio::Delegate, usize),
    matches: &[HttpMatch],
    scene: Scene<'_, '_>,
    backends: &mut Backends,
) -> Vec<RouteRule> {
    let namespace = delegate
        .namespace
        .as_deref()
        .map_or_else(|| Arc::clone(scene.namespace), Arc::from);
    let name = (namespace, delegate.name.as_str().into());
    let found = scene
        .view
        .delegate(&name)
        .filter(|found| found.spec.is_delegate());
    let Some(found) = found else {
        return Vec::new();
    };
    let origin = routes::origin(found);
    let scene = Scene {
        namespace: &found.meta.namespace,
        ..scene
    };
    let rules = found.spec.http.iter().enumerate();
    let each = rules.flat_map(|(index, inner)| {
        let place = Place {
            origin: &origin,
            rule: index,
            delegates,
        };
        let inner = changes::inherited(inner, rule);
        of_rule(&inner, matches, place, scene, backends)
    });
    each.collect()
}

/// Every pair of an outer and an inner match, each as one match in which both hold; a field that both name is the inner's.
fn combined(outer: &[HttpMatch], inner: &[HttpMatch]) -> Vec<HttpMatch> {
    let any = [HttpMatch::default()];
    let outer = if outer.is_empty() { &any[..] } else { outer };
    let inner = if inner.is_empty() { &any[..] } else { inner };
    let pairs = outer
        .iter()
        .flat_map(|outer| inner.iter().map(move |inner| (outer, inner)));
    pairs.map(|(outer, inner)| matches::both(outer, inner)).collect()
}

/// The matches that callers at this port can satisfy; what is decided by namespace, port and gateway is decided here.
fn applying(matches: &[HttpMatch], scene: Scene<'_, '_>) -> Vec<HttpMatch> {
    let fits = |matched: &&HttpMatch| {
        matched.port.is_none_or(|port| port.number() == scene.port)
            && matched
                .source_namespace
                .as_deref()
                .is_none_or(|namespace| *namespace == **scene.from)
            && routes::in_mesh(&matched.gateways)
    };
    matches.iter().filter(fits).cloned().collect()
}

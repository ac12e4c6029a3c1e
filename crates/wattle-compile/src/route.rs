//! Routes that a caller of a Service sees, compiled in order of precedence (GAMMA, GEP-1426).

use std::sync::Arc;

use wattle_api::{BackendRef, Filter, LinkerdAnnotations, Meta};
use wattle_model::{
    Action, Filters, ObjectRef, Protocol, Reason, RequestMatch, RouteRule, RouteTable, RuleRef, Timeouts,
    WeightedBackend,
};

use crate::any_route::{AnyRoute, Spec};
use crate::backend::{self, Backends, Target};
use crate::port::SeenPort;
use crate::precedence::{Position, Rank};
use crate::view::View;
use crate::{Name, filter};

pub(crate) mod grpc;
mod http;
pub(crate) mod retry;
pub(crate) mod session;
pub(crate) mod stream;

/// The routes of a Service port that callers in namespace `from` see, all of one namespace and of one kind.
///
/// Routes of the caller's own namespace (consumer routes) replace those of the Service's (producer routes); routes
/// elsewhere are none of its business. Of several kinds only the most specific applies.
pub(crate) fn chosen<'a>(
    parent: &Name,
    port: &wattle_api::ServicePort,
    from: &Arc<str>,
    view: &View<'a>,
) -> Vec<AnyRoute<'a>> {
    let consumer = attached(from, parent, port, view);
    let group = if consumer.is_empty() {
        attached(&parent.0, parent, port, view)
    } else {
        consumer
    };
    let best = group.iter().map(AnyRoute::rank).min();
    group
        .into_iter()
        .filter(|route| Some(route.rank()) == best)
        .collect()
}

/// The routes of a namespace that are attached to a Service port, of whatever kind. Routes for requests are attached to
/// no port whose bytes are not looked at.
pub(crate) fn attached<'a>(
    namespace: &str,
    parent: &Name,
    port: &wattle_api::ServicePort,
    view: &View<'a>,
) -> Vec<AnyRoute<'a>> {
    let opaque = is_opaque(parent, port, view);
    let routes = view.routes_of(parent);
    routes
        .filter(|route| *route.meta.namespace == *namespace && route.attaches(parent, port))
        .filter(|route| !(opaque && route.is_for_requests()))
        .collect()
}

/// Whether the port is declared to carry bytes that are not looked at.
pub(crate) fn is_opaque(parent: &Name, port: &wattle_api::ServicePort, view: &View<'_>) -> bool {
    let protocol = view
        .service(parent)
        .map(|service| backend::protocol_on(service, port));
    matches!(protocol, Some(Protocol::Tcp | Protocol::Tls))
}

/// What the rules of one route are compiled with.
pub(crate) struct Compiler<'c, 'a> {
    pub(crate) route: AnyRoute<'a>,
    /// The Service it is attached to.
    pub(crate) parent: &'c Name,
    /// The port of that Service.
    pub(crate) port: u16,
    /// Namespace of the callers.
    pub(crate) from: &'c Arc<str>,
    pub(crate) view: &'c View<'a>,
    pub(crate) backends: &'c mut Backends,
    /// Linkerd's annotations: the route's, which replace the Service's.
    pub(crate) said: LinkerdAnnotations,
}

/// What a rule does, whatever its match.
struct Effect {
    filters: Arc<Filters>,
    action: Arc<Action>,
}

/// The table of `routes`, which are for requests. Once there is a route, what matches none of its rules is refused,
/// even when it has no rule that can match.
pub(crate) fn table(routes: &[AnyRoute<'_>], seen: &SeenPort<'_, '_>, backends: &mut Backends) -> RouteTable {
    let mut ranked: Vec<(Rank, RouteRule)> = Vec::new();
    for route in routes {
        let mut compiler = Compiler {
            route: *route,
            parent: seen.name,
            port: seen.port.port.number(),
            from: seen.from,
            view: seen.view,
            backends: &mut *backends,
            said: crate::linkerd::said(route.meta, seen.name, seen.view),
        };
        match route.spec {
            Spec::Http(spec) => ranked.extend(http::rules(spec, &mut compiler)),
            Spec::Grpc(spec) => ranked.extend(grpc::rules(spec, &mut compiler)),
            Spec::Tls(_) | Spec::Tcp(_) => {}
        }
    }
    ranked.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut rules: Vec<_> = ranked.into_iter().map(|(_, rule)| rule).collect();
    if let (true, Some(route)) = (rules.is_empty(), routes.first()) {
        let origin = rule_ref(route, (0, 0), None);
        rules.push(catch_all(origin, Action::Refuse(Reason::NoRoute)));
    }
    RouteTable::new(rules)
}

/// A rule that matches every request.
pub(crate) fn catch_all(origin: RuleRef, action: Action) -> RouteRule {
    RouteRule {
        origin,
        matches: RequestMatch::default(),
        filters: Arc::default(),
        action: Arc::new(action),
        timeouts: Timeouts::default(),
        retry: None,
        session: None,
    }
}

impl Compiler<'_, '_> {
    fn effect(&mut self, filters: &[Filter], written: &[BackendRef]) -> Effect {
        let effect = filter::effect(filters, self);
        let action = match effect.redirect {
            _ if effect.unsupported => Action::Forward(Vec::new()),
            Some(redirect) => Action::Redirect(redirect),
            None => Action::Forward(self.forward(written)),
        };
        let mut filters = effect.filters;
        if let [only] = written
            && let Some(cors) = filter::cors_of(&only.filters)
        {
            filters.cors = Some(cors);
        }
        Effect {
            filters: Arc::new(filters),
            action: Arc::new(action),
        }
    }

    /// The parts of what a rule forwards.
    pub(crate) fn forward(&mut self, written: &[BackendRef]) -> Vec<WeightedBackend> {
        if written.is_empty() && self.route.goes_on_to(self.parent) {
            return vec![self.dialled()];
        }
        let alone = written.len() == 1;
        written
            .iter()
            .map(|written| self.weighted(written, alone))
            .collect()
    }

    fn dialled(&mut self) -> WeightedBackend {
        let target = Target::of_service(self.parent, self.port);
        WeightedBackend {
            backend: self.index(&target),
            written: target.to_string().into(),
            weight: 1,
            filters: None,
        }
    }

    fn weighted(&mut self, written: &BackendRef, alone: bool) -> WeightedBackend {
        let mut effect = filter::effect(&written.filters, self);
        // A preflight request is answered before a backend is chosen: its permission is the rule's, or cannot be given.
        let permitted = effect.filters.cors.take().is_none() || alone;
        let usable = !effect.unsupported && effect.redirect.is_none() && permitted;
        WeightedBackend {
            backend: self.index(&Target::from(written)).filter(|_| usable),
            written: Target::from(written).to_string().into(),
            weight: written.weight,
            filters: (!effect.filters.is_empty()).then(|| Arc::new(effect.filters)),
        }
    }

    /// The index of a backend; `None` when the reference cannot be followed.
    pub(crate) fn index(&mut self, target: &Target<'_>) -> Option<u32> {
        let (name, port) = backend::resolve(target, &self.route, self.parent, self.view).ok()?;
        Some(self.backends.index(&name, port, self.from, self.view))
    }
}

/// Where a match of a route was written.
pub(crate) fn rule_ref(route: &AnyRoute<'_>, position: Position, name: Option<&str>) -> RuleRef {
    RuleRef {
        object: object_ref(route.meta, route.kind, route.origin),
        rule: u32::try_from(position.0).unwrap_or(u32::MAX),
        matched: u32::try_from(position.1).unwrap_or(u32::MAX),
        name: name.unwrap_or("").into(),
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
pub(crate) fn object_ref(meta: &Meta, kind: wattle_api::Kind, origin: &wattle_api::Origin) -> ObjectRef {
    ObjectRef {
        kind: kind.unique_name().into(),
        namespace: Arc::clone(&meta.namespace),
        name: Arc::clone(&meta.name),
        file: Arc::clone(&origin.file),
        line: origin.at.line,
    }
}

//! A port of a Service or of a ServiceEntry's host as callers see it: its routes, and the policies of what they refer to.

use std::sync::Arc;

use wattle_api::{LinkerdAnnotations, Resource, Service, ServicePort, ServiceProfile, Timeouts};
use wattle_model::{
    Action, Destination, Protocol, RetryPolicy, RouteRule, RouteTable, RuleRef, WeightedBackend,
};

use crate::Name;
use crate::any_route::AnyRoute;
use crate::backend::{self, Backends};
use crate::backend_policy::{self, Tls};
use crate::istio::{self, frontend::Frontend, http::Scene, scope::Dialled};
use crate::linkerd::{self, profile};
use crate::route::{self, stream};
use crate::view::View;

/// A port of a Service, seen from a namespace.
#[derive(Clone, Copy)]
pub(crate) struct SeenPort<'c, 'a> {
    pub(crate) name: &'c Name,
    pub(crate) service: &'a Resource<Service>,
    pub(crate) port: &'a ServicePort,
    pub(crate) from: &'c Arc<str>,
    pub(crate) view: &'c View<'a>,
}

/// A port of what a host names; without the routes of the Gateway API and of Linkerd, which are for Services alone.
pub(crate) fn of_host(
    frontend: &Frontend<'_>,
    number: u16,
    from: &Arc<str>,
    view: &View<'_>,
) -> Option<Destination> {
    let port = frontend.port(number)?;
    let mut backends = Backends::default();
    let own = backends.add(istio::policy::backend(frontend, port, from, view).ok()?);
    let mut found = shell(frontend, number, from, view);
    found.protocol = port.protocol;
    found.default_backend = Some(own);
    follow_virtual_service(&mut found, frontend, (number, from), &mut backends, view);
    found.backends = backends.0;
    Some(found)
}

/// What holds whatever the routes say: the service, and for whom it is there.
fn shell(frontend: &Frontend<'_>, number: u16, from: &Arc<str>, view: &View<'_>) -> Destination {
    let dialled = Dialled::Service {
        namespace: &frontend.name.0,
        host: &frontend.host,
        port: number,
    };
    Destination {
        service: Some(frontend.service_port(number)),
        scopes: istio::scope::scopes(dialled, from, view),
        ..Destination::default()
    }
}

/// Takes over the routes of the host's VirtualService; false when it has none.
fn follow_virtual_service(
    found: &mut Destination,
    frontend: &Frontend<'_>,
    (port, from): (u16, &Arc<str>),
    backends: &mut Backends,
    view: &View<'_>,
) -> bool {
    let Some(applying) = istio::routes::of_host(frontend, from, view) else {
        return false;
    };
    let scene = Scene {
        from,
        port,
        namespace: &applying.meta.namespace,
        view,
    };
    found.routes = istio::http::table(applying, scene, backends);
    found.connections = istio::connection::table(applying, scene, backends);
    true
}

impl<'a> SeenPort<'_, 'a> {
    /// All but the destination's name.
    pub(crate) fn compile(&self) -> Destination {
        let number = self.port.port.number();
        let frontend = istio::frontend::of_service(self.name, self.service, self.view);
        let mut found = shell(&frontend, number, self.from, self.view);
        let mut backends = Backends::default();
        let own = backends.index(self.name, self.port, self.from, self.view);
        found.protocol = backend::protocol_on(self.service, self.port);
        found.default_backend = Some(own).filter(|_| self.is_usable());
        let dialled = (number, self.from);
        // A VirtualService hides all other routes of its host, as in Istio; `diagnose` says so.
        let mut profile = None;
        if !follow_virtual_service(&mut found, &frontend, dialled, &mut backends, self.view) {
            profile = self.follow_routes(&mut found, &mut backends);
        }
        if profile::is_opaque(profile, number) {
            found.protocol = Protocol::Tcp;
        }
        dress(&mut backends, profile, self.view);
        found.backends = backends.0;
        found
    }

    /// Takes over the routes of the Gateway API, else what a profile or the Service itself says; gives the profile in force.
    fn follow_routes(
        &self,
        found: &mut Destination,
        backends: &mut Backends,
    ) -> Option<&'a Resource<ServiceProfile>> {
        let routes = route::chosen(self.name, self.port, self.from, self.view);
        let profile = self.profile(&routes);
        match routes.first() {
            Some(route) if !route.is_for_requests() => {
                found.protocol = stream::protocol(route);
                found.connections = stream::table(&routes, self, backends);
            }
            Some(_) => found.routes = route::table(&routes, self, backends),
            None => found.routes = self.without_routes(profile, found.default_backend, backends),
        }
        profile
    }

    /// Nothing is sent to the Service itself while TLS that is asked for cannot be had.
    fn is_usable(&self) -> bool {
        !matches!(backend_policy::tls(self.name, self.port, self.view), Tls::Broken)
    }

    /// The profile that is in force: a route of the Gateway API's or Linkerd's own replaces it.
    fn profile(&self, routes: &[AnyRoute<'_>]) -> Option<&'a Resource<ServiceProfile>> {
        let found = profile::of(self.name, self.from, self.view);
        found.filter(|_| routes.is_empty())
    }

    /// The rules of a Service without routes: of its profile, else one that its annotations or policy need.
    fn without_routes(
        &self,
        profile: Option<&Resource<ServiceProfile>>,
        default: Option<u32>,
        backends: &mut Backends,
    ) -> RouteTable {
        // What may not be sent must not be sent by a rule either.
        let Some(default) = default else {
            return RouteTable::default();
        };
        if let Some(profile) = profile {
            return profile::table(profile, self, backends);
        }
        RouteTable::new(self.own_rule(default).into_iter().collect())
    }

    /// What Istio repeats of requests that nobody says anything about, where it is asked for.
    fn istio_default(&self) -> Option<RetryPolicy> {
        let is_http = backend::protocol_on(self.service, self.port).is_http();
        (is_http && self.view.has_istio_defaults(&self.name.0)).then(istio::http::istio_default)
    }

    /// A rule for everything, when something is said about how requests are sent.
    fn own_rule(&self, default: u32) -> Option<RouteRule> {
        let said = LinkerdAnnotations::of(&self.service.meta);
        let session = backend_policy::session(self.name, self.view);
        let retry = route::retry::of(None, &said).or_else(|| self.istio_default());
        if !linkerd::says_how_to_send(&said) && session.is_none() && retry.is_none() {
            return None;
        }
        let origin = RuleRef {
            object: route::object_ref(
                &self.service.meta,
                wattle_api::Kind::Service,
                &self.service.origin,
            ),
            rule: 0,
            matched: 0,
            name: "".into(),
        };
        let forward = WeightedBackend {
            backend: Some(default),
            written: format!("{}:{}", self.name.1, self.port.port).into(),
            weight: 1,
            filters: None,
        };
        Some(RouteRule {
            timeouts: route::retry::timeouts(&Timeouts::default(), true, &said),
            retry: retry.map(Arc::new),
            session: session.map(Arc::new),
            ..route::catch_all(origin, Action::Forward(vec![forward]))
        })
    }
}

/// Gives every backend that is a port of a Service what is said about it.
fn dress(backends: &mut Backends, profile: Option<&Resource<ServiceProfile>>, view: &View<'_>) {
    for found in &mut backends.0 {
        let Some(named) = &found.service else { continue };
        let name = (Arc::clone(&named.namespace), Arc::clone(&named.name));
        let Some(service) = view.service(&name) else {
            continue;
        };
        let Some(port) = backend::port(&service.spec, named.port) else {
            continue;
        };
        found.protocol = backend::protocol_on(service, port);
        let callers = found.callers.iter_mut().filter_map(|caller| caller.seen.as_mut());
        let policies = callers.map(|seen| &mut seen.policy);
        for policy in std::iter::once(&mut found.policy).chain(policies) {
            backend_policy::complete(Arc::make_mut(policy), service, port, profile, view);
        }
    }
}

//! TLSRoutes and TCPRoutes: where whole connections go.

use wattle_api::LinkerdAnnotations;
use wattle_model::{ConnectionMatch, ConnectionRoute, HostMatch, Protocol};

use super::{Compiler, rule_ref};
use crate::any_route::{AnyRoute, Spec, older};
use crate::backend::Backends;
use crate::port::SeenPort;
use crate::precedence::Rank;

/// The protocol of a port whose routes are for connections: its requests are not looked into, since nothing would
/// route them.
pub(crate) fn protocol(route: &AnyRoute<'_>) -> Protocol {
    match route.spec {
        Spec::Tls(_) => Protocol::Tls,
        _ => Protocol::Tcp,
    }
}

/// The routes of connections in order. Of TCPRoutes, which all match everything, the oldest is the only one.
pub(crate) fn table(
    routes: &[AnyRoute<'_>],
    seen: &SeenPort<'_, '_>,
    backends: &mut Backends,
) -> Vec<ConnectionRoute> {
    let mut ranked: Vec<(Rank, ConnectionRoute)> = Vec::new();
    for route in routes {
        let mut compiler = Compiler {
            route: *route,
            parent: seen.name,
            port: seen.port.port.number(),
            from: seen.from,
            view: seen.view,
            backends: &mut *backends,
            said: LinkerdAnnotations::default(),
        };
        match route.spec {
            Spec::Tls(spec) => ranked.extend(by_name(&spec.hostnames, &spec.rule, &mut compiler)),
            Spec::Tcp(spec) if is_oldest(route, routes) => {
                ranked.extend(by_name(&["*".to_owned()], &spec.rule, &mut compiler));
            }
            _ => {}
        }
    }
    ranked.sort_by(|(a, _), (b, _)| a.cmp(b));
    ranked.into_iter().map(|(_, route)| route).collect()
}

/// True when the route wins over all others.
pub(crate) fn is_oldest(route: &AnyRoute<'_>, routes: &[AnyRoute<'_>]) -> bool {
    routes.iter().all(|other| older(route.meta, other.meta).is_le())
}

/// One route for each server name, so that each has its own place in the order.
fn by_name(
    names: &[String],
    rule: &wattle_api::StreamRule,
    compiler: &mut Compiler<'_, '_>,
) -> Vec<(Rank, ConnectionRoute)> {
    let backends = compiler.forward(&rule.backend_refs);
    let route = |(index, name): (usize, &String)| {
        let server_names = match HostMatch::parse(name) {
            HostMatch::Any => Vec::new(),
            name => vec![name],
        };
        let compiled = ConnectionRoute {
            origin: rule_ref(&compiler.route, (0, index), rule.name.as_deref()),
            matches: ConnectionMatch {
                server_names,
                ..ConnectionMatch::default()
            },
            backends: backends.clone(),
        };
        (Rank::server_name(compiler.route.meta, index, name), compiled)
    };
    names.iter().enumerate().map(route).collect()
}

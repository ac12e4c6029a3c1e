//! Gates of a workload: what its Servers, and the policies and routes attached to them, let in.

use std::cmp::Reverse;
use std::sync::Arc;

use wattle_api::{AccessPolicy, Kind, Object, ProxyProtocol, Resource, Server, ServerPolicy, ServerRef};
use wattle_model::{Gate, GateRoute, HostMatch, ObjectRef, Policy, PolicyRule, RequestMatch};

use super::{clients, server};
use crate::any_route::{AnyRoute, Spec};
use crate::precedence::{Position, Rank};
use crate::route::{grpc, object_ref, rule_ref, unread};
use crate::view::View;
use crate::{Instance, Read, matches};

/// Kinds of routes that may be attached to a Server.
const ROUTES: [Kind; 3] = [Kind::HttpRoute, Kind::LinkerdHttpRoute, Kind::GrpcRoute];

/// Sorts before what it wins over: the more specific host, then as within one route table, then the successor's kind.
type Order = (Reverse<(u8, usize)>, Rank, u8);

/// The gates of a workload: of each Server's port, then of all other ports where a default policy says so.
pub(crate) fn of(instance: &Instance, view: &View<'_>) -> Vec<Gate> {
    let servers = server::of(instance, view).into_iter();
    let mut gates: Vec<_> = servers
        .map(|(server, port)| of_server(server, port, view))
        .collect();
    gates.extend(of_others(instance, view));
    gates
}

fn of_server(server: &Resource<Server>, port: u16, view: &View<'_>) -> Gate {
    let namespace = &server.meta.namespace;
    // A route that nobody can read may be the one that narrows what others let in.
    let lost = ROUTES
        .into_iter()
        .find_map(|kind| view.unreadable(kind, namespace));
    if let Some(lost) = lost {
        return closed(unread(lost), Some(port));
    }
    let origin = object_ref(&server.meta, Kind::Server, &server.origin);
    let Some(routes) = routes(server, view) else {
        return closed(origin, Some(port));
    };
    Gate {
        allow: allow(server, view),
        routes,
        audit: server.spec.access_policy == AccessPolicy::Audit,
        port: Some(port),
        origin,
    }
}

/// One that nobody passes.
fn closed(origin: ObjectRef, port: Option<u16>) -> Gate {
    Gate {
        origin,
        port,
        allow: Vec::new(),
        routes: Vec::new(),
        audit: false,
    }
}

/// What is let in on every route of a Server: what is written for it comes before its own access policy.
fn allow(server: &Resource<Server>, view: &View<'_>) -> Vec<Policy> {
    let written = view.found(Read::ServerPolicies(Arc::clone(&server.meta.namespace)));
    let written = written.filter_map(|object| match object {
        Object::ServerPolicy(policy) if is_for_server(policy, server) => {
            Some(compiled(object, clients::of_policy(policy, view)))
        }
        Object::ServerAuthorization(found) if selects(&found.spec.server, server) => Some(compiled(
            object,
            clients::of_server_authorization(found, view.settings),
        )),
        _ => None,
    });
    let origin = object_ref(&server.meta, Kind::Server, &server.origin);
    let own = clients::of_access_policy(server.spec.access_policy, view.settings);
    written.chain(own.map(|rule| policy(origin, rule))).collect()
}

fn compiled(object: &Object, rule: PolicyRule) -> Policy {
    policy(object_ref(object.meta(), object.kind(), object.origin()), rule)
}

fn policy(origin: ObjectRef, rule: PolicyRule) -> Policy {
    Policy {
        origin,
        rules: vec![rule],
    }
}

/// Whether a ServerAuthorization is for a Server of its namespace.
pub(crate) fn selects(written: &ServerRef, server: &Resource<Server>) -> bool {
    match written {
        ServerRef::Name(name) => **name == *server.meta.name,
        ServerRef::Selector(selector) => selector.selects(&server.meta.labels),
    }
}

/// Whether a policy is for all that comes to a Server of its namespace.
pub(crate) fn is_for_server(policy: &Resource<ServerPolicy>, server: &Resource<Server>) -> bool {
    let target = &policy.spec.target_ref;
    match &*target.kind {
        "Server" => *target.name == *server.meta.name,
        "Namespace" => *target.name == *server.meta.namespace,
        _ => false,
    }
}

/// Whether a policy is for a route of its namespace.
pub(crate) fn is_for_route(policy: &Resource<ServerPolicy>, route: &AnyRoute<'_>) -> bool {
    let target = &policy.spec.target_ref;
    (&*target.group, &*target.kind, &*target.name)
        == (route.kind.group(), route.kind.as_str(), &*route.meta.name)
}

/// The routes of a Server, those that its protocol takes.
pub(crate) fn attached<'a>(server: &Resource<Server>, view: &View<'a>) -> Vec<AnyRoute<'a>> {
    let found = view.found(Read::ServerRoutes(Arc::clone(&server.meta.namespace)));
    let routes = found.filter_map(AnyRoute::of);
    routes
        .filter(|route| takes(server.spec.proxy_protocol, route.kind))
        .filter(|route| names(route, server))
        .collect()
}

fn names(route: &AnyRoute<'_>, server: &Resource<Server>) -> bool {
    let parents = route.servers();
    let mut names = parents.map(|(_, parent)| &parent.name);
    names.any(|name| **name == *server.meta.name)
}

/// Whether a port of this protocol has routes of a kind: calls have GRPCRoutes, other requests HTTPRoutes (Linkerd).
pub(crate) fn takes(protocol: ProxyProtocol, kind: Kind) -> bool {
    match protocol {
        ProxyProtocol::Unknown | ProxyProtocol::Http1 | ProxyProtocol::Http2 => {
            matches!(kind, Kind::HttpRoute | Kind::LinkerdHttpRoute)
        }
        ProxyProtocol::Grpc => kind == Kind::GrpcRoute,
        ProxyProtocol::Opaque | ProxyProtocol::Tls => false,
    }
}

/// The routes of a Server by precedence, with what each lets in; `None` when one of them cannot be had as it is written.
fn routes(server: &Resource<Server>, view: &View<'_>) -> Option<Vec<GateRoute>> {
    let attached = attached(server, view);
    let mut ordered = Vec::new();
    for route in &attached {
        let allow = allow_of(route, view);
        for (matched, rank, origin) in predicates(route)? {
            for host in hosts(route) {
                let order: Order = (Reverse(specificity(host.as_ref())), rank.clone(), route.rank());
                let gate = GateRoute {
                    origin: origin.clone(),
                    matches: RequestMatch {
                        hosts: host.into_iter().collect(),
                        ..matched.clone()
                    },
                    allow: allow.clone(),
                };
                ordered.push((order, gate));
            }
        }
    }
    // Routes without a rule match nothing, which is not the same as no routes.
    if ordered.is_empty() && !attached.is_empty() {
        return None;
    }
    ordered.sort_by(|(a, _), (b, _)| a.cmp(b));
    Some(ordered.into_iter().map(|(_, route)| route).collect())
}

fn allow_of(route: &AnyRoute<'_>, view: &View<'_>) -> Vec<Policy> {
    let written = view.found(Read::ServerPolicies(Arc::clone(&route.meta.namespace)));
    let written = written.filter_map(|object| match object {
        Object::ServerPolicy(policy) if is_for_route(policy, route) => {
            Some(compiled(object, clients::of_policy(policy, view)))
        }
        _ => None,
    });
    written.collect()
}

type Predicate = (RequestMatch, Rank, wattle_model::RuleRef);

fn predicates(route: &AnyRoute<'_>) -> Option<Vec<Predicate>> {
    let named = |position: Position, name: &Option<String>| rule_ref(route, position, name.as_deref());
    let mut found = Vec::new();
    match route.spec {
        Spec::Http(spec) => {
            for (index, rule) in spec.rules.iter().enumerate() {
                for (nth, matched) in rule.matches.iter().enumerate() {
                    let rank = Rank::http(route.meta, (index, nth), matched);
                    found.push((matches::request(matched)?, rank, named((index, nth), &rule.name)));
                }
            }
        }
        Spec::Grpc(spec) => {
            for (index, rule) in spec.rules.iter().enumerate() {
                for (nth, matched) in rule.matches.iter().enumerate() {
                    let rank = Rank::grpc(route.meta, (index, nth), matched);
                    found.push((grpc::call(matched)?, rank, named((index, nth), &rule.name)));
                }
            }
        }
        Spec::Tls(_) | Spec::Tcp(_) => {}
    }
    Some(found)
}

/// Each host name of a route; one `None` when it is for all.
fn hosts(route: &AnyRoute<'_>) -> Vec<Option<HostMatch>> {
    let written = match route.spec {
        Spec::Http(spec) => &spec.hostnames[..],
        Spec::Grpc(spec) => &spec.hostnames[..],
        Spec::Tls(_) | Spec::Tcp(_) => &[],
    };
    if written.is_empty() {
        return vec![None];
    }
    written.iter().map(|name| Some(HostMatch::parse(name))).collect()
}

/// Exact hosts, then longer ends, then any.
fn specificity(host: Option<&HostMatch>) -> (u8, usize) {
    match host {
        Some(HostMatch::Exact(_)) => (2, 0),
        Some(HostMatch::Suffix(suffix)) => (1, suffix.len()),
        Some(HostMatch::Any) | None => (0, 0),
    }
}

/// The gate of the ports that no Server names, where the workload, its Process or its Namespace has a default policy.
fn of_others(instance: &Instance, view: &View<'_>) -> Option<Gate> {
    let (access, origin) = match view.default_policy(instance) {
        Some(Ok(said)) => said,
        Some(Err(lost)) => return Some(closed(unread(lost), None)),
        None => return None,
    };
    // As without a gate.
    if access == AccessPolicy::AllUnauthenticated {
        return None;
    }
    let rule = clients::of_access_policy(access, view.settings);
    Some(Gate {
        allow: rule
            .map(|rule| policy(origin.clone(), rule))
            .into_iter()
            .collect(),
        audit: access == AccessPolicy::Audit,
        ..closed(origin, None)
    })
}

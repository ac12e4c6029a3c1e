//! Servers: ports of workloads that policy is attached to, what they speak and their limits of rate.

use std::sync::Arc;
use std::time::Duration;

use wattle_api::{ClientRef, Kind, LocalRateLimit, Object, ProxyProtocol, Resource, Server, TargetPort};
use wattle_model::{Allowance, ObjectRef, Protocol, RateLimit, TextMatch};

use super::identity;
use crate::any_route::older;
use crate::route::object_ref;
use crate::view::View;
use crate::{Instance, Read};

/// The Servers of a workload, each with its port, by port. Of several for one port the oldest counts: Linkerd does not take
/// the others.
pub(crate) fn of<'a>(instance: &Instance, view: &View<'a>) -> Vec<(&'a Resource<Server>, u16)> {
    let mut servers = selecting(instance, view);
    servers.sort_by(|(a, on), (b, other)| on.cmp(other).then_with(|| older(&a.meta, &b.meta)));
    servers.dedup_by_key(|(_, port)| *port);
    servers
}

/// Every Server that selects a workload, with its port there.
pub(crate) fn selecting<'a>(instance: &Instance, view: &View<'a>) -> Vec<(&'a Resource<Server>, u16)> {
    let found = view.found(Read::RateLimits(Arc::clone(&instance.key.namespace)));
    found
        .filter_map(|object| match object {
            Object::Server(server) => Some((server, port(server, instance)?)),
            _ => None,
        })
        .collect()
}

/// The port of a workload that a Server is; `None` when it does not select the workload, or that has no such port.
pub(crate) fn port(server: &Resource<Server>, instance: &Instance) -> Option<u16> {
    if !server.spec.pod_selector.selects(&instance.labels) {
        return None;
    }
    match &server.spec.port {
        TargetPort::Number(number) => Some(number.number()),
        TargetPort::Name(name) => instance.port_named(name),
    }
}

/// What a port speaks by its Server; `None` when that is to be detected.
pub(crate) fn protocol(server: &Server) -> Option<Protocol> {
    match server.proxy_protocol {
        ProxyProtocol::Unknown => None,
        ProxyProtocol::Http1 => Some(Protocol::Http1),
        ProxyProtocol::Http2 => Some(Protocol::Http2),
        ProxyProtocol::Grpc => Some(Protocol::Grpc),
        ProxyProtocol::Opaque => Some(Protocol::Tcp),
        ProxyProtocol::Tls => Some(Protocol::Tls),
    }
}

/// The limits that a policy sets on a workload; none when another policy of the Server is older.
pub(crate) fn limits(
    policy: &Resource<LocalRateLimit>,
    instance: &Instance,
    view: &View<'_>,
) -> Vec<RateLimit> {
    let servers = of(instance, view);
    let target = &policy.spec.target_ref;
    let named = servers
        .iter()
        .find(|(server, _)| target.kind == "Server" && *server.meta.name == *target.name);
    let Some((_, port)) = named else {
        return Vec::new();
    };
    if winner(policy, view).is_some_and(|winner| winner.meta.name != policy.meta.name) {
        return Vec::new();
    }
    let origin = object_ref(&policy.meta, Kind::LocalRateLimit, &policy.origin);
    let client = |client: &ClientRef| principal(client, &policy.meta.namespace, view);
    let clients = |clients: &[ClientRef]| clients.iter().map(client).collect::<Vec<_>>();
    let overridden = policy.spec.overrides.iter();
    let except = overridden
        .clone()
        .flat_map(|special| clients(&special.client_refs))
        .collect();
    let mut limits = Vec::new();
    if let Some(total) = policy.spec.total {
        limits.push(limit(&origin, *port, total, false));
    }
    if let Some(identity) = policy.spec.identity {
        limits.push(RateLimit {
            except,
            ..limit(&origin, *port, identity, true)
        });
    }
    limits.extend(overridden.map(|special| RateLimit {
        clients: clients(&special.client_refs),
        ..limit(&origin, *port, special.requests_per_second, true)
    }));
    limits
}

/// The policy that counts of those for the same Server: the oldest.
pub(crate) fn winner<'a>(
    policy: &Resource<LocalRateLimit>,
    view: &View<'a>,
) -> Option<&'a Resource<LocalRateLimit>> {
    let found = view.found(Read::RateLimits(Arc::clone(&policy.meta.namespace)));
    let rivals = found.filter_map(|object| match object {
        Object::LocalRateLimit(rival) if rival.spec.target_ref == policy.spec.target_ref => Some(rival),
        _ => None,
    });
    rivals.min_by(|a, b| older(&a.meta, &b.meta))
}

/// Linkerd's limits are by second, with a second's worth at once.
fn limit(origin: &ObjectRef, port: u16, requests: u32, by_identity: bool) -> RateLimit {
    RateLimit {
        origin: origin.clone(),
        ports: vec![port],
        matches: Vec::new(),
        clients: Vec::new(),
        except: Vec::new(),
        allowance: Allowance::Local {
            requests: requests.max(1),
            per: Duration::from_secs(1),
            burst: requests.max(1),
            by_identity,
        },
    }
}

fn principal(client: &ClientRef, namespace: &str, view: &View<'_>) -> TextMatch {
    let namespace = client.namespace.as_deref().unwrap_or(namespace);
    identity::account(namespace, &client.name, view.settings)
}

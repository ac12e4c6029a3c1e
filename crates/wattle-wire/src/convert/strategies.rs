//! Random model values.

mod external;
mod filters;
mod inbound;
mod matches;
mod parts;
mod routes;
mod traffic;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use wattle_model::*;

use crate::{Peer, Resource};
use inbound::inbound;
use matches::hosts;
use parts::{labels, locality, object_ref, protocol, reason, service, text, workload};
use routes::{connection, rule};
use traffic::policy;

/// Backends of every destination, so that routes can refer to them.
const BACKENDS: u32 = 3;

fn backend() -> impl Strategy<Value = Backend> {
    let verifies = proptest::bool::ANY;
    // Boxed, since policies are large and the stack of a test is not.
    let policy = || policy().boxed();
    let seen = (text(), policy()).prop_map(|(id, policy)| SeenBackend {
        id,
        policy: Arc::new(policy),
    });
    let caller = (labels(), option::of(seen)).prop_map(|(labels, seen)| CallerBackend { labels, seen });
    let by_name = (matches::hosts(), any::<u16>()).prop_map(|(hosts, port)| Arc::new(ByName { hosts, port }));
    let rest = (policy(), verifies, vec(caller, 0..2), option::of(by_name));
    let parts = (text(), service(), text(), protocol(), rest);
    parts.prop_map(
        |(id, service, subset, protocol, (policy, verifies_host, callers, by_name))| Backend {
            id,
            service,
            subset,
            protocol,
            policy: Arc::new(policy),
            verifies_host,
            callers,
            by_name,
        },
    )
}

fn scope() -> impl Strategy<Value = CallerScope> {
    let access = prop_oneof![
        Just(Access::Full),
        Just(Access::PassThrough),
        reason().prop_map(Access::Refused),
    ];
    (labels(), object_ref(), access).prop_map(|(labels, origin, access)| CallerScope {
        labels,
        origin,
        access,
    })
}

fn destination() -> impl Strategy<Value = Destination> {
    let routes = (vec(rule(BACKENDS), 0..3), vec(connection(BACKENDS), 0..2));
    let head = (text(), service(), any::<bool>(), protocol(), vec(scope(), 0..2));
    let backends = (vec(backend(), BACKENDS as usize), option::of(0..BACKENDS));
    (head, routes, backends).prop_map(
        |((name, service, outside, protocol, scopes), (rules, connections), (backends, default_backend))| {
            Destination {
                name,
                service,
                outside,
                protocol,
                scopes,
                routes: RouteTable::new(rules),
                connections,
                backends,
                default_backend,
            }
        },
    )
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    use EndpointHealth::{Draining, Healthy, Unhealthy};
    let health = proptest::sample::select(vec![Healthy, Draining, Unhealthy]);
    let hop = proptest::sample::select(vec![Hop::Plaintext, Hop::MutualTls]);
    let place = (any::<(IpAddr, u16)>(), locality(), labels());
    (place, 1_u32.., health, hop, workload()).prop_map(
        |(((ip, port), locality, labels), weight, health, hop, workload)| Endpoint {
            address: SocketAddr::new(ip, port),
            weight,
            health,
            locality,
            hop,
            workload: Arc::new(workload),
            labels,
        },
    )
}

fn endpoints() -> impl Strategy<Value = Endpoints> {
    let host = "[a-z.]{1,8}".prop_map(Arc::from);
    let named = (host, any::<u16>(), endpoint(), any::<bool>());
    let named = named.prop_map(|(host, port, template, single)| NamedEndpoint {
        host,
        port,
        template,
        single,
    });
    (text(), vec(endpoint(), 0..4), vec(named, 0..2)).prop_map(|(id, endpoints, names)| Endpoints {
        id,
        endpoints,
        names,
    })
}

fn names() -> impl Strategy<Value = Names> {
    let target = prop_oneof![
        vec(any::<IpAddr>(), 0..3).prop_map(NameTarget::Addresses),
        name().prop_map(NameTarget::Alias),
    ];
    let host = (name(), vec(name(), 0..3), target);
    let host = host.prop_map(|(name, aliases, target)| NamedHost {
        name,
        aliases,
        target,
    });
    let asked = prop_oneof![Just(Asked::Any), hosts().prop_map(Asked::Registered),];
    let scope = (labels(), object_ref(), asked).prop_map(|(labels, origin, asked)| NameScope {
        labels,
        origin,
        asked,
    });
    (text(), vec(host, 0..3), hosts(), vec(scope, 0..3)).prop_map(|(namespace, hosts, registered, scopes)| {
        Names {
            namespace,
            hosts,
            registered,
            scopes,
        }
    })
}

fn trust() -> impl Strategy<Value = Trust> {
    let bytes = || vec(vec(any::<u8>(), 0..9), 1..3);
    let domain = (text(), bytes()).prop_map(|(name, roots)| TrustedDomain { name, roots });
    (text(), vec(domain, 0..3), vec(text(), 0..3), bytes()).prop_map(
        |(issuer, domains, aliases, revocation_lists)| Trust {
            issuer,
            domains,
            aliases,
            revocation_lists,
        },
    )
}

fn name() -> impl Strategy<Value = Box<str>> {
    "[a-z.]{1,8}".prop_map(Box::from)
}

/// Any resource.
pub(crate) fn resource() -> impl Strategy<Value = Resource> {
    prop_oneof![
        destination().prop_map(Resource::Destination),
        endpoints().prop_map(Resource::Endpoints),
        inbound().prop_map(Resource::Inbound),
        (any::<IpAddr>(), workload()).prop_map(|(ip, workload)| Resource::Peer(Peer { ip, workload })),
        names().prop_map(Resource::Names),
        trust().prop_map(Resource::Trust),
    ]
}

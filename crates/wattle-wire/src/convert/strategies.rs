//! Random model values.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use wattle_model::*;

use super::strategies_inbound::inbound;
use crate::{Peer, Resource};

pub(super) fn text() -> impl Strategy<Value = Arc<str>> {
    "[a-z/.:é-]{0,8}".prop_map(Arc::from)
}

pub(super) fn boxed() -> impl Strategy<Value = Box<str>> {
    "[a-z/*-]{0,8}".prop_map(Box::from)
}

fn header_name() -> impl Strategy<Value = HeaderName> {
    "x-[a-z]{1,6}".prop_map(|name| name.parse().expect("a header name"))
}

fn header() -> impl Strategy<Value = (HeaderName, HeaderValue)> {
    let value =
        vec(0x20_u8..0x7f, 0..6).prop_map(|bytes| HeaderValue::from_bytes(&bytes).expect("visible bytes"));
    (header_name(), value)
}

fn pattern() -> impl Strategy<Value = Pattern> {
    prop_oneof![Just("a.*"), Just("(x|y)+"), Just("")]
        .prop_map(|source| Pattern::new(source).expect("a pattern"))
}

fn text_match() -> impl Strategy<Value = TextMatch> {
    prop_oneof![
        boxed().prop_map(TextMatch::Exact),
        boxed().prop_map(TextMatch::Prefix),
        boxed().prop_map(TextMatch::Suffix),
        Just(TextMatch::Present),
        pattern().prop_map(TextMatch::Regex),
    ]
}

pub(super) fn texts() -> impl Strategy<Value = Vec<TextMatch>> {
    vec(text_match(), 0..3)
}

pub(super) fn protocol() -> impl Strategy<Value = Protocol> {
    use Protocol::{Detect, Grpc, Http1, Http2, Tcp, Tls};
    proptest::sample::select(vec![Detect, Tcp, Tls, Http1, Http2, Grpc])
}

pub(super) fn service() -> impl Strategy<Value = Option<ServicePort>> {
    option::of(
        (text(), text(), text(), any::<u16>()).prop_map(|(namespace, name, host, port)| ServicePort {
            namespace,
            name,
            host,
            port,
        }),
    )
}

pub(super) fn object_ref() -> impl Strategy<Value = ObjectRef> {
    (text(), text(), text(), text(), any::<u32>()).prop_map(|(kind, namespace, name, file, line)| ObjectRef {
        kind,
        namespace,
        name,
        file,
        line,
    })
}

fn path_rewrite() -> impl Strategy<Value = PathRewrite> {
    prop_oneof![
        boxed().prop_map(PathRewrite::Full),
        boxed().prop_map(PathRewrite::Prefix)
    ]
}

fn modifier() -> impl Strategy<Value = HeaderModifier> {
    (vec(header(), 0..2), vec(header(), 0..2), vec(header_name(), 0..2))
        .prop_map(|(set, add, remove)| HeaderModifier { set, add, remove })
}

fn filters() -> impl Strategy<Value = Filters> {
    let rewrite =
        (option::of(boxed()), option::of(path_rewrite())).prop_map(|(host, path)| UrlRewrite { host, path });
    (modifier(), modifier(), rewrite).prop_map(|(request_headers, response_headers, rewrite)| Filters {
        request_headers,
        response_headers,
        rewrite,
    })
}

fn request_match() -> impl Strategy<Value = RequestMatch> {
    let path = prop_oneof![
        boxed().prop_map(PathMatch::Exact),
        boxed().prop_map(PathMatch::Prefix),
        pattern().prop_map(PathMatch::Regex)
    ];
    let method = proptest::sample::select(vec![Method::GET, Method::POST, Method::OPTIONS]);
    let headers = (header_name(), text_match()).prop_map(|(name, value)| HeaderMatch { name, value });
    let query = (boxed(), text_match()).prop_map(|(name, value)| QueryMatch { name, value });
    (
        option::of(path),
        option::of(method),
        vec(headers, 0..2),
        vec(query, 0..2),
    )
        .prop_map(|(path, method, headers, query)| RequestMatch {
            path,
            method,
            headers,
            query,
        })
}

fn action(backends: u32) -> impl Strategy<Value = Action> {
    let weighted = (
        option::of(0..backends),
        boxed(),
        any::<u32>(),
        option::of(filters()),
    );
    let weighted = weighted.prop_map(|(backend, written, weight, filters)| WeightedBackend {
        backend,
        written,
        weight,
        filters: filters.map(Arc::new),
    });
    let status = proptest::sample::select(vec![301_u16, 302, 303, 307, 308]);
    let redirect = (
        option::of(boxed()),
        option::of(boxed()),
        option::of(1_u16..),
        option::of(path_rewrite()),
        status,
    )
        .prop_map(|(scheme, host, port, path, status)| Redirect {
            scheme,
            host,
            port,
            path,
            status,
        });
    prop_oneof![
        vec(weighted, 0..3).prop_map(Action::Forward),
        redirect.prop_map(Action::Redirect)
    ]
}

fn rule(backends: u32) -> impl Strategy<Value = RouteRule> {
    let origin =
        (object_ref(), any::<u32>(), any::<u32>(), text()).prop_map(|(object, rule, matched, name)| {
            RuleRef {
                object,
                rule,
                matched,
                name,
            }
        });
    let limit = || option::of((1_u64..).prop_map(Duration::from_nanos));
    let timeouts = (limit(), limit()).prop_map(|(request, backend_request)| Timeouts {
        request,
        backend_request,
    });
    (origin, request_match(), filters(), action(backends), timeouts).prop_map(
        |(origin, matches, filters, action, timeouts)| RouteRule {
            origin,
            matches,
            filters: Arc::new(filters),
            action: Arc::new(action),
            timeouts,
        },
    )
}

fn destination() -> impl Strategy<Value = Destination> {
    let backend = (text(), service(), protocol()).prop_map(|(id, service, protocol)| Backend {
        id,
        service,
        protocol,
    });
    let count = 3;
    (
        text(),
        service(),
        protocol(),
        vec(rule(count), 0..3),
        vec(backend, count as usize),
        option::of(0..count),
    )
        .prop_map(
            |(name, service, protocol, rules, backends, default_backend)| Destination {
                name,
                service,
                protocol,
                routes: RouteTable { rules },
                backends,
                default_backend,
            },
        )
}

pub(super) fn workload() -> impl Strategy<Value = Workload> {
    (
        [text(), text(), text(), text(), text()],
        [text(), text(), text(), text(), text()],
    )
        .prop_map(
            |(
                [namespace, name, instance, service_account, trust_domain],
                [app, version, service, revision, cluster],
            )| {
                Workload {
                    namespace,
                    name,
                    instance,
                    service_account,
                    trust_domain,
                    app,
                    version,
                    canonical_service: service,
                    canonical_revision: revision,
                    cluster,
                }
            },
        )
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    use EndpointHealth::{Draining, Healthy, Unhealthy};
    let locality = (text(), text(), text()).prop_map(|(region, zone, subzone)| Locality {
        region,
        zone,
        subzone,
    });
    let health = proptest::sample::select(vec![Healthy, Draining, Unhealthy]);
    let hop = proptest::sample::select(vec![Hop::Plaintext, Hop::MutualTls]);
    (any::<(IpAddr, u16)>(), 1_u32.., health, locality, hop, workload()).prop_map(
        |((ip, port), weight, health, locality, hop, workload)| Endpoint {
            address: SocketAddr::new(ip, port),
            weight,
            health,
            locality,
            hop,
            workload: Arc::new(workload),
        },
    )
}

/// Any resource.
pub(crate) fn resource() -> impl Strategy<Value = Resource> {
    prop_oneof![
        destination().prop_map(Resource::Destination),
        (text(), vec(endpoint(), 0..4))
            .prop_map(|(id, endpoints)| Resource::Endpoints(Endpoints { id, endpoints })),
        inbound().prop_map(Resource::Inbound),
        (any::<IpAddr>(), workload()).prop_map(|(ip, workload)| Resource::Peer(Peer { ip, workload })),
    ]
}

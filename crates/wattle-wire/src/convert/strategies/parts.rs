//! Random values that others are made of.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use wattle_model::*;

pub(super) fn text() -> impl Strategy<Value = Arc<str>> {
    "[a-z/.:é-]{0,8}".prop_map(Arc::from)
}

pub(super) fn boxed() -> impl Strategy<Value = Box<str>> {
    "[a-z/*-]{0,8}".prop_map(Box::from)
}

pub(super) fn labels() -> impl Strategy<Value = Vec<(Arc<str>, Arc<str>)>> {
    vec((text(), text()), 0..2)
}

/// A length of time that is not zero.
pub(super) fn time() -> impl Strategy<Value = Duration> {
    (1_u64..).prop_map(Duration::from_nanos)
}

/// Any length of time.
pub(super) fn any_time() -> impl Strategy<Value = Duration> {
    any::<u64>().prop_map(Duration::from_nanos)
}

pub(super) fn header_name() -> impl Strategy<Value = HeaderName> {
    "x-[a-z]{1,6}".prop_map(|name| name.parse().expect("a header name"))
}

pub(super) fn header() -> impl Strategy<Value = (HeaderName, HeaderValue)> {
    let value =
        vec(0x20_u8..0x7f, 0..6).prop_map(|bytes| HeaderValue::from_bytes(&bytes).expect("visible bytes"));
    (header_name(), value)
}

pub(super) fn pattern() -> impl Strategy<Value = Pattern> {
    prop_oneof![Just("a.*"), Just("(x|y)+"), Just("")]
        .prop_map(|source| Pattern::new(source).expect("a pattern"))
}

pub(super) fn chance() -> impl Strategy<Value = Chance> {
    (0_u32..=1_000_000).prop_map(Chance::per_million)
}

pub(super) fn reason() -> impl Strategy<Value = Reason> {
    proptest::sample::select(Reason::ALL)
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

pub(super) fn rule_ref() -> impl Strategy<Value = RuleRef> {
    (object_ref(), any::<u32>(), any::<u32>(), text()).prop_map(|(object, rule, matched, name)| RuleRef {
        object,
        rule,
        matched,
        name,
    })
}

pub(super) fn locality() -> impl Strategy<Value = Locality> {
    (text(), text(), text()).prop_map(|(region, zone, subzone)| Locality {
        region,
        zone,
        subzone,
    })
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

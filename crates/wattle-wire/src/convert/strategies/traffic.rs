//! Random policies of backends.

use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use wattle_model::traffic::*;

use super::parts::{any_time, boxed, header_name, object_ref, text, time};

fn balance() -> impl Strategy<Value = Balance> {
    let cookie = (boxed(), boxed(), option::of(any_time()));
    let key = prop_oneof![
        header_name().prop_map(HashKey::Header),
        cookie.prop_map(|(name, path, ttl)| HashKey::Cookie { name, path, ttl }),
        Just(HashKey::SourceAddress),
        boxed().prop_map(HashKey::Query),
    ];
    let table = prop_oneof![
        (1_u32..=8 << 20).prop_map(HashTable::Ring),
        proptest::sample::select(vec![2_u32, 65537, 5_000_011]).prop_map(HashTable::Maglev),
    ];
    prop_oneof![
        Just(Balance::PeakEwma),
        Just(Balance::LeastRequest),
        Just(Balance::RoundRobin),
        Just(Balance::Random),
        Just(Balance::OriginalDestination),
        (key, table).prop_map(|(key, table)| Balance::Hash { key, table }),
    ]
}

fn warmup() -> impl Strategy<Value = Warmup> {
    (time(), 0.0..=100.0, 1.0..1e9).prop_map(|(duration, minimum_percent, aggression)| Warmup {
        duration,
        minimum_percent,
        aggression,
    })
}

fn locality() -> impl Strategy<Value = LocalityPolicy> {
    let distribution = (text(), vec((text(), 0_u32..=100), 0..3));
    let distribution = distribution.prop_map(|(from, to)| Distribution { from, to });
    (
        any::<bool>(),
        vec(distribution, 0..2),
        vec((text(), text()), 0..2),
        vec((text(), option::of(text())), 0..3),
    )
        .prop_map(|(failover, distribute, regions, labels)| LocalityPolicy {
            failover,
            distribute,
            regions,
            labels,
        })
}

pub(super) fn limits() -> impl Strategy<Value = wattle_model::Limits> {
    let count = || option::of(1_u32..);
    let limit = || option::of(any::<u32>());
    let span = || option::of(time());
    let keepalive = (count(), span(), span()).prop_map(|(probes, time, interval)| Keepalive {
        probes,
        time,
        interval,
    });
    (
        [count(), count(), count()],
        [limit(), limit(), limit()],
        [span(), span(), span(), span()],
        option::of(keepalive),
    )
        .prop_map(
            |(
                [connections, requests_per_connection, concurrent_streams],
                [pending_requests, requests, retries],
                [connect_timeout, http_idle, tcp_idle, connection_life],
                keepalive,
            )| wattle_model::Limits {
                connections,
                connect_timeout,
                pending_requests,
                requests,
                retries,
                requests_per_connection,
                concurrent_streams,
                http_idle,
                tcp_idle,
                connection_life,
                keepalive,
            },
        )
}

fn accrual() -> impl Strategy<Value = FailureAccrual> {
    (1_u32.., time(), time(), 0.0..=100.0).prop_map(
        |(max_failures, min_penalty, max_penalty, jitter_ratio)| FailureAccrual {
            max_failures,
            min_penalty,
            max_penalty,
            jitter_ratio,
        },
    )
}

fn outliers() -> impl Strategy<Value = OutlierDetection> {
    let count = || option::of(1_u32..);
    let rates = (
        option::of(any::<u32>()),
        option::of(0_u32..=100),
        any::<u32>(),
        option::of(any::<u32>()),
    );
    (
        [count(), count(), count()],
        rates,
        [time(), time(), time()],
        [0_u32..=100, 0_u32..=100],
        option::of(accrual()),
    )
        .prop_map(
            |(
                [consecutive_5xx, consecutive_gateway, consecutive_local],
                (success_rate_stdev_thousandths, failure_percent, minimum_hosts, minimum_requests),
                [interval, base_ejection, max_ejection],
                [max_ejection_percent, minimum_health_percent],
                accrual,
            )| OutlierDetection {
                consecutive_5xx,
                consecutive_gateway,
                consecutive_local,
                success_rate_stdev_thousandths,
                failure_percent,
                minimum_hosts,
                minimum_requests,
                interval,
                base_ejection,
                max_ejection,
                max_ejection_percent,
                minimum_health_percent,
                accrual,
            },
        )
}

fn retry_budget() -> impl Strategy<Value = RetryBudget> {
    let window = (1_000_u64..=60_000).prop_map(Duration::from_millis);
    let per = (1_u64..=3_600_000).prop_map(Duration::from_millis);
    prop_oneof![
        (0.0..=100.0, any::<u32>())
            .prop_map(|(percent, minimum)| RetryBudget::Concurrent { percent, minimum }),
        (0.0..=1000.0, any::<u32>(), per, window).prop_map(|(percent, minimum, per, window)| {
            RetryBudget::Rate {
                percent,
                minimum,
                per,
                window,
            }
        }),
    ]
}

fn tls() -> impl Strategy<Value = UpstreamTls> {
    let name = prop_oneof![
        boxed().prop_map(SubjectName::Dns),
        boxed().prop_map(SubjectName::Uri)
    ];
    let roots = prop_oneof![
        Just(Roots::System),
        boxed().prop_map(Roots::File),
        "[a-z]{1,9}".prop_map(|pem| Roots::Given(pem.into())),
    ];
    let files = (roots, option::of((boxed(), boxed())), option::of(boxed()));
    let files = files.prop_map(|(roots, own, revoked)| {
        let (certificate, key) = own.unzip();
        TlsFiles {
            roots,
            certificate,
            key,
            revoked,
        }
    });
    let origination = (option::of(boxed()), vec(name, 0..3), files, any::<bool>());
    prop_oneof![
        Just(UpstreamTls::Mesh),
        Just(UpstreamTls::Disabled),
        Just(UpstreamTls::MeshMutual),
        origination.prop_map(|(sni, names, files, unverified)| UpstreamTls::Origination {
            sni,
            names,
            files,
            unverified,
        }),
    ]
}

fn health_check() -> impl Strategy<Value = HealthCheck> {
    let probe = prop_oneof![
        Just(HealthProbe::Tcp),
        (boxed(), boxed()).prop_map(|(path, host)| HealthProbe::Http { path, host }),
        boxed().prop_map(|service| HealthProbe::Grpc { service }),
    ];
    let interval = (1_000_000_000_u64..).prop_map(Duration::from_nanos);
    (probe, interval, time(), 1_u32.., 1_u32..).prop_map(
        |(probe, interval, timeout, healthy_after, unhealthy_after)| HealthCheck {
            probe,
            interval,
            timeout,
            healthy_after,
            unhealthy_after,
        },
    )
}

pub(super) fn policy() -> impl Strategy<Value = BackendPolicy> {
    let proxy_protocol = proptest::sample::select(vec![ProxyProtocol::V1, ProxyProtocol::V2]);
    let http_version = proptest::sample::select(vec![HttpVersion::AsSent, HttpVersion::Http2]);
    let tunnel = (any::<bool>(), boxed(), 1_u16..).prop_map(|(post, host, port)| Tunnel { post, host, port });
    let choice = (balance(), option::of(warmup()), locality());
    let bounds = (limits(), option::of(outliers()), option::of(retry_budget()));
    let connections = (
        tls(),
        option::of(proxy_protocol),
        option::of(tunnel),
        option::of(health_check()),
        http_version,
    );
    (vec(object_ref(), 0..2), choice, bounds, connections).prop_map(
        |(
            origins,
            (balance, warmup, locality),
            (limits, outliers, retry_budget),
            (tls, proxy_protocol, tunnel, health_check, http_version),
        )| BackendPolicy {
            origins,
            balance,
            warmup,
            locality,
            limits,
            outliers,
            retry_budget,
            tls,
            proxy_protocol,
            tunnel,
            health_check,
            http_version,
        },
    )
}

//! Backends under every policy.

use wattle_model::traffic::{
    Balance, Distribution, FailureAccrual, HashKey, HashTable, HealthCheck, HealthProbe, HttpVersion,
    Keepalive, LocalityPolicy, OutlierDetection, ProxyProtocol, RetryBudget, SubjectName, TlsFiles, Tunnel,
    UpstreamTls, Warmup,
};
use wattle_model::{BackendPolicy, Limits, Locality, Protocol};

use crate::support::mesh::{Mesh, destination, endpoint, governed, secured};
use crate::{SECOND, at};

fn none() -> BackendPolicy {
    BackendPolicy::default()
}

fn limits() -> Limits {
    Limits {
        connections: Some(3),
        connect_timeout: Some(SECOND),
        pending_requests: Some(4),
        requests: Some(5),
        retries: Some(6),
        requests_per_connection: Some(7),
        concurrent_streams: Some(8),
        http_idle: Some(SECOND),
        tcp_idle: Some(SECOND),
        connection_life: Some(SECOND),
        keepalive: Some(Keepalive {
            probes: Some(3),
            time: Some(SECOND),
            interval: Some(SECOND),
        }),
    }
}

fn balanced() -> Vec<BackendPolicy> {
    let hash = |key, table| BackendPolicy {
        balance: Balance::Hash { key, table },
        ..none()
    };
    let warmup = Warmup {
        duration: SECOND,
        minimum_percent: 10.0,
        aggression: 1.5,
    };
    let cookie = HashKey::Cookie {
        name: "c".into(),
        path: "/".into(),
        ttl: Some(SECOND),
    };
    vec![
        none(),
        BackendPolicy {
            balance: Balance::LeastRequest,
            warmup: Some(warmup),
            limits: limits(),
            ..none()
        },
        BackendPolicy {
            balance: Balance::RoundRobin,
            http_version: HttpVersion::Http2,
            ..none()
        },
        BackendPolicy {
            balance: Balance::Random,
            warmup: Some(warmup),
            ..none()
        },
        BackendPolicy {
            balance: Balance::OriginalDestination,
            ..none()
        },
        hash(cookie, HashTable::Ring(1024)),
        hash(HashKey::SourceAddress, HashTable::Maglev(65537)),
        hash(HashKey::Query("q".into()), HashTable::Ring(70_000)),
    ]
}

fn watched() -> Vec<BackendPolicy> {
    let accrual = FailureAccrual {
        max_failures: 7,
        min_penalty: SECOND,
        max_penalty: SECOND * 60,
        jitter_ratio: 0.5,
    };
    let distribution = Distribution {
        from: "*".into(),
        to: vec![("eu".into(), 80), ("us".into(), 20)],
    };
    let outliers = OutlierDetection {
        consecutive_gateway: Some(3),
        consecutive_local: Some(2),
        failure_percent: Some(50),
        success_rate_stdev_thousandths: Some(1900),
        minimum_health_percent: 50,
        ..OutlierDetection::default()
    };
    vec![
        BackendPolicy {
            outliers: Some(outliers),
            locality: LocalityPolicy {
                failover: true,
                ..Default::default()
            },
            retry_budget: Some(RetryBudget::Concurrent {
                percent: 30.0,
                minimum: 2,
            }),
            ..none()
        },
        BackendPolicy {
            outliers: Some(OutlierDetection {
                accrual: Some(accrual),
                ..OutlierDetection::default()
            }),
            locality: LocalityPolicy {
                distribute: vec![distribution],
                ..Default::default()
            },
            retry_budget: Some(RetryBudget::Rate {
                percent: 20.0,
                minimum: 10,
                per: std::time::Duration::from_secs(1),
                window: SECOND * 10,
            }),
            ..none()
        },
    ]
}

fn reached() -> Vec<BackendPolicy> {
    let check = |probe| {
        Some(HealthCheck {
            probe,
            interval: SECOND,
            timeout: SECOND,
            healthy_after: 1,
            unhealthy_after: 3,
        })
    };
    let origination = |sni: Option<&str>, names, unverified| UpstreamTls::Origination {
        sni: sni.map(Into::into),
        names,
        files: TlsFiles::default(),
        unverified,
    };
    let names = vec![
        SubjectName::Dns("api.test".into()),
        SubjectName::Uri("spiffe://x/y".into()),
    ];
    let api = Some("api.test");
    let well = HealthProbe::Http {
        path: "/well".into(),
        host: "".into(),
    };
    let (v1, v2) = (Some(ProxyProtocol::V1), Some(ProxyProtocol::V2));
    let tunnel = Tunnel {
        post: false,
        host: "far.test".into(),
        port: 443,
    };
    let grpc = check(HealthProbe::Grpc { service: "s".into() });
    vec![
        BackendPolicy {
            tls: UpstreamTls::Disabled,
            proxy_protocol: v1,
            health_check: check(HealthProbe::Tcp),
            ..none()
        },
        BackendPolicy {
            tls: UpstreamTls::MeshMutual,
            proxy_protocol: v2,
            health_check: check(well),
            ..none()
        },
        BackendPolicy {
            tls: origination(api, names.clone(), true),
            health_check: grpc,
            ..none()
        },
        BackendPolicy {
            tls: origination(api, names, false),
            ..none()
        },
        BackendPolicy {
            tls: origination(None, vec![], true),
            ..none()
        },
        BackendPolicy {
            tunnel: Some(tunnel),
            ..none()
        },
    ]
}

pub(super) fn destinations(mesh: &mut Mesh) {
    for (index, policy) in (1u8..).zip(balanced().into_iter().chain(watched()).chain(reached())) {
        let id = format!("b{index}:80");
        let mut endpoints = vec![
            endpoint(at(index, 80)),
            secured(at(index, 81), "a"),
            secured(at(index, 82), "b"),
        ];
        endpoints[1].locality = Locality {
            region: "eu".into(),
            ..Locality::default()
        };
        mesh.endpoints(&id, endpoints);
        for (protocol, port) in [(Protocol::Detect, 1), (Protocol::Grpc, 2), (Protocol::Tcp, 3)] {
            mesh.add(destination(
                at(index, port),
                protocol,
                vec![governed(&id, policy.clone())],
            ));
        }
    }
}

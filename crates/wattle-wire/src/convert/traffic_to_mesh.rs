//! How traffic to a backend is spread and limited to messages.

use wattle_model::traffic::{
    Balance, Distribution, FailureAccrual, HashKey, HashTable, HttpVersion, Keepalive, LocalityPolicy,
    OutlierDetection, ProxyProtocol, RetryBudget, Warmup,
};
use wattle_model::{BackendPolicy, Limits};

use super::parts_to_mesh::{nanos, object_ref, text};
use super::upstream_to_mesh;
use crate::proto::mesh;

pub(super) fn policy(value: &BackendPolicy) -> mesh::BackendPolicy {
    mesh::BackendPolicy {
        origins: value.origins.iter().map(object_ref).collect(),
        balance: balance(&value.balance),
        warmup: value.warmup.as_ref().map(warmup),
        locality: locality(&value.locality),
        limits: limits(&value.limits),
        outliers: value.outliers.as_ref().map(outliers),
        retry_budget: value.retry_budget.map(retry_budget),
        tls: Some(upstream_to_mesh::tls(&value.tls)),
        proxy_protocol: value.proxy_protocol.map(|version| match version {
            ProxyProtocol::V1 => mesh::ProxyProtocol::V1 as i32,
            ProxyProtocol::V2 => mesh::ProxyProtocol::V2 as i32,
        }),
        tunnel: value.tunnel.as_ref().map(upstream_to_mesh::tunnel),
        health_check: value.health_check.as_ref().map(upstream_to_mesh::health_check),
        http_version: match value.http_version {
            HttpVersion::AsSent => mesh::HttpVersion::AsSent as i32,
            HttpVersion::Http2 => mesh::HttpVersion::Http2 as i32,
        },
    }
}

fn balance(value: &Balance) -> Option<mesh::Balance> {
    use mesh::balance::Kind;
    let kind = match value {
        Balance::PeakEwma => return None,
        Balance::LeastRequest => Kind::LeastRequest(true),
        Balance::RoundRobin => Kind::RoundRobin(true),
        Balance::Random => Kind::Random(true),
        Balance::OriginalDestination => Kind::OriginalDestination(true),
        Balance::Hash { key, table } => Kind::Hash(hash(key, *table)),
    };
    Some(mesh::Balance { kind: Some(kind) })
}

fn hash(key: &HashKey, table: HashTable) -> mesh::HashBalance {
    use mesh::hash_balance::{Key, Table};
    mesh::HashBalance {
        key: Some(match key {
            HashKey::Header(name) => Key::Header(name.to_string()),
            HashKey::Cookie { name, path, ttl } => Key::Cookie(mesh::HashCookie {
                name: name.to_string(),
                path: path.to_string(),
                ttl_nanos: ttl.map(nanos),
            }),
            HashKey::SourceAddress => Key::SourceAddress(true),
            HashKey::Query(name) => Key::Query(name.to_string()),
        }),
        table: Some(match table {
            HashTable::Ring(points) => Table::Ring(points),
            HashTable::Maglev(size) => Table::Maglev(size),
        }),
    }
}

fn warmup(value: &Warmup) -> mesh::Warmup {
    mesh::Warmup {
        duration_nanos: nanos(value.duration),
        minimum_percent: value.minimum_percent,
        aggression: value.aggression,
    }
}

fn locality(value: &LocalityPolicy) -> Option<mesh::LocalityPolicy> {
    let regions = value.regions.iter().map(|(from, to)| mesh::RegionFailover {
        from: from.to_string(),
        to: to.to_string(),
    });
    let labels = value.labels.iter().map(|(key, value)| mesh::FailoverLabel {
        key: key.to_string(),
        value: text(value.as_deref()),
    });
    (*value != LocalityPolicy::default()).then(|| mesh::LocalityPolicy {
        failover: value.failover,
        distribute: value.distribute.iter().map(distribution).collect(),
        regions: regions.collect(),
        labels: labels.collect(),
    })
}

fn distribution(value: &Distribution) -> mesh::Distribution {
    let shares = value.to.iter().map(|(to, percent)| mesh::DistributionShare {
        to: to.to_string(),
        percent: *percent,
    });
    mesh::Distribution {
        from: value.from.to_string(),
        to: shares.collect(),
    }
}

pub(super) fn limits(value: &Limits) -> Option<mesh::Limits> {
    (*value != Limits::default()).then(|| mesh::Limits {
        connections: value.connections,
        connect_timeout_nanos: value.connect_timeout.map(nanos),
        pending_requests: value.pending_requests,
        requests: value.requests,
        retries: value.retries,
        requests_per_connection: value.requests_per_connection,
        concurrent_streams: value.concurrent_streams,
        http_idle_nanos: value.http_idle.map(nanos),
        tcp_idle_nanos: value.tcp_idle.map(nanos),
        connection_life_nanos: value.connection_life.map(nanos),
        keepalive: value.keepalive.as_ref().map(keepalive),
    })
}

fn keepalive(value: &Keepalive) -> mesh::Keepalive {
    mesh::Keepalive {
        probes: value.probes,
        time_nanos: value.time.map(nanos),
        interval_nanos: value.interval.map(nanos),
    }
}

fn outliers(value: &OutlierDetection) -> mesh::OutlierDetection {
    mesh::OutlierDetection {
        consecutive_5xx: value.consecutive_5xx,
        consecutive_gateway: value.consecutive_gateway,
        consecutive_local: value.consecutive_local,
        success_rate_stdev_thousandths: value.success_rate_stdev_thousandths,
        failure_percent: value.failure_percent,
        minimum_hosts: value.minimum_hosts,
        minimum_requests: value.minimum_requests,
        interval_nanos: nanos(value.interval),
        base_ejection_nanos: nanos(value.base_ejection),
        max_ejection_nanos: nanos(value.max_ejection),
        max_ejection_percent: value.max_ejection_percent,
        minimum_health_percent: value.minimum_health_percent,
        accrual: value.accrual.as_ref().map(accrual),
    }
}

fn accrual(value: &FailureAccrual) -> mesh::FailureAccrual {
    mesh::FailureAccrual {
        max_failures: value.max_failures,
        min_penalty_nanos: nanos(value.min_penalty),
        max_penalty_nanos: nanos(value.max_penalty),
        jitter_ratio: value.jitter_ratio,
    }
}

fn retry_budget(value: RetryBudget) -> mesh::RetryBudget {
    use mesh::retry_budget::Kind;
    let kind = match value {
        RetryBudget::Concurrent { percent, minimum } => {
            Kind::Concurrent(mesh::ConcurrentBudget { percent, minimum })
        }
        RetryBudget::Rate {
            percent,
            minimum,
            per,
            window,
        } => Kind::Rate(mesh::RateBudget {
            percent,
            minimum,
            window_nanos: nanos(window),
            per_nanos: nanos(per),
        }),
    };
    mesh::RetryBudget { kind: Some(kind) }
}

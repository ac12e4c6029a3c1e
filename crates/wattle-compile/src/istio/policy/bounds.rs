//! Connection pools, outlier detection and retry budgets of a DestinationRule.

use wattle_api::istio::{
    ConnectionPool, H2Upgrade, HttpPool, OutlierDetection as Written, RetryBudget as Budget,
};
use wattle_model::Limits;
use wattle_model::traffic::{HttpVersion, Keepalive, OutlierDetection, RetryBudget};

/// A count of 0 is none written.
fn some(count: Option<u32>) -> Option<u32> {
    count.filter(|count| *count > 0)
}

pub(crate) fn limits(written: &ConnectionPool) -> Limits {
    let tcp = written.tcp.unwrap_or_default();
    let http = written.http.unwrap_or_default();
    Limits {
        connections: some(tcp.max_connections),
        connect_timeout: tcp.connect_timeout,
        pending_requests: some(http.max_pending_requests),
        requests: some(http.max_requests),
        retries: some(http.max_retries),
        requests_per_connection: some(http.max_requests_per_connection),
        concurrent_streams: some(http.max_concurrent_streams),
        http_idle: http.idle_timeout,
        tcp_idle: tcp.idle_timeout,
        connection_life: tcp.max_connection_duration,
        keepalive: tcp.tcp_keepalive.map(|probes| Keepalive {
            probes: some(probes.probes),
            time: probes.time,
            interval: probes.interval,
        }),
    }
}

pub(super) fn http_version(written: &HttpPool) -> HttpVersion {
    match written.h2_upgrade_policy {
        Some(H2Upgrade::Upgrade) => HttpVersion::Http2,
        Some(H2Upgrade::Default | H2Upgrade::DoNotUpgrade) | None => HttpVersion::AsSent,
    }
}

pub(super) fn outliers(written: &Written) -> OutlierDetection {
    let default = OutlierDetection::default();
    let local = written.consecutive_local_origin_failures.unwrap_or(5);
    OutlierDetection {
        consecutive_5xx: some(written.consecutive_5xx_errors.or(default.consecutive_5xx)),
        consecutive_gateway: some(written.consecutive_gateway_errors),
        consecutive_local: some(Some(local)).filter(|_| written.split_external_local_origin_errors),
        interval: written.interval.unwrap_or(default.interval),
        base_ejection: written.base_ejection_time.unwrap_or(default.base_ejection),
        max_ejection_percent: written
            .max_ejection_percent
            .unwrap_or(default.max_ejection_percent),
        minimum_health_percent: written.min_health_percent.unwrap_or(0),
        ..default
    }
}

pub(super) fn budget(written: &Budget) -> RetryBudget {
    let percent = written
        .percent
        .map_or(20.0, |share| f64::from(share.parts_per_million()) / 10_000.0);
    RetryBudget::Concurrent {
        percent,
        minimum: written.min_retry_concurrency.unwrap_or(3),
    }
}

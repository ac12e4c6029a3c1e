//! Messages to how traffic to a backend is spread and limited. Refuses what makes no sense.

use std::time::Duration;

use wattle_model::traffic::{
    Balance, FailureAccrual, HttpVersion, Keepalive, OutlierDetection, ProxyProtocol, RetryBudget, Warmup,
};
use wattle_model::{BackendPolicy, Limits};

use super::balance_to_model::{balance, locality};
use super::parts_to_model::object_ref;
use super::{Decoded, Reader, upstream_to_model};
use crate::proto::mesh;

/// Shortest and longest window of a retry budget.
const BUDGET_WINDOW: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// What the minimum of a budget may refer to.
const BUDGET_PER: (Duration, Duration) = (Duration::from_millis(1), Duration::from_secs(3600));

pub(super) fn policy(reader: &mut Reader, message: mesh::BackendPolicy) -> Decoded<BackendPolicy> {
    let balance = reader.optional("balance", message.balance, balance)?;
    let locality = reader.optional("locality", message.locality, locality)?;
    Ok(BackendPolicy {
        origins: reader.list("origins", message.origins, object_ref)?,
        balance: balance.unwrap_or(Balance::PeakEwma),
        warmup: reader.optional("warmup", message.warmup, |reader, message| {
            warmup(reader, &message)
        })?,
        locality: locality.unwrap_or_default(),
        limits: limits(reader, message.limits)?,
        outliers: reader.optional("outliers", message.outliers, |reader, message| {
            outliers(reader, &message)
        })?,
        retry_budget: reader.optional("retry_budget", message.retry_budget, retry_budget)?,
        // Without it a backend of the outside world would be reached in plaintext.
        tls: reader.required("tls", message.tls, upstream_to_model::tls)?,
        proxy_protocol: reader.optional("proxy_protocol", message.proxy_protocol, proxy_protocol)?,
        tunnel: reader.optional("tunnel", message.tunnel, upstream_to_model::tunnel)?,
        health_check: reader.optional(
            "health_check",
            message.health_check,
            upstream_to_model::health_check,
        )?,
        http_version: reader.at("http_version", |reader| {
            http_version(reader, message.http_version)
        })?,
    })
}

fn proxy_protocol(reader: &mut Reader, version: i32) -> Decoded<ProxyProtocol> {
    match mesh::ProxyProtocol::try_from(version) {
        Ok(mesh::ProxyProtocol::V1) => Ok(ProxyProtocol::V1),
        Ok(mesh::ProxyProtocol::V2) => Ok(ProxyProtocol::V2),
        Err(_) => Err(reader.error(format!("version {version} is not known"))),
    }
}

fn http_version(reader: &mut Reader, version: i32) -> Decoded<HttpVersion> {
    match mesh::HttpVersion::try_from(version) {
        Ok(mesh::HttpVersion::AsSent) => Ok(HttpVersion::AsSent),
        Ok(mesh::HttpVersion::Http2) => Ok(HttpVersion::Http2),
        Err(_) => Err(reader.error(format!("version {version} is not known"))),
    }
}

fn warmup(reader: &mut Reader, message: &mesh::Warmup) -> Decoded<Warmup> {
    Ok(Warmup {
        duration: reader.duration("duration", message.duration_nanos)?,
        minimum_percent: reader.number("minimum_percent", message.minimum_percent, 0.0..=100.0)?,
        aggression: reader.number("aggression", message.aggression, 1.0..=f64::MAX)?,
    })
}

pub(super) fn limits(reader: &mut Reader, message: Option<mesh::Limits>) -> Decoded<Limits> {
    let message = message.unwrap_or_default();
    reader.at("limits", |reader| {
        Ok(Limits {
            connections: reader.optional_number("connections", message.connections, 1..=u32::MAX)?,
            connect_timeout: reader.optional_duration("connect_timeout", message.connect_timeout_nanos)?,
            pending_requests: message.pending_requests,
            requests: message.requests,
            retries: message.retries,
            requests_per_connection: reader.optional_number(
                "requests_per_connection",
                message.requests_per_connection,
                1..=u32::MAX,
            )?,
            concurrent_streams: reader.optional_number(
                "concurrent_streams",
                message.concurrent_streams,
                1..=u32::MAX,
            )?,
            http_idle: reader.optional_duration("http_idle", message.http_idle_nanos)?,
            tcp_idle: reader.optional_duration("tcp_idle", message.tcp_idle_nanos)?,
            connection_life: reader.optional_duration("connection_life", message.connection_life_nanos)?,
            keepalive: reader.optional("keepalive", message.keepalive, |reader, message| {
                keepalive(reader, &message)
            })?,
        })
    })
}

fn keepalive(reader: &mut Reader, message: &mesh::Keepalive) -> Decoded<Keepalive> {
    Ok(Keepalive {
        probes: reader.optional_number("probes", message.probes, 1..=u32::MAX)?,
        time: reader.optional_duration("time", message.time_nanos)?,
        interval: reader.optional_duration("interval", message.interval_nanos)?,
    })
}

fn outliers(reader: &mut Reader, message: &mesh::OutlierDetection) -> Decoded<OutlierDetection> {
    let mut count = |field, number| reader.optional_number(field, number, 1..=u32::MAX);
    let consecutive_5xx = count("consecutive_5xx", message.consecutive_5xx)?;
    let consecutive_gateway = count("consecutive_gateway", message.consecutive_gateway)?;
    let consecutive_local = count("consecutive_local", message.consecutive_local)?;
    Ok(OutlierDetection {
        consecutive_5xx,
        consecutive_gateway,
        consecutive_local,
        success_rate_stdev_thousandths: message.success_rate_stdev_thousandths,
        failure_percent: reader.optional_number("failure_percent", message.failure_percent, 0..=100)?,
        minimum_hosts: message.minimum_hosts,
        minimum_requests: message.minimum_requests,
        interval: reader.duration("interval", message.interval_nanos)?,
        base_ejection: reader.duration("base_ejection", message.base_ejection_nanos)?,
        max_ejection: reader.duration("max_ejection", message.max_ejection_nanos)?,
        max_ejection_percent: reader.number("max_ejection_percent", message.max_ejection_percent, 0..=100)?,
        minimum_health_percent: reader.number(
            "minimum_health_percent",
            message.minimum_health_percent,
            0..=100,
        )?,
        accrual: reader.optional("accrual", message.accrual, |reader, message| {
            accrual(reader, &message)
        })?,
    })
}

fn accrual(reader: &mut Reader, message: &mesh::FailureAccrual) -> Decoded<FailureAccrual> {
    Ok(FailureAccrual {
        max_failures: reader.number("max_failures", message.max_failures, 1..=u32::MAX)?,
        min_penalty: reader.duration("min_penalty", message.min_penalty_nanos)?,
        max_penalty: reader.duration("max_penalty", message.max_penalty_nanos)?,
        jitter_ratio: reader.number("jitter_ratio", message.jitter_ratio, 0.0..=100.0)?,
    })
}

fn retry_budget(reader: &mut Reader, message: mesh::RetryBudget) -> Decoded<RetryBudget> {
    use mesh::retry_budget::Kind;
    match reader.present("kind", message.kind)? {
        Kind::Concurrent(message) => reader.at("concurrent", |reader| {
            Ok(RetryBudget::Concurrent {
                percent: reader.number("percent", message.percent, 0.0..=100.0)?,
                minimum: message.minimum,
            })
        }),
        Kind::Rate(message) => reader.at("rate", |reader| {
            let window = Duration::from_nanos(message.window_nanos);
            Ok(RetryBudget::Rate {
                percent: reader.number("percent", message.percent, 0.0..=1000.0)?,
                minimum: message.minimum,
                window: reader.number("window", window, BUDGET_WINDOW.0..=BUDGET_WINDOW.1)?,
                per: reader.number(
                    "per",
                    Duration::from_nanos(message.per_nanos),
                    BUDGET_PER.0..=BUDGET_PER.1,
                )?,
            })
        }),
    }
}

//! How many connections and requests there may be towards a host.

use std::time::Duration;

use serde::Serialize;

use crate::decode::{Cursor, Decoded};
use crate::scalar::{self, write_duration};

use super::time::time;
use super::value::{flag, natural};

/// Limits; a field that is none was not written. At least one of them is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConnectionPool {
    /// For all connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpPool>,
    /// For HTTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpPool>,
}

/// Limits for all connections; a field that is none was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TcpPool {
    /// Most connections; none means no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_connections: Option<u32>,
    /// How long connecting may take, from 1 ms; none means 10 s.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "write_duration")]
    pub connect_timeout: Option<Duration>,
    /// Probes of the kernel on idle connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tcp_keepalive: Option<TcpKeepalive>,
    /// How old a connection may become, from 1 ms; none means any age.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "write_duration")]
    pub max_connection_duration: Option<Duration>,
    /// How long a connection may be idle, from 1 ms; none means 1 h.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "write_duration")]
    pub idle_timeout: Option<Duration>,
}

/// Probes of the kernel; what is none has the kernel's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct TcpKeepalive {
    /// Probes without an answer after which the connection is dead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probes: Option<u32>,
    /// Idle time before the first probe, from 1 ms.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "write_duration")]
    pub time: Option<Duration>,
    /// Time between probes, from 1 ms.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "write_duration")]
    pub interval: Option<Duration>,
}

/// Limits for HTTP; a field that is none was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpPool {
    /// Most requests that wait for a connection; none means no limit.
    #[serde(rename = "http1MaxPendingRequests", skip_serializing_if = "Option::is_none")]
    pub max_pending_requests: Option<u32>,
    /// Most requests under way, HTTP/1 too; none means no limit.
    #[serde(rename = "http2MaxRequests", skip_serializing_if = "Option::is_none")]
    pub max_requests: Option<u32>,
    /// Most requests of one connection; none means no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_requests_per_connection: Option<u32>,
    /// Most retries under way; none means no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<u32>,
    /// How long a connection may be without requests, from 1 ms; none means 1 h.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "write_duration")]
    pub idle_timeout: Option<Duration>,
    /// Whether HTTP/1 is sent on as HTTP/2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub h2_upgrade_policy: Option<H2Upgrade>,
    /// Whether the client's version is kept; never together with UPGRADE.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub use_client_protocol: bool,
    /// Most streams of one HTTP/2 connection; none means 2,147,483,647.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_concurrent_streams: Option<u32>,
    /// PING frames on HTTP/2 connections.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http2_keep_alive: Option<Http2KeepAlive>,
}

/// Whether HTTP/1 is sent on as HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum H2Upgrade {
    /// As the mesh config says.
    Default,
    /// No.
    DoNotUpgrade,
    /// Yes.
    Upgrade,
}

/// PING frames; what is none means none are sent, or no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Http2KeepAlive {
    /// Time between PINGs, from 1 ms.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "write_duration")]
    pub interval: Option<Duration>,
    /// Time in which the answer must come, from 1 ms.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "write_duration")]
    pub timeout: Option<Duration>,
}

pub(crate) fn connection_pool(cursor: &Cursor<'_>) -> Decoded<ConnectionPool> {
    let fields = cursor.fields(&["tcp", "http"])?;
    let tcp = fields.optional("tcp", tcp_pool);
    let http = fields.optional("http", http_pool);
    let pool = ConnectionPool {
        tcp: tcp?,
        http: http?,
    };
    if pool.tcp.is_none() && pool.http.is_none() {
        return Err(cursor.refuse("missing-field", "expected tcp or http"));
    }
    Ok(pool)
}

fn tcp_pool(cursor: &Cursor<'_>) -> Decoded<TcpPool> {
    let fields = cursor.fields(&[
        "maxConnections",
        "connectTimeout",
        "tcpKeepalive",
        "maxConnectionDuration",
        "idleTimeout",
    ])?;
    let max_connections = natural(&fields, "maxConnections");
    let connect_timeout = fields.optional("connectTimeout", connect_timeout);
    let tcp_keepalive = fields.optional("tcpKeepalive", tcp_keepalive);
    let max_connection_duration = fields.optional("maxConnectionDuration", time);
    let idle_timeout = fields.optional("idleTimeout", time);
    Ok(TcpPool {
        max_connections: max_connections?,
        connect_timeout: connect_timeout?,
        tcp_keepalive: tcp_keepalive?,
        max_connection_duration: max_connection_duration?,
        idle_timeout: idle_timeout?,
    })
}

/// Istio takes up to an hour.
fn connect_timeout(cursor: &Cursor<'_>) -> Decoded<Duration> {
    let timeout = time(cursor)?;
    if timeout > Duration::from_secs(3600) {
        return Err(cursor.refuse("out-of-range", "found more than an hour, expected 1ms to 1h"));
    }
    Ok(timeout)
}

fn tcp_keepalive(cursor: &Cursor<'_>) -> Decoded<TcpKeepalive> {
    let fields = cursor.fields(&["probes", "time", "interval"])?;
    let probes = natural(&fields, "probes");
    let idle = fields.optional("time", time);
    let interval = fields.optional("interval", time);
    Ok(TcpKeepalive {
        probes: probes?,
        time: idle?,
        interval: interval?,
    })
}

fn http_pool(cursor: &Cursor<'_>) -> Decoded<HttpPool> {
    let fields = cursor.fields(&[
        "http1MaxPendingRequests",
        "http2MaxRequests",
        "maxRequestsPerConnection",
        "maxRetries",
        "idleTimeout",
        "h2UpgradePolicy",
        "useClientProtocol",
        "maxConcurrentStreams",
        "http2KeepAlive",
    ])?;
    let max_pending_requests = natural(&fields, "http1MaxPendingRequests");
    let max_requests = natural(&fields, "http2MaxRequests");
    let max_requests_per_connection = natural(&fields, "maxRequestsPerConnection");
    let max_retries = natural(&fields, "maxRetries");
    let idle_timeout = fields.optional("idleTimeout", time);
    let h2_upgrade_policy = fields.optional("h2UpgradePolicy", h2_upgrade);
    let use_client_protocol = flag(&fields, "useClientProtocol");
    let max_concurrent_streams = natural(&fields, "maxConcurrentStreams");
    let http2_keep_alive = fields.optional("http2KeepAlive", http2_keep_alive);
    let pool = HttpPool {
        max_pending_requests: max_pending_requests?,
        max_requests: max_requests?,
        max_requests_per_connection: max_requests_per_connection?,
        max_retries: max_retries?,
        idle_timeout: idle_timeout?,
        h2_upgrade_policy: h2_upgrade_policy?,
        use_client_protocol: use_client_protocol?,
        max_concurrent_streams: max_concurrent_streams?,
        http2_keep_alive: http2_keep_alive?,
    };
    if pool.use_client_protocol && pool.h2_upgrade_policy == Some(H2Upgrade::Upgrade) {
        let reason = "useClientProtocol and h2UpgradePolicy UPGRADE exclude each other";
        return Err(cursor.refuse("incompatible-fields", reason));
    }
    Ok(pool)
}

fn h2_upgrade(cursor: &Cursor<'_>) -> Decoded<H2Upgrade> {
    let words = [
        ("DEFAULT", H2Upgrade::Default),
        ("DO_NOT_UPGRADE", H2Upgrade::DoNotUpgrade),
        ("UPGRADE", H2Upgrade::Upgrade),
    ];
    scalar::word(cursor, &words)
}

fn http2_keep_alive(cursor: &Cursor<'_>) -> Decoded<Http2KeepAlive> {
    let fields = cursor.fields(&["interval", "timeout"])?;
    let interval = fields.optional("interval", time);
    let timeout = fields.optional("timeout", time);
    Ok(Http2KeepAlive {
        interval: interval?,
        timeout: timeout?,
    })
}

//! How traffic to a backend is spread, limited and secured (Istio `trafficPolicy`, Gateway API
//! `XBackendTrafficPolicy`, Linkerd's annotations).
//!
//! `None` everywhere means what is not configured: the mesh's own defaults.

mod balance;
mod hash;
mod locality;
mod outlier;
mod tls;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub use balance::{Balance, HashTable, Warmup};
pub use hash::{HashKey, hash_address, hash_text};
pub use locality::{Distribution, LocalityPolicy, Place};
pub use outlier::{FailureAccrual, OutlierDetection};
pub use tls::{Roots, SubjectName, TlsFiles, UpstreamTls};

use crate::ObjectRef;
pub use crate::cookie::cookie;

/// Everything that is said about one backend.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BackendPolicy {
    /// The objects that say it, the most important first.
    pub origins: Vec<ObjectRef>,
    /// How an endpoint is chosen.
    pub balance: Balance,
    /// New endpoints get their share little by little.
    pub warmup: Option<Warmup>,
    /// Which endpoints are preferred by where they run.
    pub locality: LocalityPolicy,
    /// Bounds on what may be under way.
    pub limits: Limits,
    /// When an endpoint is taken out by how it answers.
    pub outliers: Option<OutlierDetection>,
    /// Bound on repetitions.
    pub retry_budget: Option<RetryBudget>,
    /// How connections are secured.
    pub tls: UpstreamTls,
    /// The PROXY protocol header that connections begin with.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// A proxy that connections are tunnelled through.
    pub tunnel: Option<Tunnel>,
    /// Endpoints are asked now and then whether they are well.
    pub health_check: Option<HealthCheck>,
    /// HTTP version towards the endpoints.
    pub http_version: HttpVersion,
}

/// Bounds on what may be under way to one backend, by worker; `None` is no bound but the proxy's own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// TCP connections (Istio `tcp.maxConnections`), at least 1.
    pub connections: Option<u32>,
    /// Time for a TCP connection to come about; default 10 s.
    pub connect_timeout: Option<Duration>,
    /// Requests that wait for a connection (Istio `http1MaxPendingRequests`).
    pub pending_requests: Option<u32>,
    /// Requests under way (Istio `http2MaxRequests`).
    pub requests: Option<u32>,
    /// Repetitions under way (Istio `maxRetries`).
    pub retries: Option<u32>,
    /// Requests over one connection, after which it is closed (Istio `maxRequestsPerConnection`).
    pub requests_per_connection: Option<u32>,
    /// Streams at once on an HTTP/2 connection (Istio `maxConcurrentStreams`).
    pub concurrent_streams: Option<u32>,
    /// Time after which an idle HTTP connection is closed (Istio `http.idleTimeout`).
    pub http_idle: Option<Duration>,
    /// Time without a byte after which an opaque connection is closed (Istio `tcp.idleTimeout`); default 1 h.
    pub tcp_idle: Option<Duration>,
    /// Longest life of a connection (Istio `maxConnectionDuration`).
    pub connection_life: Option<Duration>,
    /// TCP keep-alive probes.
    pub keepalive: Option<Keepalive>,
}

/// TCP keep-alive probes; `None` is the system's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keepalive {
    /// Probes without an answer after which the connection is dead.
    pub probes: Option<u32>,
    /// Idle time before the first probe.
    pub time: Option<Duration>,
    /// Time between probes.
    pub interval: Option<Duration>,
}

/// Bound on repetitions relative to the requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RetryBudget {
    /// Of the requests under way (Istio `retryBudget`, Envoy).
    Concurrent {
        /// Percent of the requests under way, 0 to 100; default 20.
        percent: f64,
        /// Repetitions that are always allowed at once; default 3.
        minimum: u32,
    },
    /// Of the requests of a while (Linkerd, Gateway API `retryConstraint`).
    Rate {
        /// Percent of the requests in the window, 0 to 1000; default 20.
        percent: f64,
        /// Repetitions that are always allowed in each `per`, by worker; default 10.
        minimum: u32,
        /// What the minimum refers to, at least 1 ms; default 1 s.
        per: Duration,
        /// The window, 1 s to 60 s; default 10 s.
        window: Duration,
    },
}

/// Version of the PROXY protocol header (haproxy's specification).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// Text.
    V1,
    /// Binary.
    V2,
}

/// A proxy that opaque connections are tunnelled through (Istio `tunnel`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// `POST` instead of `CONNECT`.
    pub post: bool,
    /// Host the proxy is asked for.
    pub host: Box<str>,
    /// Port the proxy is asked for.
    pub port: u16,
}

/// HTTP version towards endpoints without a proxy of the mesh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpVersion {
    /// The client's.
    #[default]
    AsSent,
    /// HTTP/2 for all (Istio `h2UpgradePolicy: UPGRADE`).
    Http2,
}

/// Questions to an endpoint whether it is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is asked.
    pub probe: HealthProbe,
    /// Time between questions; default 10 s, at least 1 s.
    pub interval: Duration,
    /// Time for an answer; default 1 s.
    pub timeout: Duration,
    /// Good answers in a row that make it healthy; default 1.
    pub healthy_after: u32,
    /// Bad answers in a row that make it unhealthy; default 3.
    pub unhealthy_after: u32,
}

/// What an endpoint is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthProbe {
    /// To accept a connection.
    Tcp,
    /// `GET` of a path, answered with 200 to 399.
    Http {
        /// Path.
        path: Box<str>,
        /// Host header; the endpoint's address when empty.
        host: Box<str>,
    },
    /// `grpc.health.v1.Health/Check`, answered with `SERVING`.
    Grpc {
        /// Service asked about; empty for the server.
        service: Box<str>,
    },
}

/// What the hash of a request is made of besides its head.
#[derive(Clone, Copy, Debug)]
pub struct HashFacts {
    /// The caller's address.
    pub address: IpAddr,
}

impl BackendPolicy {
    /// The policy of a backend about which nothing is said.
    pub fn none() -> Arc<Self> {
        Arc::default()
    }

    /// True when nothing is said.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

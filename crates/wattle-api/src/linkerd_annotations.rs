//! Linkerd's annotations on Services, routes and workloads, as typed values.
//!
//! An annotation that cannot be read is told of and then has no effect, as with Linkerd; the others
//! keep theirs. What an annotation is read on is for the compiler to say.

use std::time::Duration;

use crate::diagnostic::Finding;
use crate::linkerd::AccessPolicy;
use crate::meta::{Meta, Origin};

mod ports;
mod read;

pub use ports::PortRanges;

/// What Linkerd's annotations of one object say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LinkerdAnnotations {
    /// Retries; there when `retry.linkerd.io/http` or `/grpc` is.
    pub retry: Option<LinkerdRetry>,
    /// `timeout.linkerd.io/request`: from the request to the end of the response. None of the three is zero.
    pub request_timeout: Option<Duration>,
    /// `timeout.linkerd.io/response`: from the end of the request to the end of the response.
    pub response_timeout: Option<Duration>,
    /// `timeout.linkerd.io/idle`: without a byte in either direction.
    pub idle_timeout: Option<Duration>,
    /// `balancer.linkerd.io/failure-accrual: consecutive` and its parameters.
    pub failure_accrual: Option<FailureAccrual>,
    /// `config.linkerd.io/opaque-ports`: ports whose bytes are not looked at, instead of the default ones.
    pub opaque_ports: Option<PortRanges>,
    /// `config.linkerd.io/skip-inbound-ports`: ports whose connections in do not pass the proxy.
    pub skip_inbound_ports: Option<PortRanges>,
    /// `config.linkerd.io/skip-outbound-ports`: ports whose connections out do not pass the proxy.
    pub skip_outbound_ports: Option<PortRanges>,
    /// `config.linkerd.io/default-inbound-policy`: what becomes of ports without a Server; one that cannot be read denies.
    pub default_inbound_policy: Option<AccessPolicy>,
}

/// When and how often a request is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkerdRetry {
    /// `retry.linkerd.io/http`: status codes, as ranges with both ends included.
    pub http: Vec<(u16, u16)>,
    /// `retry.linkerd.io/grpc`.
    pub grpc: Vec<GrpcCode>,
    /// `retry.linkerd.io/limit`: retries after the first attempt, 1 to 65535; default 1.
    pub limit: u16,
    /// `retry.linkerd.io/timeout`: of one attempt, above zero; running out of it is retried.
    pub timeout: Option<Duration>,
}

/// A gRPC status that can be retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrpcCode {
    /// CANCELLED (1).
    Cancelled,
    /// DEADLINE_EXCEEDED (4).
    DeadlineExceeded,
    /// RESOURCE_EXHAUSTED (8).
    ResourceExhausted,
    /// INTERNAL (13).
    Internal,
    /// UNAVAILABLE (14).
    Unavailable,
}

impl GrpcCode {
    /// The number of the status on the wire.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Cancelled => 1,
            Self::DeadlineExceeded => 4,
            Self::ResourceExhausted => 8,
            Self::Internal => 13,
            Self::Unavailable => 14,
        }
    }
}

/// An endpoint that fails several times in a row gets no requests for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureAccrual {
    /// Failures in a row, 0 (never) upwards; default 7.
    pub max_failures: u32,
    /// First time without requests, at most `max_penalty`; default 1 s.
    pub min_penalty: Duration,
    /// Longest time without requests, above zero; default 60 s.
    pub max_penalty: Duration,
    /// What is added at random to a penalty, in thousandths of it, 0 to 100,000; default 500.
    pub jitter_thousandths: u32,
}

impl LinkerdAnnotations {
    /// Reads the annotations, leaving out those that cannot be read.
    #[must_use]
    pub fn of(meta: &Meta) -> Self {
        read::read(meta, &Origin::program("")).0
    }
}

/// What is wrong with the annotations, each finding at its annotation.
pub(crate) fn findings(meta: &Meta, origin: &Origin) -> Vec<Finding> {
    read::read(meta, origin).1
}

//! Istio's traffic kinds: VirtualService, DestinationRule, ServiceEntry, WorkloadGroup and Sidecar.
//!
//! Fields that protobuf cannot tell from absent ones (0, empty text) count as absent, as they do for Istio.
//! Durations are whole milliseconds, from 1 ms to 10 years.

mod client_tls;
mod connection_pool;
mod consistent_hash;
mod destination;
mod destination_rule;
mod export_to;
mod gateway_ref;
mod headers;
mod host;
mod load_balancer;
mod locality;
mod outlier;
mod probe;
mod server_tls;
mod service_entry;
mod sidecar;
mod string_match;
mod time;
mod value;
mod virtual_service;
mod workload_group;

pub(crate) use time::{time, write_time};

pub use client_tls::{ClientTls, ClientTlsMode};
pub use connection_pool::{ConnectionPool, H2Upgrade, Http2KeepAlive, HttpPool, TcpKeepalive, TcpPool};
pub use consistent_hash::{ConsistentHash, Cookie, HashKey, HashRing};
pub use destination::{Destination, WeightedDestination};
pub use destination_rule::{
    DestinationRule, PortPolicy, ProxyProtocol, RetryBudget, Settings, Subset, TrafficPolicy, Tunnel,
    TunnelProtocol,
};
pub use export_to::{ExportTo, Visibility};
pub use gateway_ref::GatewayRef;
pub use headers::{HeaderChanges, Headers};
pub use host::Host;
pub use load_balancer::{Algorithm, LoadBalancer, Warmup};
pub use locality::{Distribute, Failover, LocalityBalancing};
pub use outlier::OutlierDetection;
pub use probe::{HttpScheme, Probe, ProbeMethod};
pub use server_tls::{ServerTls, ServerTlsMode, TlsVersion};
pub use service_entry::{AppProtocol, EntryPort, Location, Resolution, ServiceEntry};
pub use sidecar::{
    CaptureMode, DefaultEndpoint, Egress, EgressHost, EgressNamespace, Ingress, OutboundMode,
    OutboundTrafficPolicy, Sidecar, SidecarPort,
};
pub use string_match::StringMatch;
pub use value::{Factor, Percentage, WorkloadSelector};
pub use virtual_service::{
    Abort, AbortWith, Body, CorsPolicy, Delay, Delegate, DerivePort, DirectResponse, Fault, GrpcStatus,
    HttpAction, HttpDestination, HttpMatch, HttpRule, L4Match, Mirror, Redirect, RedirectPort, RegexRewrite,
    Retries, RetryCondition, RetryOn, Rewrite, TcpRule, TlsMatch, TlsRule, UnmatchedPreflights,
    VirtualService,
};
pub use workload_group::{GroupMeta, WorkloadGroup};

pub(crate) use destination_rule::destination_rule;
pub(crate) use service_entry::service_entry;
pub(crate) use sidecar::{outbound_mode, sidecar};
pub(crate) use virtual_service::virtual_service;
pub(crate) use workload_group::workload_group;

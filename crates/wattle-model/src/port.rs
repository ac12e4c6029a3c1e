//! The ports of the mesh: Istio's, since everyone's dashboards and network policies know them.

/// Admin pages of a proxy; loopback only.
pub const ADMIN: u16 = 15000;
/// Where redirected outbound connections arrive.
pub const OUTBOUND: u16 = 15001;
/// Where redirected inbound connections arrive.
pub const INBOUND: u16 = 15006;
/// HBONE.
pub const HBONE: u16 = 15008;
/// Discovery for programs of the workload that speak gRPC with xDS; loopback only. Istio's number for discovery in the clear.
pub const PROGRAMS: u16 = 15010;
/// Discovery and certificates of the control plane, over mutual TLS.
pub const CONTROL: u16 = 15012;
/// Metrics of the control plane.
pub const CONTROL_METRICS: u16 = 15014;
/// Metrics and readiness of a proxy.
pub const STATUS: u16 = 15020;
/// Health of a gateway.
pub const HEALTH: u16 = 15021;
/// Metrics of Istio's sidecar, left alone for workloads that move.
pub const ISTIO_METRICS: u16 = 15090;

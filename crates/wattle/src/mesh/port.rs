//! Ports of a mesh that the commands and the supervisor name; Istio's, as everywhere.

pub(crate) use wattle_control::{DISCOVERY_PORT as DISCOVERY, METRICS_PORT as METRICS};

/// Readiness, metrics and counts, of every proxy.
pub(crate) const STATUS: u16 = 15020;

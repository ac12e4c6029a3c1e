//! Listeners: one for everything that leaves the workload, one for each address it dials, one for what comes to it.

mod chain;
mod hcm;
mod inbound;
mod limit;
mod others;
mod outbound;
mod ports;
mod tcp;
mod tokens;

pub(crate) use hcm::{http_filter, router};
pub(crate) use inbound::inbound;
pub(crate) use others::{open, unnamed};
pub(crate) use outbound::destination;
pub(crate) use tokens::{PAYLOAD, TOKENS};

use std::net::SocketAddr;
use std::time::Duration;

use envoy_types::pb::envoy::config::listener::v3 as xds;
use prost::{Message, Name};

use crate::proto::any;

/// How long a client may be silent where its server may speak first.
pub(crate) const CLIENT_FIRST: Duration = Duration::from_millis(500);
/// How long a client may be silent where it has to speak first.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// What application protocols Envoy's inspector finds in clear text.
pub(crate) const HTTP1: [&str; 2] = ["http/1.0", "http/1.1"];
pub(crate) const HTTP2: &str = "h2c";

pub(crate) fn listener_filter<M: Message + Name>(name: &str, config: &M) -> xds::ListenerFilter {
    xds::ListenerFilter {
        name: name.to_owned(),
        config_type: Some(xds::listener_filter::ConfigType::TypedConfig(any(config))),
        ..Default::default()
    }
}

pub(crate) fn network_filter<M: Message + Name>(name: &str, config: &M) -> xds::Filter {
    xds::Filter {
        name: name.to_owned(),
        config_type: Some(xds::filter::ConfigType::TypedConfig(any(config))),
    }
}

/// The name of the listener at an address that the workload dials.
pub(crate) fn name(address: SocketAddr) -> String {
    format!("outbound|{address}")
}

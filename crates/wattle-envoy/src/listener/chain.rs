//! Filter chains: what a connection must look like, and what becomes of it.

use envoy_types::pb::envoy::config::core::v3::TransportSocket;
use envoy_types::pb::envoy::config::listener::v3 as xds;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::DownstreamTlsContext;
use wattle_model::IpBlock;

use super::tcp;
use crate::cluster::{BLACKHOLE, Secrets, own_context};
use crate::proto::{cidr, flag, number, transport_socket};

/// Protocols that a listener agrees to: the mesh's, then that of programs which hold a certificate of the mesh themselves.
const AGREED: [&str; 6] = [
    "istio-h2",
    "istio-http/1.1",
    "istio-http/1.0",
    "istio-peer-exchange",
    "istio",
    "h2",
];

/// What a connection must look like.
#[derive(Clone, Debug, Default)]
pub(super) struct Looks<'a> {
    /// Port that was dialled.
    pub(super) port: Option<u16>,
    /// `tls`, `raw_buffer`, or either.
    pub(super) transport: &'a str,
    /// Application protocols, any of them; none is any.
    pub(super) protocols: &'a [&'a str],
    /// Server names of a ClientHello, any of them.
    pub(super) names: &'a [String],
}

impl Looks<'_> {
    /// A chain for such connections.
    pub(super) fn chain(&self, name: &str, filters: Vec<xds::Filter>) -> xds::FilterChain {
        xds::FilterChain {
            name: name.to_owned(),
            filter_chain_match: Some(xds::FilterChainMatch {
                destination_port: self.port.and_then(|port| number(port.into())),
                transport_protocol: self.transport.to_owned(),
                application_protocols: self.protocols.iter().map(|token| (*token).to_owned()).collect(),
                server_names: self.names.to_vec(),
                ..Default::default()
            }),
            filters,
            ..Default::default()
        }
    }
}

/// The chain for addresses of this block alone.
pub(super) fn within(block: IpBlock, chain: xds::FilterChain) -> xds::FilterChain {
    let looks = chain.filter_chain_match.unwrap_or_default();
    xds::FilterChain {
        filter_chain_match: Some(xds::FilterChainMatch {
            prefix_ranges: vec![cidr(&block)],
            ..looks
        }),
        ..chain
    }
}

/// A chain for whatever no other matches.
pub(super) fn otherwise(name: &str, filters: Vec<xds::Filter>) -> xds::FilterChain {
    xds::FilterChain {
        name: name.to_owned(),
        filters,
        ..Default::default()
    }
}

/// Closes the connection.
pub(super) fn closed() -> Vec<xds::Filter> {
    vec![tcp::to(BLACKHOLE)]
}

/// Connections that were dialled to the proxy's own port would go in a circle.
pub(super) fn circle(port: u16) -> xds::FilterChain {
    let looks = Looks {
        port: Some(port),
        ..Default::default()
    };
    looks.chain("circle", closed())
}

/// Mutual TLS as the mesh speaks it.
pub(super) fn mutual_tls(secrets: &Secrets) -> TransportSocket {
    let context = DownstreamTlsContext {
        common_tls_context: Some(own_context(secrets, &[], &AGREED)),
        require_client_certificate: flag(true),
        ..Default::default()
    };
    transport_socket("envoy.transport_sockets.tls", &context)
}

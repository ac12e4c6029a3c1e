//! A gRPC server that leaves it to the mesh who may connect and call: one listener for each port that it asks for. What gRPC
//! cannot hold makes no listener, and without one the server takes no connection.

use std::net::SocketAddr;
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3::TrafficDirection;
use envoy_types::pb::envoy::config::core::v3::TransportSocket;
use envoy_types::pb::envoy::config::listener::v3::{Filter, FilterChain, Listener, filter};
use envoy_types::pb::envoy::config::route::v3 as route;
use envoy_types::pb::envoy::extensions::filters::network::http_connection_manager::v3 as hcm;
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3 as tls;
use hcm::http_connection_manager::RouteSpecifier;
use tls::common_tls_context::ValidationContextType;
use wattle_model::{Inbound, MtlsMode};

use super::cluster::instance;
use crate::bootstrap::listening_address;
use crate::listener::router;
use crate::notes::{Notes, Output};
use crate::proto::{address, any, flag, transport_socket};
use crate::rbac::{Policies, members};
use crate::{Kind, Served};

impl Served<'_> {
    /// A listener for each name of one that can be had.
    pub(super) fn write(&self, certificates: &str, output: &mut Output, notes: &mut Notes) {
        for name in self.listeners {
            let Some(at) = listening_address(name) else {
                continue;
            };
            notes.at(None, &self.inbound.name);
            if let Some(listener) = listener(name, at, self.inbound, certificates, notes) {
                output.add(Kind::Listener, name, &listener);
            }
        }
    }
}

fn listener(
    name: &Arc<str>,
    at: SocketAddr,
    inbound: &Inbound,
    certificates: &str,
    notes: &mut Notes,
) -> Option<Listener> {
    if !inbound.tokens.is_empty() {
        notes.gap("a gRPC server cannot verify tokens of requests: it takes no connection");
        return None;
    }
    for limit in &inbound.rate_limits {
        notes.at(Some(&limit.origin), &inbound.name);
        notes.gap("a gRPC server keeps no rate limit");
    }
    notes.at(None, &inbound.name);
    let mode = inbound.port(at.port()).mtls;
    if mode == MtlsMode::Permissive {
        notes.gap("a gRPC server cannot tell TLS from plaintext: mutual TLS alone is taken");
    }
    let secured = mode != MtlsMode::Disable;
    let policies = Policies::new(&inbound.authorization, Some(at.port()), notes);
    if policies.are_beyond_grpc() {
        notes.at(None, &inbound.name);
        notes.gap(
            "a policy compares what gRPC servers cannot: what a token says, remote addresses, the name asked for in TLS, the scheme \
             or gRPC's own headers: the server takes no connection",
        );
        return None;
    }
    let mut filters = Vec::new();
    if secured {
        // Of the certificate gRPC looks at the chain alone.
        filters.push(members(&inbound.workload.trust_domain));
    }
    filters.extend(policies.requests(secured));
    filters.push(router());
    let chain = FilterChain {
        filters: vec![manager(filters)],
        transport_socket: secured.then(|| mutual_tls(certificates)),
        ..Default::default()
    };
    Some(Listener {
        name: name.to_string(),
        address: address(at),
        traffic_direction: TrafficDirection::Inbound.into(),
        filter_chains: vec![chain],
        ..Default::default()
    })
}

/// The server answers every call by itself.
fn manager(http_filters: Vec<hcm::HttpFilter>) -> Filter {
    let everything = route::Route {
        r#match: Some(route::RouteMatch {
            path_specifier: Some(route::route_match::PathSpecifier::Prefix(String::new())),
            ..Default::default()
        }),
        action: Some(route::route::Action::NonForwardingAction(
            route::NonForwardingAction::default(),
        )),
        ..Default::default()
    };
    let host = route::VirtualHost {
        name: "everything".to_owned(),
        domains: vec!["*".to_owned()],
        routes: vec![everything],
        ..Default::default()
    };
    let manager = hcm::HttpConnectionManager {
        http_filters,
        route_specifier: Some(RouteSpecifier::RouteConfig(route::RouteConfiguration {
            name: "everything".to_owned(),
            virtual_hosts: vec![host],
            ..Default::default()
        })),
        ..Default::default()
    };
    Filter {
        name: "envoy.filters.network.http_connection_manager".to_owned(),
        config_type: Some(filter::ConfigType::TypedConfig(any(&manager))),
    }
}

/// Whoever comes shows a certificate of the trust domain; what it may do is for policies to say.
fn mutual_tls(certificates: &str) -> TransportSocket {
    let validation = tls::CertificateValidationContext {
        ca_certificate_provider_instance: instance(certificates, "ROOTCA"),
        ..Default::default()
    };
    let context = tls::DownstreamTlsContext {
        common_tls_context: Some(tls::CommonTlsContext {
            tls_certificate_provider_instance: instance(certificates, "default"),
            validation_context_type: Some(ValidationContextType::ValidationContext(validation)),
            ..Default::default()
        }),
        require_client_certificate: flag(true),
        ..Default::default()
    };
    transport_socket("envoy.transport_sockets.tls", &context)
}
